"""What a recipe of recommenders may say: data sets, models, what is measured."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from finetune.config.errors import nearest, parse
from finetune.config.overrides import apply_override, read_yaml
from finetune.config.recipe import Output
from finetune.config.section import Section, Seed, Size, expanded
from metrics.common.errors import UserError
from recommend.experiments.models import Model, WithFeatures
from recommend.experiments.published import published_rows
from recommend.interactions.splits import PER_USER, check_protocol

File = Annotated[Path, AfterValidator(expanded)]


def _known(values: Iterable[str]) -> Callable[[str], str]:
    """A validator of one of `values`."""
    known = list(dict.fromkeys(values))

    def check(name: str) -> str:
        if name not in known:
            raise ValueError(f"expected one of {', '.join(known)}{nearest(name, known)}")
        return name

    return check


def _protocol(name: str) -> str:
    try:
        check_protocol(name)
    except UserError as error:
        raise ValueError(str(error)) from error
    return name


class Dataset(Section):
    """Purchases, how they are divided, and what may be recommended.

    `name`: in tables. `purchases`: the folder that `lookbook purchases` wrote. `setting`: of Table 1. `split`: see
    `recommend.interactions.splits`. `candidates`: the articles bought in training, as in the paper, or the whole
    catalogue, so that articles nobody has bought yet can be recommended. `customers`: who is measured: those with
    purchases in training and test, as in the paper, or all of the test part. `published`: the data set of Table 5 that
    is shown beside it.
    """

    name: Annotated[str, Field(min_length=1)]
    purchases: File
    setting: Literal["original", "filtered", "augmented"] = "original"
    split: Annotated[str, AfterValidator(_protocol)] = PER_USER
    candidates: Literal["trained", "catalogue"] = "trained"
    customers: Literal["with-history", "all"] = "with-history"
    published: Annotated[str, AfterValidator(_known(row.dataset for row in published_rows()))] | None = None


class Masking(Section):
    """A study of missing features: known ones are hidden, filled in by each method, and what is recommended compared.

    `dataset`, `models`: names of one of the data sets, and of models that read `features`, a store of descriptions, and
    whose settings are given, not tuned. `captions`: of the test split of a captioner's run, whose items.parquet is
    `items`; only those of articles stand in whose product and description the run did not train on. `shares`: of the
    descriptions, hidden.
    """

    dataset: str
    models: Annotated[tuple[str, ...], Field(min_length=1)]
    features: File
    captions: File
    items: File
    shares: Annotated[tuple[Annotated[float, Field(gt=0, lt=1)], ...], Field(min_length=1)] = (0.2, 0.5)


class Recipe(Section):
    """Every model on every data set, unless the model names its `datasets`.

    `ks`: lengths of list that are measured. `seed`: of whatever a model draws. `against`: names of models; the tables
    show how much every other model differs from each of these, with a paired interval.
    """

    output: Output
    datasets: Annotated[tuple[Dataset, ...], Field(min_length=1)]
    models: Annotated[tuple[Model, ...], Field(min_length=1)]
    ks: Annotated[tuple[Size, ...], Field(min_length=1)] = (5, 12)
    seed: Seed = 42
    against: tuple[str, ...] = ()
    masking: Masking | None = None

    @model_validator(mode="after")
    def _names(self) -> Self:
        datasets = _distinct("datasets", [one.name for one in self.datasets])
        models = _distinct("models", [one.title for one in self.models])
        if len(set(self.ks)) < len(self.ks):
            raise ValueError(f"ks: expected different lengths of list, found {', '.join(map(str, self.ks))}")
        named = [(f"models.{place}.datasets", one.datasets, datasets) for place, one in enumerate(self.models)]
        named.append(("against", self.against, models))
        if self.masking:
            reading = [one.title for one in self.models if isinstance(one, WithFeatures)]
            named += [
                ("masking.dataset", (self.masking.dataset,), datasets),
                ("masking.models", self.masking.models, reading),
            ]
        for key, names, known in named:
            for name in names:
                if name not in known:
                    raise ValueError(f"{key}: expected one of {', '.join(known)}{nearest(name, known)}")
        if self.masking:
            _check_masked(self.masking, self.models)
        return self

    @property
    def k(self) -> int:
        """The length of the lists that are made."""
        return max(self.ks)

    def dataset(self, name: str) -> Dataset:
        """The data set of this name."""
        return next(one for one in self.datasets if one.name == name)

    def rows(self) -> list[tuple[Dataset, Model]]:
        """What is measured, data set by data set."""
        return [
            (dataset, model)
            for dataset in self.datasets
            for model in self.models
            if not model.datasets or dataset.name in model.datasets
        ]


def _distinct(key: str, names: list[str]) -> list[str]:
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated:
        raise ValueError(f"{key}: two entries are called {repeated}; give one a name of its own")
    return names


def _check_masked(masking: Masking, models: Iterable[Model]) -> None:
    """Raise `ValueError` for settings that the study, which fits a model many times, would not follow."""
    for model in models:
        if not isinstance(model, WithFeatures) or model.title not in masking.models:
            continue
        if model.features != str(masking.features):
            raise ValueError(f"masking.models: {model.title} reads {model.features}, not masking.features")
        chooses = {"tune": model.tune, "early_stopping": getattr(model, "early_stopping", False)}
        refused = [name for name, given in {**chooses, "missing": model.missing}.items() if given]
        if refused:
            raise ValueError(
                f"masking.models: {model.title} has {', '.join(refused)}: the study fills in itself and chooses "
                "nothing; name a model with settings given"
            )


def load_recipe(path: Path, overrides: Iterable[str] = ()) -> Recipe:
    """Read a recipe and apply `section.key=value` overrides. Raises `UserError` with all its errors at once."""
    values: dict[str, Any] = read_yaml(path, "recipe")
    for override in overrides:
        apply_override(values, override)
    return parse(Recipe, values, str(path))
