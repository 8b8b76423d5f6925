"""The contract of a model family: a model, its processor, and all that the rest of Lookbook asks of them."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from peft import PeftModel
from PIL import Image
from transformers import PreTrainedModel

from finetune.config.recipe import Model, Tiny
from finetune.models.loading import check_base
from metrics.common.errors import UserError
from metrics.encoders.pretrained import loading
from metrics.encoders.safe_loading import load_part

TOWERS = ("vision", "connector", "language")
IMAGE_TOKEN = "<image>"
MINIMUM_ROOM = 2
# What transformers' processors call the inputs with an integer for each token; of the last two, 0 is text.
TOKEN_INPUTS = ("input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids")
Batch = dict[str, torch.Tensor]


@dataclass(frozen=True)
class BatchShape:
    """A batch: photos, patches of one photo (CLIP's class token among them), and tokens of the language model."""

    photos: int
    patches: int
    tokens: int


def _photo_settings(image_processor: Any) -> dict[str, Any]:
    names = ("do_pad", "do_resize", "size", "do_center_crop", "crop_size", "image_mean", "image_std", "resample")
    return {name: str(getattr(image_processor, name, None)) for name in names}


class Captioner(ABC):
    """A captioning model and its processor.

    A family declares where its towers and its head are, which layers LoRA may reach, how it is loaded, how many
    `<image>` a prompt holds (`prompt_placeholders`; 0 if the processor adds them), and what photos and prompts become
    (`encode`). Nothing else assumes which inputs those are, or that all photos take the same number of tokens.
    `features` are those of photos that may be kept, each with the modules that it comes from (`photo_features`).
    Module names are matched from the start, so that a pattern of one tower never reaches another.
    """

    model_type: ClassVar[str]
    default_prompt: ClassVar[str]
    prompt_placeholders: ClassVar[int]
    towers: ClassVar[dict[str, tuple[str, ...]]]
    lora_targets: ClassVar[dict[str, dict[str, str]]]
    head: ClassVar[str]
    kept_between_towers: ClassVar[int] = 4
    """Copies of the text's embeddings, in float32, that training keeps where photos with a gradient join the text."""
    features: ClassVar[dict[str, tuple[str, ...]]] = {}

    def __init__(self, model: PreTrainedModel, processor: Any) -> None:
        self.model: Any = model
        self.processor = processor
        self._base_photos = getattr(processor, "image_processor", None)  # none where only memory is estimated

    @classmethod
    def check(cls, config: Model) -> None:
        """Raise `UserError` if the base, a folder or a Hub id, is not a model of this family; loads no weights."""
        check_base(config, cls.model_type)

    @classmethod  # noqa: B027
    def set_types(cls, model: Any) -> None:
        """Put what must not be computed in the recipe's type into float32."""

    @classmethod
    @abstractmethod
    def load(cls, config: Model, device: str | None = None) -> Self:
        """Load a Hub id or a folder. Raises `UserError` if there is no model of this family."""

    @classmethod
    @abstractmethod
    def tiny(cls, shape: Tiny, texts: Sequence[str]) -> tuple[PreTrainedModel, Any]:
        """A randomly initialised model of this family and its processor, with a tokenizer trained on `texts`."""

    @classmethod
    def published_name(cls, parameter: str) -> str:
        """What published models call a parameter that transformers names otherwise in a model made from nothing."""
        return parameter

    @classmethod
    def unquantized(cls) -> list[str]:
        """The modules whose weights are never quantised: vision tower, connector and head."""
        prefixes = (*cls.towers["vision"], *cls.towers["connector"])
        return [*(prefix.rstrip(".") for prefix in prefixes), cls.head]

    @classmethod
    def prompt_of(cls, wanted: str | None) -> str:
        """The prompt of a recipe, the family's if it has none. Raises `UserError` if its placeholders do not fit."""
        prompt = cls.default_prompt if wanted is None else wanted
        placeholders = prompt.count(IMAGE_TOKEN)
        if placeholders != cls.prompt_placeholders:
            raise UserError(
                f"prompt: expected {cls.prompt_placeholders} {IMAGE_TOKEN} in a prompt of {cls.model_type}, found "
                f"{placeholders} in {prompt!r}; leave the prompt out to use {cls.default_prompt!r}"
            )
        return prompt

    @property
    @abstractmethod
    def stop_token_id(self) -> int:
        """The token that ends a caption, in training and in generation."""

    @property
    @abstractmethod
    def image_token_id(self) -> int:
        """The token that stands for one image feature."""

    @property
    @abstractmethod
    def most_image_tokens(self) -> int:
        """The most placeholders that one photo takes; what is planned before photos are read counts with it."""

    @property
    def most_patches(self) -> int:
        """The most patches that the vision tower reads of one photo, a class token included."""
        vision = self.model.config.vision_config
        return int((vision.image_size // vision.patch_size) ** 2 + 1)

    def image_token_counts(self, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The placeholders (n,) that each photo of `encode`'s inputs needs; by default always `most_image_tokens`."""
        return torch.full((len(inputs["input_ids"]),), self.most_image_tokens)

    def encode(self, images: Sequence[Any], prompts: Sequence[str]) -> Batch:
        """Everything that the model's forward wants of these photos, each with its prompt, before any caption.

        `input_ids` and `attention_mask` (n, t), padded on the left if prompts differ in length; nothing is ever cut.
        So are other inputs named in `TOKEN_INPUTS`. All others, of whatever shape, belong to the photos and reach the
        model as they are. By default all that the processor returns.
        """
        return dict(
            self.processor(
                images=list(images), text=list(prompts), padding=True, padding_side="left", return_tensors="pt"
            )
        )

    def prepare_photos_as(self, folder: Path) -> bool:
        """Cut and pad photos as the processor in an adapter's folder does, if it has one: as it was trained.

        Without one as the base's does. Returns whether that is not how the base's does. Raises `UserError` if it is
        damaged.
        """
        own = self._base_photos
        if any((folder / name).is_file() for name in ("processor_config.json", "preprocessor_config.json")):
            with loading(str(folder), "a processor", "the files that were written beside the weights"):
                own = load_part(type(self.processor), folder).image_processor
        self.processor.image_processor = own
        return _photo_settings(own) != _photo_settings(self._base_photos)

    @property
    def bare_model(self) -> Any:
        """The model without PEFT's wrapping; the layers of its adapters are in it."""
        return self.model.get_base_model() if isinstance(self.model, PeftModel) else self.model

    def photo_features(self, name: str, pixels: torch.Tensor) -> torch.Tensor:
        """Hidden states (n, tokens, d) of photos (n, 3, h, w), by a name that `features` has, from its modules."""
        raise NotImplementedError(f"{type(self).__name__} has no features {name}")

    @property
    def stored_features(self) -> str | None:
        """The name of the `features` that `encode` takes in the place of photos, if nothing before them is trained."""
        return None

    @property
    def crops(self) -> bool:
        """Whether the model never sees what lies outside a photo's middle square."""
        images = self.processor.image_processor
        return bool(getattr(images, "do_center_crop", False)) and not getattr(images, "do_pad", False)

    @abstractmethod
    def layer_call(self, tower: str, layer: Any, shape: BatchShape) -> tuple[torch.Tensor, dict[str, Any]]:
        """How the model calls one of a tower's layers: hidden states (n, tokens, width), and further arguments.

        Only types and shapes count: the estimate of memory runs the layer on the device in whose context this is.
        """

    @property
    def context(self) -> int:
        """How many tokens, of placeholders, prompt and caption together, the language model can read."""
        return int(self.model.config.text_config.max_position_embeddings)

    @property
    def generator(self) -> Any:
        """The module whose vocabulary `generate` of the model writes in."""
        return self.model

    def is_idle(self, parameter: str) -> bool:
        """Whether a parameter of the bare model never meets the caption's loss, and so is never trained."""
        return False

    def lora_target(self, tower: str, modules: str | Sequence[str]) -> str:
        """The pattern of the layers of a tower that get an adapter; a list names the last parts of linear layers."""
        if isinstance(modules, str):
            return self.lora_targets[tower][modules]
        names = "|".join(map(re.escape, modules))
        return rf"(?=(.*\.)?({names})$)({self.lora_targets[tower]['all-linear']})"

    @property
    def tokenizer(self) -> Any:
        """The processor's tokenizer."""
        return self.processor.tokenizer

    @classmethod
    def tower_of(cls, parameter: str) -> str:
        """The tower a parameter of the bare model belongs to."""
        for tower, prefixes in cls.towers.items():
            if parameter.startswith(prefixes):
                return tower
        raise ValueError(f"parameter {parameter} belongs to no tower of {cls.__name__}")

    def checked_inputs(self, images: Sequence[Any], prompts: Sequence[str]) -> Batch:
        """`encode`, the placeholders counted: without them a model is silently blind."""
        inputs = self.encode(images, prompts)
        expected = self.image_token_counts(inputs)
        counts = (inputs["input_ids"] == self.image_token_id).sum(1)
        if not torch.equal(counts, expected):
            raise UserError(
                f"expected {sorted(set(expected.tolist()))} image placeholders (id {self.image_token_id}) per photo, "
                f"found {sorted(set(counts.tolist()))}: the processor of this checkpoint does not fit its model"
            )
        return inputs

    def room(self, prompt: str) -> int:
        """How many tokens of a caption, its stop token among them, fit behind prompt and placeholders of any photo.

        Raises `UserError` if there is no room: placeholders are never cut.
        """
        ids = self.checked_inputs([Image.new("RGB", (8, 8))], [prompt])["input_ids"]
        used = int((ids != self.image_token_id).sum()) + self.most_image_tokens
        if self.context - used < MINIMUM_ROOM:
            raise UserError(
                f"prompt: takes {used} of the {self.context} tokens that the model can read, its image placeholders "
                "among them; shorten it"
            )
        return self.context - used

    def caption_tokens(self, caption: str, prompt: str, room: int | None = None) -> list[int]:
        """Token ids of a caption as they follow the prompt, on one line, ended by the stop token.

        A caption of more than `room` tokens is cut behind the last word that fits, or within the first if none does.
        """
        text = " ".join(caption.split())
        ids, starts = self._following(text, prompt)
        if room is not None and len(ids) >= room:
            whole_words = text[: starts[room - 1] + 1].rpartition(" ")[0]
            ids = self._following(whole_words, prompt)[0] if whole_words else ids[: room - 1]
        return [*ids, self.stop_token_id]

    def _following(self, text: str, prompt: str) -> tuple[list[int], list[int]]:
        """Tokens of `text` as they are behind the prompt's last word, the blank included, and where they begin."""
        before = re.search(r"\S*\s*\Z", prompt).group()  # type: ignore[union-attr]
        glued = before + (" " if before and not before[-1].isspace() else "")
        encoded = self.tokenizer(
            glued + text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True
        )
        spans = encoded["offset_mapping"]
        own = [place for place, (_, end) in enumerate(spans) if end > len(before)]
        return [encoded["input_ids"][place] for place in own], [spans[place][0] - len(glued) for place in own]
