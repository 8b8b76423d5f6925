"""The Python interface: the commands as functions of values instead of files."""

from collections.abc import Sequence
from pathlib import Path

from finetune.captioning.captioning import Selection, caption_catalogue
from finetune.captioning.filling.fill import Filling
from finetune.captioning.filling.rules import Rules
from finetune.captioning.lookup import write_all
from finetune.config.recipe import Recipe
from finetune.data.card.facts import describe_catalogue
from finetune.data.filled import Filled
from finetune.data.mixture import prepare_one
from finetune.data.preparation import Prepared
from finetune.runs.captioning_system import load_system
from finetune.runs.claim import load_begun
from finetune.training import train as training
from metrics.records.captions import CaptionRecord

__all__ = ["Filled", "Rules", "baselines", "caption", "describe_catalogue", "fill", "load_recipe", "prepare", "train"]


def load_recipe(path: str | Path, overrides: str | Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply `section.key=value` overrides. Raises `UserError` that lists every error."""
    return load_begun(Path(path), [overrides] if isinstance(overrides, str) else overrides)


def prepare(recipe: Recipe, catalogue: str | None = None) -> Prepared:
    """Load, split, check and cache the recipe's catalogue; of several, the one with the name `catalogue`."""
    return prepare_one(recipe.catalogues, recipe.training.seed, catalogue)


def train(recipe: Recipe, *, resume: bool = False, init_from: str | None = None) -> Path:
    """Fine-tune as the recipe says, from the adapter `init_from` if given; returns the run's folder."""
    return training.train(recipe, resume=resume, init_from=init_from)


def caption(
    model: str | Path,
    recipe: Recipe,
    out: str | Path,
    split: str = "test",
    adapter: str | None = None,
    catalogue: str | None = None,
) -> list[CaptionRecord]:
    """Caption a split of the recipe's catalogue with a run, a base model's folder or a Hub id, and write `out`.

    Of several catalogues, the one with the name `catalogue`.
    """
    prepared = prepare(recipe, catalogue)
    return caption_catalogue(load_system(str(model), adapter, recipe), prepared, Selection(split), Path(out))


def baselines(recipe: Recipe, out: str | Path, catalogue: str | None = None) -> list[Path]:
    """Write the captions of all baselines below the folder `out`; their files."""
    return write_all(recipe, [(prepare(recipe, catalogue), Path(out))])


def fill(
    model: str | Path,
    recipe: Recipe,
    out: str | Path,
    rules: Rules | None = None,
    adapter: str | None = None,
    catalogue: str | None = None,
) -> Filled:
    """Describe the catalogue's undescribed items in a copy of its table, in the folder `out`; what was filled.

    Raises `UserError` if there is nothing to fill, or `out` holds anything else.
    """
    filling = Filling.of(recipe, catalogue, rules or Rules(), Path(out))
    filling.caption(load_system(str(model), adapter, recipe))
    return filling.write()
