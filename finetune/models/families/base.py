"""What all model families have in common: a model, its processor, and the way from photos to captions."""

import re
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size
from PIL import Image
from transformers import PreTrainedModel

from finetune.config.recipe import Decoding, Model, Tiny
from finetune.models.loading import check_base, is_sharded
from metrics.common.errors import UserError

TOWERS = ("vision", "connector", "language")
IMAGE_TOKEN = "<image>"
LEAST_ROOM = 2


@dataclass(frozen=True)
class Generated:
    """One caption with the evidence of how it was written."""

    caption: str
    logprob: float
    tokens: int
    finished: bool


class Captioner(ABC):
    """A captioning model and its processor.

    A family says where its towers and its head are, which layers LoRA may reach, how it is loaded, how many `<image>` a
    prompt holds (`prompt_placeholders`; the processor adds them where it is 0) and how the prompt becomes tokens.
    Module names are matched from the start, so that a pattern of one tower never reaches another.
    """

    model_type: ClassVar[str]
    default_prompt: ClassVar[str]
    prompt_placeholders: ClassVar[int]
    towers: ClassVar[dict[str, tuple[str, ...]]]
    lora_targets: ClassVar[dict[str, dict[str, str]]]
    head: ClassVar[str]

    def __init__(self, model: PreTrainedModel, processor: Any) -> None:
        self.model: Any = model
        self.processor = processor

    @classmethod
    def check(cls, config: Model) -> None:
        """Raise `UserError` where the base, a folder or a Hub id, is no model of this family; loads no weights."""
        check_base(config, cls.model_type)

    @classmethod  # noqa: B027
    def set_types(cls, model: Any) -> None:
        """Put what must not be computed in the recipe's type into float32."""

    @classmethod
    @abstractmethod
    def load(cls, config: Model, device: str | None = None) -> Self:
        """Load a Hub id or a folder. Raises `UserError` where there is no model of this family."""

    @classmethod
    @abstractmethod
    def tiny(cls, shape: Tiny, texts: Sequence[str]) -> tuple[PreTrainedModel, Any]:
        """A randomly initialised model of this family and its processor, with a tokenizer trained on `texts`."""

    @classmethod
    def unquantized(cls) -> list[str]:
        """The modules whose weights are never quantised: vision tower, connector and head."""
        prefixes = (*cls.towers["vision"], *cls.towers["connector"])
        return [*(prefix.rstrip(".") for prefix in prefixes), cls.head]

    @classmethod
    def prompt_of(cls, wanted: str | None) -> str:
        """The prompt that a recipe wants, else the family's. Raises `UserError` where its placeholders do not fit."""
        prompt = cls.default_prompt if wanted is None else wanted
        found = prompt.count(IMAGE_TOKEN)
        if found != cls.prompt_placeholders:
            raise UserError(
                f"prompt: expected {cls.prompt_placeholders} {IMAGE_TOKEN} in a prompt of {cls.model_type}, found "
                f"{found} in {prompt!r}; leave the prompt out to take {cls.default_prompt!r}"
            )
        return prompt

    @property
    @abstractmethod
    def stop_token_id(self) -> int:
        """The token that ends a caption, trained and waited for."""

    @property
    @abstractmethod
    def image_token_id(self) -> int:
        """The token that stands for one image feature."""

    @property
    @abstractmethod
    def image_tokens(self) -> int:
        """How many placeholders one photo takes."""

    def prompt_inputs(self, images: Sequence[Image.Image], prompt: str) -> dict[str, torch.Tensor]:
        """`pixel_values` (n, 3, h, w), `input_ids` and `attention_mask` (n, t) of the prompt before the caption.

        All rows are equally long, so nothing is padded; nothing is ever cut.
        """
        texts = [prompt] * len(images)
        batch = self.processor(images=list(images), text=texts, padding=True, padding_side="left", return_tensors="pt")
        return {name: batch[name] for name in ("pixel_values", "input_ids", "attention_mask")}

    @property
    def context(self) -> int:
        """How many tokens, of placeholders, prompt and caption together, the language model can read."""
        return int(self.model.config.text_config.max_position_embeddings)

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

    def checked_inputs(self, images: Sequence[Image.Image], prompt: str) -> dict[str, torch.Tensor]:
        """`prompt_inputs`, the placeholders counted: without them a model is silently blind."""
        inputs = self.prompt_inputs(images, prompt)
        counts = (inputs["input_ids"] == self.image_token_id).sum(1)
        if not bool((counts == self.image_tokens).all()):
            raise UserError(
                f"expected {self.image_tokens} image placeholders (id {self.image_token_id}) per photo, found "
                f"{sorted(set(counts.tolist()))}: the processor of this checkpoint does not fit its model"
            )
        return inputs

    def room(self, prompt: str) -> int:
        """How many tokens of a caption, its stop token among them, fit behind placeholders and prompt.

        Raises `UserError` where there is no room: placeholders are never cut.
        """
        taken = self.checked_inputs([Image.new("RGB", (8, 8))], prompt)["input_ids"].shape[1]
        if self.context - taken < LEAST_ROOM:
            raise UserError(
                f"prompt: takes {taken} of the {self.context} tokens that the model can read, its image placeholders "
                "among them; shorten it"
            )
        return self.context - taken

    def caption_tokens(self, caption: str, prompt: str, room: int | None = None) -> list[int]:
        """Token ids of a caption as they follow the prompt, on one line, ended by the stop token.

        A caption of more than `room` tokens is cut behind the last word that fits, within the first where none does.
        """
        text = " ".join(caption.split())
        ids, starts = self._following(text, prompt)
        if room is not None and len(ids) >= room:
            whole_words = text[: starts[room - 1] + 1].rpartition(" ")[0]
            ids = self._following(whole_words, prompt)[0] if whole_words else ids[: room - 1]
        return [*ids, self.stop_token_id]

    def _following(self, text: str, prompt: str) -> tuple[list[int], list[int]]:
        """Tokens of `text` as they stand behind the prompt's last word, the blank included, and where they begin."""
        before = re.search(r"\S*\s*\Z", prompt).group()  # type: ignore[union-attr]
        glued = before + (" " if before and not before[-1].isspace() else "")
        encoded = self.tokenizer(
            glued + text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True
        )
        spans = encoded["offset_mapping"]
        own = [place for place, (_, end) in enumerate(spans) if end > len(before)]
        return [encoded["input_ids"][place] for place in own], [spans[place][0] - len(glued) for place in own]

    def generate(self, images: Sequence[Image.Image], prompt: str, decoding: Decoding) -> list[Generated]:
        """Write one caption per photo; greedy with one beam, else beam search.

        Where memory does not suffice, each half of the photos by itself. Raises `UserError` where one does not fit.
        """
        try:
            return self._written(images, prompt, decoding)
        except Exception as error:
            if not should_reduce_batch_size(error):
                raise
        clear_device_cache(garbage_collection=True)
        if is_sharded():
            raise UserError("out of memory while writing captions; lower decoding.batch_size")
        if len(images) == 1:
            raise UserError("out of memory with the caption of a single photo; lower decoding.beams or max_new_tokens")
        warnings.warn("out of memory: captions are written in halves; lower decoding.batch_size", stacklevel=2)
        half = len(images) // 2
        return [*self.generate(images[:half], prompt, decoding), *self.generate(images[half:], prompt, decoding)]

    @torch.no_grad()
    def _written(self, images: Sequence[Image.Image], prompt: str, decoding: Decoding) -> list[Generated]:
        inputs = self._to_device(self.checked_inputs(images, prompt))
        check_length(decoding, self.context - inputs["input_ids"].shape[1])
        output = self.model.generate(
            **inputs,
            do_sample=False,
            num_beams=decoding.beams,
            repetition_penalty=decoding.repetition_penalty,
            max_new_tokens=decoding.max_new_tokens,
            eos_token_id=self.stop_token_id,
            pad_token_id=self.tokenizer.pad_token_id,
            return_dict_in_generate=True,
            output_logits=True,
        )
        beams = output.beam_indices if decoding.beams > 1 else None
        scores = self._generator().compute_transition_scores(
            output.sequences, output.logits, beams, normalize_logits=True
        )
        new = output.sequences[:, -scores.shape[1] :]
        return [self._generated(ids, row) for ids, row in zip(new.tolist(), scores.tolist(), strict=True)]

    def _generated(self, ids: list[int], scores: list[float]) -> Generated:
        finished = self.stop_token_id in ids
        length = ids.index(self.stop_token_id) + 1 if finished else len(ids)
        text = self.tokenizer.decode(ids[: length - finished], skip_special_tokens=True)
        return Generated(" ".join(text.split()), sum(scores[:length]) / length, length, finished)

    def _generator(self) -> Any:
        """The model that knows the vocabulary of what `generate` writes."""
        return self.model

    def _to_device(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        dtype = self.model.dtype
        return {
            name: tensor.to(self.model.device, dtype if tensor.is_floating_point() else None)
            for name, tensor in inputs.items()
        }


def check_length(decoding: Decoding, room: int) -> None:
    """Raise `UserError` where captions may grow longer than the `room` tokens that the model can read of them."""
    if decoding.max_new_tokens > room:
        raise UserError(
            f"decoding.max_new_tokens: {decoding.max_new_tokens} is more than the {room} tokens that the model can "
            "read behind its prompt"
        )
