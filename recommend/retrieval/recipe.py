"""What a recipe of composed retrieval may say."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from finetune.config.errors import parse
from finetune.config.overrides import apply_override, read_yaml
from finetune.config.recipe import Output
from finetune.config.section import Count, LearningRate, NotNegative, Positive, Section, Seed, Share, Size, expanded

Category = Literal["dress", "shirt", "toptee"]
CATEGORIES: tuple[Category, ...] = ("dress", "shirt", "toptee")

_PAPERS_TEMPERATURE = 2.0  # Jeong (2022), section 4.2


def _distinct(categories: tuple[Category, ...]) -> tuple[Category, ...]:
    if len(set(categories)) < len(categories):
        raise ValueError("names a category twice")
    return categories


class Dataset(Section):
    """A folder in FashionIQ's layout: `captions/`, `image_splits/`, photos, and perhaps side labels.

    `photos`: the folder of the photos, within `folder` unless it is absolute. `captions`: a pair's captions `joined`
    with " and ", or each a query of its own (`single`). `missing`: what happens to photos that are not there: `refuse`,
    or `drop` them and the pairs that need them. `demo`: draw the folder if it is missing, with so many photos of each
    category for validation.
    """

    folder: Annotated[Path, AfterValidator(expanded)]
    photos: Annotated[Path, AfterValidator(expanded)] = Path("images")
    categories: Annotated[tuple[Category, ...], Field(min_length=1), AfterValidator(_distinct)] = CATEGORIES
    captions: Literal["joined", "single"] = "joined"
    missing: Literal["refuse", "drop"] = "refuse"
    demo: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    seed: Seed = 0


class PhotoEncoder(Section):
    """An encoder of photos, frozen, or trained with `tune` (models of transformers alone)."""

    encoder: str = "microsoft/resnet-50"
    resolution: Size | None = None
    tune: bool = False

    @model_validator(mode="after")
    def _tuned_as_published(self) -> Self:
        if self.tune and self.resolution is not None:
            raise ValueError("resolution: a tuned encoder reads photos as its own processor makes them; leave it out")
        return self


class TextEncoder(Section):
    """An encoder of texts, likewise."""

    encoder: str = "distilbert/distilbert-base-uncased"
    tune: bool = False


class Model(Section):
    """Both projections, of one layer each (the paper, section 4.2)."""

    dimensions: Size = 256
    dropout: Share = 0.1


class Loss(Section):
    """What training minimises.

    `infonce` (van den Oord et al. 2018) learns its temperature, which begins at `temperature` (default: .07); its wrong
    answers are the `targets` of the other pairs, compared with a query's own reference, as search does (default), or
    the other `pairs`. `soft-targets` is the paper's, of pairs; its temperature is fixed (default: 2, the paper's).
    """

    name: Literal["infonce", "soft-targets"] = "infonce"
    temperature: Positive = 0.07
    negatives: Literal["targets", "pairs"] | None = None

    @model_validator(mode="after")
    def _of_loss(self) -> Self:
        paper = self.name == "soft-targets"
        if self.negatives is None:  # not among the fields that were given
            object.__setattr__(self, "negatives", "pairs" if paper else "targets")
        if paper and "temperature" not in self.model_fields_set:
            object.__setattr__(self, "temperature", _PAPERS_TEMPERATURE)
        if paper and self.negatives == "targets":
            raise ValueError("negatives: soft-targets compares pairs; leave the key out, or choose infonce")
        return self


class Training(Section):
    """Optimisation by AdamW; `encoder_learning_rate` is that of tuned encoders (default: `learning_rate`)."""

    epochs: Count = 5
    batch_size: Annotated[int, Field(ge=2, le=65_536)] = 32
    learning_rate: LearningRate = 1e-3
    encoder_learning_rate: LearningRate | None = None
    weight_decay: NotNegative = 1e-3
    schedule: Literal["constant", "linear"] = "constant"
    seed: Seed = 42


class Recipe(Section):
    """A model of composed retrieval: data, encoders, loss and optimisation."""

    output: Output
    dataset: Dataset
    photo: PhotoEncoder = PhotoEncoder()
    text: TextEncoder = TextEncoder()
    model: Model = Model()
    loss: Loss = Loss()
    training: Training = Training()


def load_recipe(path: Path, overrides: Iterable[str] = ()) -> Recipe:
    """Read a recipe and apply `section.key=value` overrides. Raises `UserError` with all its errors at once."""
    values = read_yaml(path, "recipe")
    for override in overrides:
        apply_override(values, override)
    return parse(Recipe, values, str(path))
