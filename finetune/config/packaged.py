"""What comes with Lookbook for its demo: `model.base: demo` and `scoring.stanza: demo` in a recipe."""

from pathlib import Path

DEMO = "demo"
_ASSETS = Path(__file__).parents[1] / "assets"
# Recipes and adapters of earlier versions name these folders of a checkout.
_BASES = ("finetune/demo/base", "finetune/assets/demo-base")
_STANZAS = ("finetune/demo/stanza", "finetune/assets/demo-stanza")


def short_name(source: str) -> str:
    """`demo` for the paths that earlier versions gave the packaged models; anything else as it is."""
    return DEMO if source in (*_BASES, *_STANZAS) else source


def base_folder(base: str) -> str:
    """The folder of a base model that a recipe calls `demo`; anything else as it is."""
    return str(_ASSETS / "demo-base") if short_name(base) == DEMO else base


def stanza_folder(stanza: str) -> str:
    """The folder of Stanza models that a recipe calls `demo`; anything else as it is."""
    return str(_ASSETS / "demo-stanza") if short_name(stanza) == DEMO else stanza


def is_demo_base(base: str) -> bool:
    """Whether a name or path is that of the packaged base model, on whatever machine it was written down."""
    return base == DEMO or f"/{Path(base).as_posix()}".endswith(tuple(f"/{path}" for path in _BASES))
