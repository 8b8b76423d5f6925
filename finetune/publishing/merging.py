"""A run's adapter merged into its base: a whole model that plain transformers loads."""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from safetensors import SafetensorError

from finetune.config.recipe import Model, Recipe, parse_recipe
from finetune.data.mixture import prepare_all
from finetune.models.adapter_files import load_adapter
from finetune.models.adapters import count_parameters
from finetune.models.families import captioner_class
from finetune.models.families.base import Captioner
from finetune.models.generation import generate
from finetune.publishing.contents import MARK, OWN_ADAPTER, public
from finetune.runs.folder import MODEL_FOLDER, TRAINING_FILE
from finetune.runs.record import read_training
from finetune.runs.system import load_system
from finetune.training.collator import CaptionCollator
from finetune.training.losses import caption_losses
from finetune.training.preflight import check_disk
from metrics.common.errors import UserError
from metrics.common.files import make_folder, sha256, write_text
from metrics.common.images import to_rgb

PHOTOS = 8
DTYPES = get_args(Model.model_fields["dtype"].annotation)
SPARE = 64 << 20  # tokenizer, configuration
Said = tuple[list[str], list[float]]


@dataclass(frozen=True)
class Comparison:
    """The merged model, in `dtype`, beside base and adapter, on `photos` of the validation split.

    `largest` is the largest difference of a reference caption's log-probability per token, in nats.
    """

    dtype: str
    photos: int
    equal: int
    largest: float


def merge(run: Path, out: Path, dtype: str | None = None) -> Comparison:
    """Write the model that `run` trained to the folder `out`, whole or not at all, and compare it as it then loads.

    Quantised bases are merged in their dequantised weights. Default `dtype`: the recipe's, bfloat16 where it quantises.
    `merged.json` beside the model keeps what it was made of and the comparison, for `push`.
    Raises `UserError` where there is no adapter to merge, or no place for the model.
    """
    recipe = _recipe_of(run)
    dtype = dtype or ("bfloat16" if recipe.model.quantization else recipe.model.dtype)
    _check(out, dtype)
    validation = prepare_all(recipe.catalogues, recipe.training.seed).whole.splits["validation"]
    rows = [validation[place] for place in range(min(PHOTOS, len(validation)))]
    make_folder(out.parent)
    draft = out.with_name(f".{out.name}.{os.getpid()}.draft")
    try:
        before = _write_merged(run, recipe, getattr(torch, dtype), draft, rows)
        found = _compared(dtype, before, _read(_load_whole(recipe, draft, dtype), recipe, rows))
        origin = {"adapter_sha256": sha256(run / OWN_ADAPTER), "base": public(recipe.model.base)}
        write_text(draft / MARK, json.dumps(origin | asdict(found), indent=1) + "\n")
        draft.rename(out)
    except (OSError, SafetensorError) as error:
        raise UserError(f"cannot write {out}: {error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return found


def _compared(dtype: str, before: Said, after: Said) -> Comparison:
    equal = [one == other for one, other in zip(before[0], after[0], strict=True)]
    largest = max(abs(one - other) for one, other in zip(before[1], after[1], strict=True))
    return Comparison(dtype, len(equal), sum(equal), largest)


def _recipe_of(run: Path) -> Recipe:
    training = read_training(run)
    if training is None:
        raise UserError(f"{run}: no finished run; expected the folder that `train` wrote, with {TRAINING_FILE}")
    if not (run / MODEL_FOLDER / "adapter_config.json").is_file():
        raise UserError(
            f"{run}: has no adapter to merge: its towers were tuned in full, and {run / MODEL_FOLDER} is the whole "
            "model already; copy that folder"
        )
    return parse_recipe(training.recipe, f"{run}/{TRAINING_FILE}")


def _check(out: Path, dtype: str) -> None:
    if dtype not in DTYPES:
        raise UserError(f"--dtype {dtype}: expected one of {', '.join(DTYPES)}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"--out {out}: holds something already; name a new folder")


def _write_merged(run: Path, recipe: Recipe, dtype: torch.dtype, draft: Path, rows: Sequence[Any]) -> Said:
    """Merge and save; what base and adapter said of the photos."""
    captioner = load_system(str(run), None, recipe).captioner
    check_disk(draft.parent, _weights(captioner) * dtype.itemsize + SPARE)
    said = _read(captioner, recipe, rows)
    captioner.model = captioner.model.unload()
    if recipe.model.quantization:
        captioner.model = captioner.model.dequantize()
    if dtype == torch.float32:
        captioner.model.float()
    load_adapter(captioner, str(run))
    try:
        merged = captioner.model.merge_and_unload(safe_merge=True).to(dtype)
    except ValueError as error:
        raise UserError(f"{run}: cannot be merged: {error}") from error
    for part in merged.config.sub_configs:  # the whole's own is told by transformers
        getattr(merged.config, part).dtype = dtype
    merged.save_pretrained(draft)
    captioner.processor.save_pretrained(draft)
    return said


def _weights(captioner: Captioner) -> int:
    return sum(counts["total"] for counts in count_parameters(captioner).values())


def _load_whole(recipe: Recipe, folder: Path, dtype: str) -> Captioner:
    own = {"base": str(folder), "revision": None, "tiny": None, "quantization": None, "dtype": dtype}
    return captioner_class(recipe.model.family).load(recipe.model.model_copy(update=own))


@torch.inference_mode()
def _read(captioner: Captioner, recipe: Recipe, rows: Sequence[Any]) -> Said:
    """A caption of each photo, and the log-probability per token of its reference caption."""
    prompt = captioner.prompt_of(recipe.prompt)
    photos = [to_rgb(row["image"]) for row in rows]
    captions = generate(captioner, photos, [prompt] * len(photos), recipe.decoding)
    batch = CaptionCollator(captioner, prompt)(rows)
    losses, counts = caption_losses(
        captioner.model, {key: value.to(captioner.model.device) for key, value in batch.items()}
    )
    return [one.caption for one in captions], (-losses / counts).tolist()
