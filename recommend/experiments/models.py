"""The models of a recipe and their settings. A setting that is left out has the recommender's own default."""

from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from finetune.config.errors import nearest
from finetune.config.section import Count, LearningRate, NotNegative, Positive, Section, Size, expanded
from recommend.experiments.published import published_rows

RANDOM = "random"
# What a recipe says of a model that is no setting of the recommender.
_OF_RECIPE = ("recommender", "name", "datasets", "published", "tune", "early_stopping")
NOT_SETTINGS = (*_OF_RECIPE, "features", "pca", "missing", "captions")
_PUBLISHED = tuple(dict.fromkeys(row.setting for row in published_rows()))


def _is_published(name: str) -> str:
    if name not in _PUBLISHED:
        raise ValueError(f"expected a row of Table 5, {', '.join(_PUBLISHED)}{nearest(name, _PUBLISHED)}")
    return name


class _Model(Section):
    """What all models have.

    `name`: in tables. `datasets`: where it is measured; default: everywhere. `published`: the row of Table 5 that it is
    shown beside. `tune`: values to try, by setting; every combination is fitted without the validation part, the one
    with the highest nDCG on that part is taken, and fitted again on all of training.
    """

    name: Annotated[str, Field(min_length=1)] | None = None
    datasets: tuple[str, ...] = ()
    published: Annotated[str, AfterValidator(_is_published)] | None = None
    tune: dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]] = Field(default={})

    @model_validator(mode="after")
    def _tunable(self) -> Self:
        known = [key for key in type(self).model_fields if key not in NOT_SETTINGS]
        for key in self.tune:
            if key not in known:
                raise ValueError(f"tune: expected settings of {self.kind}, {', '.join(known)}; found {key}")
        for values in product(*self.tune.values()) if self.tune else ():
            self.with_settings(dict(zip(self.tune, values, strict=True)))
        return self

    @property
    def kind(self) -> str:
        """What the registry of recommenders calls it."""
        return str(self.recommender)  # type: ignore[attr-defined]

    @property
    def title(self) -> str:
        """What tables call it."""
        return self.name or self.published or self.kind

    def settings(self) -> dict[str, Any]:
        """What the recipe says of the recommender's own settings."""
        return self.model_dump(mode="json", exclude_unset=True, exclude=set(NOT_SETTINGS))

    def with_settings(self, changes: dict[str, Any]) -> Self:
        """The same with other settings, and nothing left to tune. Raises `ValueError` if one is of a wrong kind."""
        values = self.model_dump(exclude_unset=True, exclude={"tune"}) | changes
        try:
            return type(self).model_validate(values)
        except ValidationError as error:
            one = error.errors()[0]
            raise ValueError(f"tune.{'.'.join(map(str, one['loc']))}: {one['msg']}, found {one['input']!r}") from error


def _store(place: str) -> str:
    return place if place == RANDOM else str(expanded(Path(place)))


class WithFeatures(_Model):
    """A model that reads features.

    `features`: a store that `lookbook embed` wrote, or `random`: random numbers, which say nothing of an article, as a
    control. `pca`: reduce them to so many numbers. `missing`: how the features of articles that the store lacks are
    filled in (`recommend.recommenders.missing`); default: not at all. `captions`: the store of `missing: captions`.
    """

    features: Annotated[str, Field(min_length=1), AfterValidator(_store)]
    pca: Size | None = None
    missing: Literal["zeros", "mean", "random", "neighbours", "pagerank", "captions", "drop"] | None = None
    captions: Annotated[Path, AfterValidator(expanded)] | None = None

    @model_validator(mode="after")
    def _captions_are_given(self) -> Self:
        if (self.missing == "captions") != (self.captions is not None):
            raise ValueError("captions: give a store with missing: captions, and only then")
        return self


class _Trained(_Model):
    """A model that is trained in epochs.

    `early_stopping`: the number of epochs, at most `epochs`, is chosen on the validation part. The other settings:
    `recommend.recommenders.vbpr.settings`.
    """

    early_stopping: bool = False
    factors: Size | None = None
    regularization: NotNegative | None = None
    optimizer: Literal["sgd", "adagrad", "sparse-adam"] | None = None
    learning_rate: LearningRate | None = None
    batch_size: Count | None = None
    epochs: Count | None = None
    draw: Literal["purchases", "customers"] | None = None
    negatives: Literal["articles", "purchases"] | None = None
    article_bias: bool | None = None
    deviation: Positive | None = None
    validate_every: Count | None = None
    patience: Count | None = None
    validated: Count | None = None


class Random(_Model):
    """Articles at random."""

    recommender: Literal["random"]


class MostPopular(_Model):
    """What most customers bought in training, or in its last `days` days."""

    recommender: Literal["most-popular"]
    days: Count | None = None


class Repurchase(_Model):
    """What the customer bought, the latest first; such articles are not left out of its lists."""

    recommender: Literal["repurchase"]


class UserKNN(_Model):
    """What the `neighbours` most similar customers bought; `elliot_compat`: as Elliot computes it."""

    recommender: Literal["user-knn"]
    neighbours: Size | None = None
    elliot_compat: bool | None = None


class ItemKNN(_Model):
    """Articles that are bought by the same customers; each is compared with its `neighbours` most similar ones."""

    recommender: Literal["item-knn"]
    neighbours: Size | None = None


class ALS(_Model):
    """Factors by alternating least squares (Hu, Koren and Volinsky 2008)."""

    recommender: Literal["als"]
    factors: Size | None = None
    regularization: NotNegative | None = None
    alpha: Positive | None = None
    iterations: Count | None = None


class BPR(_Model):
    """Factors by Bayesian personalised ranking (Rendle et al. 2009), as `implicit` trains them."""

    recommender: Literal["bpr"]
    factors: Size | None = None
    learning_rate: LearningRate | None = None
    regularization: NotNegative | None = None
    iterations: Count | None = None
    threads: Size | None = None


class Content(WithFeatures):
    """Articles whose features are like those of what the customer bought."""

    recommender: Literal["content"]


class NeighbourContent(_Model):
    """The same by the `table` of nearest items that `lookbook similar --all` wrote."""

    recommender: Literal["content-neighbours"]
    table: Annotated[Path, AfterValidator(expanded)]


class VBPR(WithFeatures, _Trained):
    """BPR with features, with the defaults of a `preset`; default: that of Ducho meets Elliot."""

    recommender: Literal["vbpr"]
    preset: Literal["ducho-meets-elliot", "paper", "recommended"] | None = None
    feature_factors: Size | None = None
    feature_bias: bool | None = None
    normalised: bool | None = None


class BPRMF(_Trained):
    """VBPR without features, to compare it with."""

    recommender: Literal["bpr-mf"]


class Hybrid(WithFeatures):
    """Another recommender's list, a `share` of it given to cold articles that content ranks."""

    recommender: Literal["hybrid"]
    warm: str | None = None
    settings_of_warm: dict[str, Any] | None = None
    share: Annotated[float, Field(gt=0, lt=1)] | None = None


Model = Annotated[
    Random
    | MostPopular
    | Repurchase
    | UserKNN
    | ItemKNN
    | ALS
    | BPR
    | Content
    | NeighbourContent
    | VBPR
    | BPRMF
    | Hybrid,
    Field(discriminator="recommender"),
]
Reading = Content | VBPR | Hybrid
"""A model `WithFeatures`."""
