"""Everything a YAML recipe may say."""

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import yaml
from pydantic import AfterValidator, BaseModel, Field, PositiveFloat, PositiveInt, ValidationError

from finetune.catalogues import CatalogueConfig
from finetune.families import FamilyName
from finetune.section import Section
from metrics.errors import UserError

Tuning = Literal["frozen", "lora", "full"]
Share = Annotated[float, Field(ge=0, le=1)]
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


def _without_last_blank(prompt: str) -> str:
    if prompt.endswith((" ", "\t")):
        raise ValueError("ends in a blank; leave it out, since the caption brings its own")
    return prompt


Output = Annotated[Path, AfterValidator(_expanded)]


class Recipe(Section):
    """One experiment: data, model, what is tuned and how, how captions are written.

    Without `prompt` it is the one that the model's family was published with.
    """

    output: Output
    prompt: Annotated[str, AfterValidator(_without_last_blank)] | None = None
    data: CatalogueConfig
    model: Model
    tune: Tune = Tune()
    lora: Lora = Lora()
    augmentation: Augmentation = Augmentation()
    training: Training = Training()
    decoding: Decoding = Decoding()


def load_recipe(path: Path, overrides: Iterable[str] = ()) -> Recipe:
    """Read a recipe and apply `section.key=value` overrides.

    Raises `UserError` with every fault of the recipe at once.
    """
    values = read_yaml(path, "recipe")
    for override in overrides:
        _apply(values, override)
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


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a key that stands twice in a mapping, which YAML readers else resolve silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        repeated = next((key for key, _ in node.value if keys.count(key.value) > 1), None)
        if repeated is not None:
            problem = f"key {repeated.value!r} stands twice in one section"
            raise yaml.constructor.ConstructorError(None, None, problem, repeated.start_mark)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path, name: str) -> dict[str, Any]:
    """A YAML file's mapping; `name` says in error messages what the file should be. Raises `UserError`."""
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeys)  # noqa: S506
    except FileNotFoundError:
        near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.yaml")], n=1)
        hint = f"; did you mean {path.parent / near[0]}?" if near else ""
        raise UserError(f"{path}: no such {name}{hint}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot read the {name}: {error}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: a {name} is a mapping of sections, found {type(values).__name__}")
    return values


def _apply(values: dict[str, Any], override: str) -> None:
    path, separator, value = override.partition("=")
    keys = path.split(".")
    if not separator or not all(keys):
        raise UserError(f"override {override!r}: expected section.key=value, for example training.epochs=3")
    for key in keys[:-1]:
        if values.get(key) is None:
            values[key] = {}
        values = values[key]
        if not isinstance(values, dict):
            raise UserError(f"override {override!r}: {key} is a value, not a section")
    try:
        values[keys[-1]] = yaml.safe_load(value)
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"override {override!r}: the value is not valid YAML: {error}") from None


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
        return f"{where}: {fault['msg']}, found {fault['input']!r}"
    known = list(section.model_fields)
    return f"{where}: unknown key{nearest(keys[-1], known) or '; known: ' + ', '.join(known)}"


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the known one it may have meant."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _located(kind: type[BaseModel], location: tuple[int | str, ...]) -> tuple[type[BaseModel], list[str]]:
    """The section that a fault is in, and its key as the file writes it: pydantic puts the catalogue after `data`."""
    section = kind
    keys = [str(part) for part in location]
    rest = keys[:-1]
    if keys[:1] == ["data"] and len(keys) > 1:
        section = _catalogues()[keys.pop(1)]
        rest = keys[1:-1]
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
