"""What comes with Lookbook for its demo: `model.base: demo` and `scoring.stanza: demo` in a recipe."""

from pathlib import Path

DEMO = "demo"
BASE = Path(__file__).parents[1] / "assets" / "demo-base"
STANZA = Path(__file__).parents[1] / "assets" / "demo-stanza"
# Recipes written for earlier versions name the folders of a checkout.
_OLD_PATHS = ("finetune/demo/base", "finetune/demo/stanza")


def short_name(source: str) -> str:
    """`demo` for the old paths of the packaged models; anything else as it is."""
    return DEMO if source in _OLD_PATHS else source


def base_folder(base: str) -> str:
    """The folder of a base model that a recipe calls `demo`; anything else as it is."""
    return str(BASE) if short_name(base) == DEMO else base


def stanza_folder(stanza: str) -> str:
    """The folder of Stanza models that a recipe calls `demo`; anything else as it is."""
    return str(STANZA) if short_name(stanza) == DEMO else stanza
