"""From photos and prompts to captions, with any family's model."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size
from PIL import Image
from transformers import GenerationConfig

from finetune.config.errors import parse
from finetune.config.recipe import Decoding
from finetune.models.families.base import Captioner
from finetune.models.loading import is_sharded
from metrics.common.errors import UserError


@dataclass(frozen=True)
class Generated:
    """One caption, with its mean log-probability (nats a token), its tokens, and whether it ended with a stop token."""

    caption: str
    logprob: float
    tokens: int
    finished: bool


def generate(
    captioner: Captioner, images: Sequence[Image.Image], prompts: Sequence[str], decoding: Decoding
) -> list[Generated]:
    """Write one caption per photo, each after its own prompt; greedy with one beam, else beam search.

    If memory does not suffice, each half of the photos on its own. Raises `UserError` if a single one does not fit.
    """
    try:
        return _generate_batch(captioner, images, prompts, decoding)
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
    return [
        *generate(captioner, images[:half], prompts[:half], decoding),
        *generate(captioner, images[half:], prompts[half:], decoding),
    ]


@torch.no_grad()
def _generate_batch(
    captioner: Captioner, images: Sequence[Image.Image], prompts: Sequence[str], decoding: Decoding
) -> list[Generated]:
    inputs = _to_device(captioner, captioner.checked_inputs(images, prompts))
    check_length(decoding, captioner.context - inputs["input_ids"].shape[1])
    output = captioner.model.generate(
        **inputs, **_options(captioner, decoding), return_dict_in_generate=True, output_logits=True
    )
    beams = output.beam_indices if decoding.beams > 1 else None
    scores = captioner.generator.compute_transition_scores(
        output.sequences, output.logits, beams, normalize_logits=True
    )
    if not torch.isfinite(scores).all():
        raise UserError(
            f"{captioner.model.config.name_or_path}: expected finite log-probabilities, found infinite or NaN: its "
            f"activations overflow in {captioner.model.dtype}; set model.dtype: bfloat16 or float32"
        )
    new = output.sequences[:, -scores.shape[1] :]
    return [_caption_of(captioner, ids, row) for ids, row in zip(new.tolist(), scores.tolist(), strict=True)]


def carry_decoding(captioner: Captioner, decoding: Decoding) -> None:
    """Let the model's `generation_config.json` say how it writes captions, for those who load it without Lookbook."""
    captioner.bare_model.generation_config = GenerationConfig(**_options(captioner, decoding))


def carried_decoding(captioner: Captioner) -> Decoding:
    """How the model's `generation_config.json` says that it writes captions; the defaults for what it leaves open.

    Raises `UserError` if it says something impossible.
    """
    config = captioner.bare_model.generation_config
    said = {
        "beams": config.num_beams,
        "repetition_penalty": config.repetition_penalty,
        "max_new_tokens": config.max_new_tokens,
    }
    given = {key: value for key, value in said.items() if value is not None}
    return parse(Decoding, given, f"{captioner.bare_model.config.name_or_path}: generation_config.json")


def _options(captioner: Captioner, decoding: Decoding) -> dict[str, Any]:
    return {
        "do_sample": False,
        "num_beams": decoding.beams,
        "repetition_penalty": decoding.repetition_penalty,
        "max_new_tokens": decoding.max_new_tokens,
        "eos_token_id": captioner.stop_token_id,
        "pad_token_id": captioner.tokenizer.pad_token_id,
    }


def _to_device(captioner: Captioner, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    model = captioner.model
    return {
        name: tensor.to(model.device, model.dtype if tensor.is_floating_point() else None)
        for name, tensor in inputs.items()
    }


def _caption_of(captioner: Captioner, ids: list[int], scores: list[float]) -> Generated:
    finished = captioner.stop_token_id in ids
    length = ids.index(captioner.stop_token_id) + 1 if finished else len(ids)
    text = captioner.tokenizer.decode(ids[: length - finished], skip_special_tokens=True)
    return Generated(" ".join(text.split()), sum(scores[:length]) / length, length, finished)


def check_length(decoding: Decoding, room: int) -> None:
    """Raise `UserError` if captions may grow longer than the `room` tokens that the model can read of them."""
    if decoding.max_new_tokens > room:
        raise UserError(
            f"decoding.max_new_tokens: {decoding.max_new_tokens} is more than the {room} tokens that the model can "
            "read behind its prompt"
        )
