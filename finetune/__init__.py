"""Fine-tune captioning models on fashion catalogues: `from finetune import caption, load_recipe, prepare, train`."""

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from finetune.api import Filled, Rules, baselines, caption, describe_catalogue, fill, load_recipe, prepare, train

logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it advertises kernels and reports every cast

__all__ = ["Filled", "Rules", "baselines", "caption", "describe_catalogue", "fill", "load_recipe", "prepare", "train"]


def __getattr__(name: str) -> Any:
    """Import torch only when one of the functions is used."""
    if name in __all__:
        return getattr(import_module("finetune.api"), name)
    raise AttributeError(f"module 'finetune' has no attribute {name!r}")
