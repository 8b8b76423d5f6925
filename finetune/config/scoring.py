"""The section `scoring` of a recipe: the measures that need models of their own, and what their intervals respect."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from finetune.config.packaged import short_name
from finetune.config.section import LearningRate, Section, Seed, Share, Size, expanded

ClusterKey = Literal["product", "reference", "photo", "item"]
Source = Annotated[str, AfterValidator(lambda source: str(expanded(Path(source)))), AfterValidator(short_name)]


class Classifier(Section):
    """The BERT that reads an item's category from its caption, by default with the published hyper-parameters.

    `tiny` makes its base on the spot, from random weights, and has defaults of its own.
    """

    tiny: bool = False
    base: Source | None = None
    epochs: Size | None = None
    learning_rate: LearningRate | None = None
    batch_size: Size | None = None
    dropout: Share | None = None
    seed: Seed | None = None


def _item_alone(clusters: tuple[ClusterKey, ...]) -> tuple[ClusterKey, ...]:
    if "item" in clusters and len(clusters) > 1:
        raise ValueError("item joins nothing; give it by itself or leave it out")
    return clusters


def _attributes(value: Any) -> Any:
    """A union's own errors name its parts, each with what does not fit it."""
    if value == "catalogue":
        return value
    if not isinstance(value, str | Path):
        raise ValueError("expected catalogue or the path of a file")
    return expanded(Path(value))


class Scoring(Section):
    """The measures that need models of their own, made of the training captions; the others always run.

    `stanza` is `en`, a folder of models, or `demo` for those that come with Lookbook. `attributes` is a file of the
    attributes to look for, or `catalogue`: those that the catalogue gives its training items. Default: nouns and
    adjectives that training captions have 10 times. `clusters` says what joins items that intervals and p-values must
    not take for independent ones: some of `product`, `reference` and `photo`, or `[item]`: nothing does.
    """

    classifier: Classifier | None = None
    stanza: Source | None = None
    attributes: Annotated[Literal["catalogue"] | Path, BeforeValidator(_attributes)] | None = None
    clusters: Annotated[tuple[ClusterKey, ...], Field(min_length=1), AfterValidator(_item_alone)] = (
        "product",
        "reference",
        "photo",
    )
