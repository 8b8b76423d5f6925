"""What all model families have in common: a model, its processor, and the way from photos to captions."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from PIL.Image import Image
from transformers import PreTrainedModel

from finetune.config import Decoding, Model, Tiny
from finetune.families.loading import check_base
from metrics.errors import UserError

TOWERS = ("vision", "connector", "language")


@dataclass(frozen=True)
class Generated:
    """One caption with the evidence of how it was written."""

    caption: str
    logprob: float
    tokens: int
    finished: bool


class Captioner(ABC):
    """A captioning model and its processor.

    A family says where its towers are, which layers LoRA may reach, how it is loaded and how a prompt
    with its image placeholders becomes tokens. Module names are matched from the start, so that a pattern
    of one tower never reaches another.
    """

    model_type: ClassVar[str]
    towers: ClassVar[dict[str, tuple[str, ...]]]
    lora_targets: ClassVar[dict[str, dict[str, str]]]

    def __init__(self, model: PreTrainedModel, processor: Any) -> None:
        self.model: Any = model
        self.processor = processor

    @classmethod
    def check(cls, config: Model) -> None:
        """Raise `UserError` where the base, a folder or a Hub id, is no model of this family; loads no weights."""
        check_base(config, cls.model_type)

    @classmethod
    @abstractmethod
    def load(cls, config: Model, device: str | None = None) -> Self:
        """Load a Hub id or a folder. Raises `UserError` where there is no model of this family."""

    @classmethod
    @abstractmethod
    def tiny(cls, shape: Tiny, tokenizer: Any) -> tuple[PreTrainedModel, Any]:
        """A randomly initialised model of this family and its processor."""

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

    @abstractmethod
    def prompt_inputs(self, images: Sequence[Image], prompt: str) -> dict[str, torch.Tensor]:
        """`pixel_values` (n, 3, h, w), `input_ids` and `attention_mask` (n, t) of the prompt before the caption."""

    @property
    def tokenizer(self) -> Any:
        """The processor's tokenizer."""
        return self.processor.tokenizer

    def tower_of(self, parameter: str) -> str:
        """The tower a parameter of the bare model belongs to."""
        for tower, prefixes in self.towers.items():
            if parameter.startswith(prefixes):
                return tower
        raise ValueError(f"parameter {parameter} belongs to no tower of {type(self).__name__}")

    def checked_inputs(self, images: Sequence[Image], prompt: str) -> dict[str, torch.Tensor]:
        """`prompt_inputs`, the placeholders counted: without them a model is silently blind."""
        inputs = self.prompt_inputs(images, prompt)
        counts = (inputs["input_ids"] == self.image_token_id).sum(1)
        if not bool((counts == self.image_tokens).all()):
            raise UserError(
                f"expected {self.image_tokens} image placeholders (id {self.image_token_id}) per photo, found "
                f"{sorted(set(counts.tolist()))}: the processor of this checkpoint does not fit its model"
            )
        return inputs

    def caption_tokens(self, caption: str, prompt: str) -> list[int]:
        """Token ids of a caption, on one line, ended by the stop token."""
        text = (" " if prompt and not prompt[-1].isspace() else "") + " ".join(caption.split())
        return [*self.tokenizer(text, add_special_tokens=False)["input_ids"], self.stop_token_id]

    @torch.inference_mode()
    def generate(self, images: Sequence[Image], prompt: str, decoding: Decoding) -> list[Generated]:
        """Write one caption per photo; greedy with one beam, else beam search."""
        inputs = self._to_device(self.checked_inputs(images, prompt))
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
        scores = self._language_model().compute_transition_scores(
            output.sequences, output.logits, beams, normalize_logits=True
        )
        new = output.sequences[:, -scores.shape[1] :]
        return [self._generated(ids, row) for ids, row in zip(new.tolist(), scores.tolist(), strict=True)]

    def _generated(self, ids: list[int], scores: list[float]) -> Generated:
        finished = self.stop_token_id in ids
        length = ids.index(self.stop_token_id) + 1 if finished else len(ids)
        text = self.tokenizer.decode(ids[: length - finished], skip_special_tokens=True)
        return Generated(" ".join(text.split()), sum(scores[:length]) / length, length, finished)

    def _language_model(self) -> Any:
        return self.model.language_model

    def _to_device(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        dtype = self.model.dtype
        return {
            name: tensor.to(self.model.device, dtype if tensor.is_floating_point() else None)
            for name, tensor in inputs.items()
        }
