"""Everything a YAML recipe may say."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    model_serializer,
    model_validator,
)

from finetune.config import history
from finetune.config.baselines import Baselines
from finetune.config.catalogues import CatalogueSection
from finetune.config.errors import nearest, parse
from finetune.config.history import current_overrides, with_current_names
from finetune.config.mixture import Data
from finetune.config.overrides import apply_override, read_yaml
from finetune.config.packaged import short_name
from finetune.config.scoring import Scoring
from finetune.config.section import (
    Count,
    LearningRate,
    LowestRate,
    NotNegative,
    Positive,
    Section,
    Seed,
    Share,
    Size,
    expanded,
)
from metrics.common.measure_names import ORDER

FamilyName = Literal["blip2", "llava", "prefix"]
Tuning = Literal["frozen", "lora", "full"]
PREFIX_KEYS = ("encoder", "decoder", "grid")


class Tiny(Section):
    """Shape of a base model made on the spot by `make-tiny`: real classes, few parameters, random weights.

    Of the family `prefix` alone: `encoder` and `decoder`, a photo encoder (`efficientnet-lite0`, or a folder or Hub id)
    and a language model that are used as published; `grid`: the photo's cells along a side that have a token each.
    """

    image_size: Annotated[int, Field(ge=1, le=4096)] = 48
    patch_size: Annotated[int, Field(ge=1, le=4096)] = 8
    hidden_size: Annotated[Size, Field(multiple_of=4)] = 128  # a layer has 4 heads
    layers: Annotated[int, Field(ge=1, le=1000)] = 3
    queries: Size = 8
    vocabulary: Annotated[int, Field(ge=300, le=1_000_000)] = 1000
    dropout: Share = 0.1
    seed: Seed = 0
    encoder: str | None = None
    decoder: str | None = None
    grid: Annotated[int, Field(ge=0, le=256)] = 0

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.encoder is None and self.image_size < self.patch_size:
            raise ValueError(f"image_size: expected patch_size ({self.patch_size}) or more")
        return self

    @model_serializer(mode="wrap")
    def _as_before(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """The keys of the family `prefix` only where they say something: older runs and folders lack them."""
        return {key: value for key, value in serialize(self).items() if key not in PREFIX_KEYS or value}


class Model(Section):
    """The base model: a Hub id, a folder, or `demo` for the one that comes with Lookbook.

    `image`: how photos that are not square become square. LLaVA's are padded (default; as LLaVA-1.5 was trained), or
    `crop`: as its published processor does, which never sees what is outside the middle square (the published runs), or
    `stretch`. BLIP-2 stretches. None, for a model that is named without a recipe: as its saved processor does.
    """

    family: FamilyName = "blip2"
    base: Annotated[str, AfterValidator(short_name)]
    revision: str | None = None
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    attention: Literal["sdpa", "eager", "flash_attention_2"] = "sdpa"
    quantization: Literal["nf4", "int8"] | None = None
    tiny: Tiny | None = None
    image: Literal["pad", "crop", "stretch"] | None = None

    @model_validator(mode="after")
    def _image_of_family(self) -> Self:
        if self.image is None:  # not among the fields that were given
            object.__setattr__(self, "image", "pad" if self.family == "llava" else "stretch")
        if self.family != "llava" and self.image != "stretch":
            name = "BLIP-2" if self.family == "blip2" else self.family
            raise ValueError(f"image: {name}'s processor stretches photos; expected stretch, found {self.image}")
        return self

    @model_validator(mode="after")
    def _tiny_of_family(self) -> Self:
        given = [key for key in PREFIX_KEYS if self.tiny and getattr(self.tiny, key)]
        if given and self.family != "prefix":
            raise ValueError(f"tiny.{given[0]}: only the family prefix has it; leave it out, or set family: prefix")
        return self

    def identity(self) -> dict[str, Any]:
        """The values that decide what the model writes; the key `image` only where it changes what was always done."""
        values = self.model_dump()
        if self.image in (None, history.ADDED["model.image"](values)):
            del values["image"]
        return values


class Tune(Section):
    """What is trained of each tower."""

    vision: Tuning = "frozen"
    connector: Tuning = "frozen"
    language: Tuning = "lora"


def _are_modules(value: Any) -> Any:
    """A union's own errors name its parts, each with what does not fit it."""
    layers = isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)
    if not layers and value not in ("query-value", "all-linear"):
        raise ValueError("expected query-value, all-linear or a list of layer names")
    return value


class Lora(Section):
    """Low-rank adapters (Hu et al. 2021), rank-stabilised by default (Kalajdzievski 2023); `dora`: Liu et al. 2024.

    `modules`: those of each tower that has LoRA, by a name of the family's or by the last parts of their names.
    """

    rank: Size = 32
    alpha: Positive = 64
    dropout: Share = 0.05
    rslora: bool = True
    dora: bool = False
    modules: Annotated[Literal["query-value", "all-linear"] | tuple[str, ...], BeforeValidator(_are_modules)] = (
        "query-value"
    )


class Augmentation(Section):
    """Random changes to training photos; none by default."""

    flip: Share = 0.0
    crop: Annotated[float, Field(ge=0, lt=1)] = 0.0


class Rates(Section):
    """Learning rates of towers; those not named have `training.learning_rate`."""

    vision: LearningRate | None = None
    connector: LearningRate | None = None
    language: LearningRate | None = None


class Training(Section):
    """Optimisation.

    `cosine_steps`: optimizer steps in which the learning rate falls, before it rises again as in the published code
    (500 there); default: one cosine over the whole run. `max_steps` ends a run before its epochs.
    """

    epochs: Annotated[float, Field(gt=0, le=100_000)] = 10
    max_steps: Count | None = None
    learning_rate: LearningRate = 1e-4
    learning_rates: Rates = Rates()
    cosine_steps: Count | None = None
    optimizer: Literal["adamw", "paged-adamw-8bit"] = "adamw"
    gradient_checkpointing: bool = False
    minimum_learning_rate: LowestRate = 1e-6
    warmup_steps: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0
    weight_decay: NotNegative = 1e-6
    batch_size: Size = 16
    micro_batch_size: Size = 4
    patience: Count = 3
    seed: Seed = 42
    workers: Annotated[int, Field(ge=0, le=1024)] = 4
    tracker: Literal["tensorboard", "wandb", "none"] = "tensorboard"


class Labels(Section):
    """What the loss is counted on; the defaults correct the published code.

    `stop_token`: also train the token that ends a caption (the published code does not, so LLaVA never learns to stop).
    `on`: count the `caption` alone, or also the `prompt` and its placeholders (published for LLaVA), or `all` tokens,
    padding included (published for BLIP-2). `pad_to`: pad to this number of tokens, placeholders included (published
    for BLIP-2: 512), instead of to the longest of the batch.
    """

    stop_token: bool = True
    on: Literal["caption", "prompt", "all"] = "caption"
    pad_to: Size | None = None


def _known_measure(name: str) -> str:
    known = {one.lower(): one for one in ORDER}
    if name.lower() not in known:
        raise ValueError(f"expected one of {', '.join(ORDER)}{nearest(name, ORDER)}")
    return known[name.lower()]


def _is_evaluated(best: str, info: ValidationInfo) -> str:
    if best.lower() == "loss" or not {"captions", "measures"} <= info.data.keys():
        return best.lower()
    if not info.data["captions"]:
        raise ValueError("expected loss, since no captions are written (evaluation.captions is 0)")
    known = {one.lower(): one for one in info.data["measures"]}
    if best.lower() not in known:
        raise ValueError(f"expected loss or one of evaluation.measures ({', '.join(known.values())})")
    return str(known[best.lower()])


class CaptionEvaluation(Section):
    """When training is evaluated, and by what.

    `every`: optimizer steps; default: once an epoch. `captions`: the number of validation photos, always the same ones,
    whose captions are written and scored by `measures`. `best`: `loss`, or the measure by whose highest value the best
    checkpoint and the end of training are chosen.
    """

    every: Count | None = None
    captions: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0
    measures: Annotated[tuple[Annotated[str, AfterValidator(_known_measure)], ...], Field(min_length=1)] = ("CIDEr",)
    best: Annotated[str, AfterValidator(_is_evaluated)] = "loss"


class Decoding(Section):
    """How captions are generated."""

    beams: Annotated[int, Field(ge=1, le=1024)] = 1
    repetition_penalty: Positive = 1.0
    max_new_tokens: Size = 100
    batch_size: Size = 16


def _without_last_blank(prompt: str) -> str:
    if prompt.endswith((" ", "\t")):
        raise ValueError("ends in a blank; leave it out, since the caption brings its own")
    return prompt


Output = Annotated[Path, AfterValidator(expanded)]


class Recipe(Section):
    """One experiment: data, model, what is tuned and how, how captions are written.

    Without `prompt` it is the one that the model's family was published with. `language`: that of the captions, for the
    model card.
    """

    output: Output
    prompt: Annotated[str, AfterValidator(_without_last_blank)] | None = None
    data: Data
    model: Model
    tune: Tune = Tune()
    lora: Lora = Lora()
    augmentation: Augmentation = Augmentation()
    training: Training = Training()
    labels: Labels = Labels()
    evaluation: CaptionEvaluation = CaptionEvaluation()
    decoding: Decoding = Decoding()
    baselines: Baselines = Baselines()
    scoring: Scoring = Scoring()
    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z]{2,4})?$")] = "en"

    @property
    def catalogues(self) -> dict[str, CatalogueSection]:
        """The catalogues by name, in the recipe's order."""
        sections = self.data if isinstance(self.data, tuple) else (self.data,)
        return {section.called: section for section in sections}


def load_recipe(path: Path, overrides: Iterable[str] = ()) -> Recipe:
    """Read a recipe and apply `section.key=value` overrides.

    Raises `UserError` with all errors of the recipe at once.
    """
    values = with_current_names(read_yaml(path, "recipe"), str(path))
    for override in current_overrides(overrides, "overrides"):
        apply_override(values, override)
    return parse_recipe(values, str(path))


def parse_recipe(values: Mapping[str, Any], source: str) -> Recipe:
    """Validate a recipe's values; `source` names them in error messages."""
    return parse(Recipe, with_current_names(values, source), source)
