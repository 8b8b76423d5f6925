"""What a recipe of rankers may say: periods, candidates, rankers, and the arms that are compared."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from finetune.config.errors import nearest, parse
from finetune.config.overrides import apply_override, read_yaml
from finetune.config.recipe import Output
from finetune.config.section import Count, LearningRate, Section, Seed, Size, expanded

RANDOM = "random"
BESTSELLERS, REPURCHASE = "bestsellers", "repurchase, then bestsellers"
BASELINES = (BESTSELLERS, REPURCHASE)
CODES = (
    "product_type_no",
    "graphical_appearance_no",
    "colour_group_code",
    "perceived_colour_value_id",
    "perceived_colour_master_id",
    "department_no",
    "index_code",
    "index_group_no",
    "section_no",
    "garment_group_no",
)
"""The columns of H&M's articles that have numbers for names."""
MOST_CANDIDATES = 10_000
"""Of a customer: LightGBM ranks no more."""
File = Annotated[Path, AfterValidator(expanded)]
Name = Annotated[str, Field(min_length=1)]


def _store(place: str) -> str:
    return place if place == RANDOM else str(expanded(Path(place)))


Store = Annotated[str, Field(min_length=1), AfterValidator(_store)]


class Days(Section):
    """Days of purchases, both ends included: `history` is known, `labels` are to be foreseen."""

    history: tuple[date, date]
    labels: tuple[date, date]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        days = (*self.history, *self.labels)
        if not (days[0] <= days[1] < days[2] <= days[3]):
            raise ValueError(
                f"expected history and labels as first and last day, all labels after the history; found history "
                f"{_range(self.history)}, labels {_range(self.labels)}"
            )
        return self

    def __str__(self) -> str:
        return f"history {_range(self.history)}, labels {_range(self.labels)}"


def _range(days: tuple[date, date]) -> str:
    return f"{days[0]} to {days[1]}"


class CandidateCounts(Section):
    """What may be ranked for a customer, from the history alone.

    `purchases`: the customer's last articles. `bestsellers`: the history's. `similar`: so many of the nearest of each
    of the customer's last articles; needs `neighbours`.
    """

    purchases: Annotated[int, Field(ge=0, le=65_536)] = 12
    bestsellers: Count = 50
    similar: Annotated[int, Field(ge=0, le=65_536)] = 0

    @model_validator(mode="after")
    def _can_be_ranked(self) -> Self:
        if self.similar and not self.purchases:
            raise ValueError("similar articles are those near to the customer's last purchases; raise purchases from 0")
        most = self.purchases * (1 + self.similar) + self.bestsellers
        if most > MOST_CANDIDATES:
            raise ValueError(
                f"these counts allow {most:,} candidates of a customer, and LightGBM ranks at most "
                f"{MOST_CANDIDATES:,}; lower them"
            )
        return self


class Ranker(Section):
    """LightGBM's LGBMRanker, lambdarank. `preset: paper`: its single DART tree; settings that are given go before."""

    name: Name
    preset: Literal["boosted", "paper"] = "boosted"
    trees: Count | None = None
    learning_rate: LearningRate | None = None
    leaves: Annotated[int, Field(ge=2, le=131_072)] | None = None
    least_in_leaf: Count | None = None


class Arm(Section):
    """Features that are added to those of customer, article and period.

    `features`: a store that `lookbook embed` wrote, or `random`: numbers that say nothing of an article, as a control.
    `bestsellers`: of the store, the articles alone that sold best, as in the paper: in the history of training that
    ends first, so that no period is told which articles will sell. `likeness`: also the cosine to the mean of what the
    customer bought. `flags`: whether a store has the article, by the feature's name.
    """

    name: Name
    features: Store | None = None
    bestsellers: Count | None = None
    likeness: bool = False
    flags: dict[Name, File] = Field(default={})

    @model_validator(mode="after")
    def _of_features(self) -> Self:
        if self.features is None and (self.bestsellers is not None or self.likeness):
            raise ValueError("bestsellers and likeness are of features; give a store of features")
        return self

    @property
    def stores(self) -> list[str]:
        """The folders that it reads."""
        named = [] if self.features in (None, RANDOM) else [str(self.features)]
        return [*named, *map(str, self.flags.values())]


class Submission(Section):
    """Kaggle's submission.csv: the last days that are known, and the row whose model ranks for all customers."""

    history: tuple[date, date]
    arm: Name
    ranker: Name | None = None
    bestseller_rank: bool = True

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.history[0] > self.history[1]:
            raise ValueError(f"expected the first and the last day of the history, found {_range(self.history)}")
        return self


@dataclass(frozen=True)
class Row:
    """An arm by a ranker, with or without the bestseller rank as a feature."""

    arm: Arm
    ranker: Ranker
    bestseller_rank: bool

    @property
    def key(self) -> tuple[str, str, bool]:
        """Which one of the recipe's rows it is."""
        return self.arm.name, self.ranker.name, self.bestseller_rank

    @property
    def title(self) -> str:
        """On the screen."""
        return f"{self.arm.name}, {self.ranker.name}, {with_or_without(self.bestseller_rank)}"


def with_or_without(bestseller_rank: bool) -> str:
    """How tables say whether the bestseller rank is a feature."""
    return f"{'with' if bestseller_rank else 'without'} bestseller rank"


class Recipe(Section):
    """Every arm by every ranker, with and without the bestseller rank, trained on the same periods.

    `items`: items.parquet. `customers`: Kaggle's customers.csv. `neighbours`: the table that `similar --all` wrote.
    `components`: of the stores' principal components. `against`: arms that every other one is compared with, the first
    of them without captions; `captions`: the arm that is asked whether it helped. `threads`: LightGBM's.
    """

    output: Output
    purchases: File
    setting: Literal["original", "filtered", "augmented"] = "original"
    items: File
    codes: tuple[Name, ...] = CODES
    customers: File | None = None
    neighbours: File | None = None
    train: Annotated[tuple[Days, ...], Field(min_length=1)]
    test: Days
    candidates: CandidateCounts = CandidateCounts()
    components: Size = 50
    rankers: Annotated[tuple[Ranker, ...], Field(min_length=1)]
    arms: Annotated[tuple[Arm, ...], Field(min_length=1)]
    against: Annotated[tuple[Name, ...], Field(min_length=1)]
    captions: Name
    submission: Submission | None = None
    seed: Seed = 42
    threads: Size = 1

    @model_validator(mode="after")
    def _names(self) -> Self:
        arms, rankers = [arm.name for arm in self.arms], [ranker.name for ranker in self.rankers]
        for key, names in (("arms", arms), ("rankers", rankers)):
            if repeated := _repeated(names):
                raise ValueError(f"{key}: two entries are called {repeated}; give one a name of its own")
        if repeated := _repeated(self.against):
            raise ValueError(f"against: {repeated} is there twice; leave one out")
        for name in BASELINES:
            if name in arms:
                raise ValueError(f"arms: {name} is the name of a baseline; choose another")
        named = [("captions", self.captions, arms), *(("against", name, arms) for name in self.against)]
        if self.submission:
            named.append(("submission.arm", self.submission.arm, arms))
            named.append(("submission.ranker", self.submission.ranker or rankers[0], rankers))
        for key, name, known in named:
            if name not in known:
                raise ValueError(f"{key}: expected one of {', '.join(known)}{nearest(name, known)}")
        if self.captions == self.against[0]:
            raise ValueError(f"against: expected first the arm without captions, found {self.captions}")
        if not (self.asked.features or self.asked.flags):
            raise ValueError(f"captions: the arm {self.captions} adds nothing that could help; name one with features")
        return self

    @model_validator(mode="after")
    def _periods(self) -> Self:
        for days in self.train:
            if days.labels[1] >= self.test.labels[0]:
                raise ValueError(f"train: labels of {_range(days.labels)} are not before those of the test")
        if repeated := _repeated([str(days) for days in self.train]):
            raise ValueError(f"train: {repeated} is there twice; leave one out")
        if self.submission and self.submission.history[1] < self.test.labels[1]:
            raise ValueError(
                f"submission.history: expected to end on {self.test.labels[1]} or later, since its model learns from "
                f"the labels of the test, found {_range(self.submission.history)}"
            )
        if (self.candidates.similar > 0) != (self.neighbours is not None):
            raise ValueError("candidates.similar and neighbours belong together: similar articles come from that table")
        return self

    @property
    def asked(self) -> Arm:
        """The arm that is asked whether it helped."""
        return next(arm for arm in self.arms if arm.name == self.captions)

    def rows(self) -> Iterator[Row]:
        """What is trained, ranker by ranker."""
        for ranker in self.rankers:
            for bestseller_rank in (True, False):
                for arm in self.arms:
                    yield Row(arm, ranker, bestseller_rank)


def _repeated(names: Sequence[str]) -> str | None:
    return next((name for name in names if names.count(name) > 1), None)


def load_recipe(path: Path, overrides: Iterable[str] = ()) -> Recipe:
    """Read a recipe and apply `section.key=value` overrides. Raises `UserError` with all its errors at once."""
    values: dict[str, Any] = read_yaml(path, "recipe")
    for override in overrides:
        apply_override(values, override)
    return parse(Recipe, values, str(path))
