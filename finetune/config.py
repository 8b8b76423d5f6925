"""Everything a YAML recipe may say."""

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    Discriminator,
    Field,
    PositiveFloat,
    PositiveInt,
    Tag,
    ValidationError,
)

from finetune.catalogues import CatalogueConfig
from finetune.catalogues.base import CatalogueSection
from finetune.families import FamilyName
from finetune.overrides import apply_override, read_yaml
from finetune.section import Section
from metrics.errors import UserError

Tuning = Literal["frozen", "lora", "full"]
Share = Annotated[float, Field(ge=0, le=1)]
ONE, SEVERAL = "one", "several"
FOLDERS_OF_A_RUN = ("model", "checkpoints", "tensorboard")
LONGEST_SHOWN = 200
Parsed = TypeVar("Parsed", bound=Section)


class Tiny(Section):
    """Shape of a base model made on the spot by `make-tiny`: real classes, few parameters, random weights."""

    image_size: PositiveInt = 48
    patch_size: PositiveInt = 8
    hidden_size: PositiveInt = 128
    layers: PositiveInt = 3
    queries: PositiveInt = 8
    vocabulary: Annotated[int, Field(ge=300)] = 1000
    dropout: Share = 0.1
    seed: Annotated[int, Field(ge=0)] = 0


class Model(Section):
    """The base model: a Hub id or a folder."""

    family: FamilyName = "blip2"
    base: str
    revision: str | None = None
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    attention: Literal["sdpa", "eager", "flash_attention_2"] = "sdpa"
    tiny: Tiny | None = None


class Tune(Section):
    """What is trained of each tower."""

    vision: Tuning = "frozen"
    connector: Tuning = "frozen"
    language: Tuning = "lora"


class Lora(Section):
    """Low-rank adapters (Hu et al. 2021), rank-stabilised by default (Kalajdzievski 2023)."""

    rank: PositiveInt = 32
    alpha: PositiveFloat = 64
    dropout: Share = 0.05
    rslora: bool = True
    modules: Literal["query-value", "all-linear"] = "query-value"


class Augmentation(Section):
    """Random changes to training photos; none by default."""

    flip: Share = 0.0
    crop: Annotated[float, Field(ge=0, lt=1)] = 0.0


class Training(Section):
    """Optimisation."""

    epochs: PositiveFloat = 10
    learning_rate: PositiveFloat = 1e-4
    minimum_learning_rate: Annotated[float, Field(ge=0)] = 1e-6
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    weight_decay: Annotated[float, Field(ge=0)] = 1e-6
    batch_size: PositiveInt = 16
    micro_batch_size: PositiveInt = 4
    patience: PositiveInt = 3
    seed: Annotated[int, Field(ge=0)] = 42
    workers: Annotated[int, Field(ge=0)] = 4
    tracker: Literal["tensorboard", "wandb", "none"] = "tensorboard"


class Decoding(Section):
    """How captions are generated."""

    beams: PositiveInt = 1
    repetition_penalty: PositiveFloat = 1.0
    max_new_tokens: PositiveInt = 100
    batch_size: PositiveInt = 16


def _expanded(path: Path) -> Path:
    expanded = Path(os.path.expandvars(path)).expanduser()
    if "$" in str(expanded):
        raise ValueError(f"set the environment variable in {path}")
    return expanded


Source = Annotated[str, AfterValidator(lambda told: str(_expanded(Path(told))))]


class Classifier(Section):
    """The BERT that reads an item's category from its caption, by default with the published hyper-parameters.

    `tiny` makes its base on the spot, from random weights, and has defaults of its own.
    """

    tiny: bool = False
    base: Source | None = None
    epochs: PositiveInt | None = None
    learning_rate: PositiveFloat | None = None
    batch_size: PositiveInt | None = None
    dropout: Share | None = None
    seed: Annotated[int, Field(ge=0)] | None = None


def _without_last_blank(prompt: str) -> str:
    if prompt.endswith((" ", "\t")):
        raise ValueError("ends in a blank; leave it out, since the caption brings its own")
    return prompt


def _unweighted(section: CatalogueSection) -> CatalogueSection:
    if section.weight is not None:
        raise ValueError("weight: a single catalogue has none; it says how several of a list are mixed")
    return section


def _mixable(sections: tuple[CatalogueSection, ...]) -> tuple[CatalogueSection, ...]:
    if len(sections) < 2:
        raise ValueError("a list mixes two catalogues or more; write a single one as a section, without a list")
    places: dict[str, int] = {}
    for place, section in enumerate(sections):
        first = places.setdefault(section.called.lower(), place)
        if first != place:
            raise ValueError(
                f"entries {first} and {place} are both called {section.called}; give one a name of its own"
            )
        if section.called.lower() in FOLDERS_OF_A_RUN:
            raise ValueError(
                f"entry {place} is called {section.called}, as a folder of every run is; give it another name"
            )
    return sections


Data = Annotated[
    Annotated[CatalogueConfig, AfterValidator(_unweighted), Tag(ONE)]
    | Annotated[tuple[CatalogueConfig, ...], AfterValidator(_mixable), Tag(SEVERAL)],
    Discriminator(lambda value: SEVERAL if isinstance(value, list | tuple) else ONE),
]


class Scoring(Section):
    """The measures that need models of their own, made of the training captions; the others always run.

    `stanza` is `en` or a folder of models; `attributes` a file of those to look for, or `catalogue`: those that the
    catalogue gives its training items. Default: nouns and adjectives that training captions have 10 times.
    """

    classifier: Classifier | None = None
    stanza: Source | None = None
    attributes: Literal["catalogue"] | Annotated[Path, AfterValidator(_expanded)] | None = None


Output = Annotated[Path, AfterValidator(_expanded)]


class Recipe(Section):
    """One experiment: data, model, what is tuned and how, how captions are written.

    Without `prompt` it is the one that the model's family was published with.
    """

    output: Output
    prompt: Annotated[str, AfterValidator(_without_last_blank)] | None = None
    data: Data
    model: Model
    tune: Tune = Tune()
    lora: Lora = Lora()
    augmentation: Augmentation = Augmentation()
    training: Training = Training()
    decoding: Decoding = Decoding()
    scoring: Scoring = Scoring()

    @property
    def catalogues(self) -> dict[str, CatalogueSection]:
        """The catalogues by name, in the recipe's order."""
        sections = self.data if isinstance(self.data, tuple) else (self.data,)
        return {section.called: section for section in sections}


def load_recipe(path: Path, overrides: Iterable[str] = ()) -> Recipe:
    """Read a recipe and apply `section.key=value` overrides.

    Raises `UserError` with every fault of the recipe at once.
    """
    values = read_yaml(path, "recipe")
    for override in overrides:
        apply_override(values, override)
    return parse_recipe(values, str(path))


def parse_recipe(values: Mapping[str, Any], source: str) -> Recipe:
    """Validate a recipe's values; `source` names them in error messages."""
    return parse(Recipe, values, source)


def parse(kind: type[Parsed], values: Mapping[str, Any], source: str) -> Parsed:
    """Validate the values of a YAML file of this `kind`. Raises `UserError` with every fault at once."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        faults = "\n".join(f"  {_explain(kind, fault)}" for fault in error.errors())
        name = kind.__name__.lower()
        raise UserError(f"{source}: {error.error_count()} fault(s) in the {name}\n{faults}") from None


def _explain(kind: type[BaseModel], fault: Any) -> str:
    """One line for one of pydantic's errors, with the nearest known key for an unknown one."""
    section, keys = _located(kind, fault["loc"])
    where = ".".join(keys) or kind.__name__.lower()
    if fault["type"].startswith("union_tag"):
        found = fault["ctx"].get("tag", "nothing")
        known = list(_catalogues())
        return f"{where}.catalogue: expected one of {', '.join(known)}; found {found}{nearest(found, known)}"
    if fault["type"] == "missing":
        return f"{where}: missing; the {kind.__name__.lower()} must give it"
    if fault["type"] != "extra_forbidden":
        return f"{where}: {fault['msg'].removeprefix('Value error, ')}, found {_shown(fault['input'])}"
    known = list(section.model_fields)
    return f"{where}: unknown key{nearest(keys[-1], known) or '; known: ' + ', '.join(known)}"


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the known one it may have meant."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 3]}..."


def _located(kind: type[BaseModel], location: tuple[int | str, ...]) -> tuple[type[BaseModel], list[str]]:
    """The section that a fault is in, and its key as the file writes it.

    Pydantic puts `ONE` or `SEVERAL` after `data`, and the catalogue after that or after the place in the list.
    """
    section = kind
    keys = [str(part) for part in location]
    rest = keys[:-1]
    if keys[:1] == ["data"] and len(keys) > 1:
        catalogue = 2 if keys.pop(1) == SEVERAL else 1
        if len(keys) > catalogue:
            section = _catalogues()[keys.pop(catalogue)]
        rest = keys[catalogue:-1]
    for key in rest:
        inner = _models(section.model_fields[key].annotation) if key in section.model_fields else []
        section = inner[0] if inner else section
    return section, keys


def _catalogues() -> dict[str, type[BaseModel]]:
    return {get_args(model.model_fields["catalogue"].annotation)[0]: model for model in _models(CatalogueConfig)}


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]
