"""A run's adapter merged into its base: a whole model that plain transformers loads."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from safetensors import SafetensorError

from finetune.config.recipe import Decoding, Model, Recipe
from finetune.data.mixture import prepare_all
from finetune.models.adapter_files import WEIGHTS, load_adapter
from finetune.models.adapters import count_parameters
from finetune.models.families import captioner_class
from finetune.models.families.base import Captioner
from finetune.models.generation import carry_decoding, generate
from finetune.models.loading import local_folder
from finetune.models.processor_files import save_processor
from finetune.publishing.contents import ADAPTER, MARK, public
from finetune.runs.captioning_system import load_system
from finetune.runs.folder import RunFolder
from finetune.runs.training_record import read_training, trained_recipe
from finetune.training.collator import CaptionCollator
from finetune.training.losses import caption_losses
from finetune.training.preflight import check_disk
from metrics.common.drafts import remove_dead
from metrics.common.errors import UserError
from metrics.common.files import atomic_folder, sha256, write_text
from metrics.photos.colours import to_rgb

PHOTOS = 8
DTYPES = get_args(Model.model_fields["dtype"].annotation)
SPARE = 64 << 20  # tokenizer, configuration
Answers = tuple[list[str], list[float]]


@dataclass(frozen=True)
class Comparison:
    """The merged model, in `dtype`, compared with base and adapter on `photos` of the validation split.

    `largest` is the largest difference of a reference caption's log-probability per token, in nats.
    """

    dtype: str
    photos: int
    equal: int
    largest: float


def merge(run: Path, out: Path, dtype: str | None = None) -> Comparison:
    """Write the model that `run` trained to the folder `out`, whole or not at all, and compare it as it then loads.

    Quantised bases are merged in their dequantised weights. Default `dtype`: the recipe's, bfloat16 if it quantises.
    `merged.json` beside the model records what it was made of and the comparison, for `push`.
    Raises `UserError` if there is no adapter to merge, or no room for the model.
    """
    recipe = _recipe_of(run)
    dtype = dtype or ("bfloat16" if recipe.model.quantization else recipe.model.dtype)
    _check(out, dtype)
    validation = prepare_all(recipe.catalogues, recipe.training.seed).whole.splits["validation"]
    rows = [validation[place] for place in range(min(PHOTOS, len(validation)))]
    captioner = load_system(str(run), None, recipe).captioner
    check_disk(out.parent, _weights(captioner) * getattr(torch, dtype).itemsize + SPARE, "give another --out")
    before = _answers(captioner, recipe.prompt, recipe.decoding, rows)
    _merge_adapter(captioner, run, recipe.model, getattr(torch, dtype))
    with atomic_folder(out) as draft:
        carry_decoding(captioner, recipe.decoding)
        _save(captioner, recipe.model, draft, out)
        del captioner  # the merged model needs its memory
        after = _answers(_load_merged(recipe.model, draft, dtype), recipe.prompt, recipe.decoding, rows)
        comparison = _compared(dtype, before, after)
        origin = {"adapter_sha256": sha256(RunFolder(run).model / WEIGHTS), "base": public(recipe.model.base)}
        write_text(draft / MARK, json.dumps(origin | asdict(comparison), indent=1) + "\n")
    return comparison


def _compared(dtype: str, before: Answers, after: Answers) -> Comparison:
    equal = [one == other for one, other in zip(before[0], after[0], strict=True)]
    largest = max(abs(one - other) for one, other in zip(before[1], after[1], strict=True))
    return Comparison(dtype, len(equal), sum(equal), largest)


def _recipe_of(run: Path) -> Recipe:
    folder, training = RunFolder(run), read_training(run)
    if training is None:
        raise UserError(f"{run}: no finished run; expected the folder that `train` wrote, with {folder.training.name}")
    if not (folder.model / ADAPTER).is_file():
        raise UserError(
            f"{run}: has no adapter to merge: its towers were tuned in full, and {folder.model} is the whole model "
            "already; copy that folder"
        )
    return trained_recipe(training, str(folder.training))


def _check(out: Path, dtype: str) -> None:
    if dtype not in DTYPES:
        raise UserError(f"--dtype {dtype}: expected one of {', '.join(DTYPES)}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"--out {out}: exists and is not empty; give a new folder")
    remove_dead(out.parent)  # a draft is as large as the model: before the disk is looked at


def _merge_adapter(captioner: Captioner, run: Path, model: Model, dtype: torch.dtype) -> None:
    """Make the captioner's base with its adapter one model, from weights that are not quantised."""
    captioner.model = captioner.model.unload()
    if model.quantization:
        captioner.model = captioner.model.dequantize()
    if dtype == torch.float32:
        captioner.model.float()
    load_adapter(captioner, str(run))
    try:
        merged = captioner.model.merge_and_unload(safe_merge=True).to(dtype)
    except ValueError as error:
        raise UserError(f"{run}: cannot be merged: {error}") from error
    for part in merged.config.sub_configs:  # transformers sets only that of the whole
        getattr(merged.config, part).dtype = dtype
    captioner.model = merged


def _save(captioner: Captioner, model: Model, draft: Path, out: Path) -> None:
    try:
        captioner.model.save_pretrained(draft)
    except SafetensorError as error:
        raise UserError(f"cannot write {out}: {error}") from error
    save_processor(captioner.processor, draft, local_folder(model))


def _weights(captioner: Captioner) -> int:
    return sum(counts["total"] for counts in count_parameters(captioner).values())


def _load_merged(model: Model, folder: Path, dtype: str) -> Captioner:
    own = {"base": str(folder), "revision": None, "tiny": None, "quantization": None, "dtype": dtype}
    return captioner_class(model.family).load(model.model_copy(update=own))


@torch.inference_mode()
def _answers(captioner: Captioner, prompt: str | None, decoding: Decoding, rows: Sequence[Any]) -> Answers:
    """A caption of each photo, and the log-probability per token of its reference caption."""
    prompt = captioner.prompt_of(prompt)
    photos = [to_rgb(row["image"]) for row in rows]
    captions = generate(captioner, photos, [prompt] * len(photos), decoding)
    batch = CaptionCollator(captioner, prompt)(rows)
    losses, counts = caption_losses(
        captioner.model, {key: value.to(captioner.model.device) for key, value in batch.items()}
    )
    return [one.caption for one in captions], (-losses / counts).tolist()
