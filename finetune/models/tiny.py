"""Tiny base models: the real classes with few parameters, and a tokenizer trained on a catalogue's text."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from finetune.config.recipe import FamilyName, Tiny
from finetune.models.families import captioner_class
from finetune.models.processor_files import save_processor
from metrics.common.errors import UserError
from metrics.common.files import atomic_folder, read_json_object, write_text

MARK = "tiny.json"


def make_tiny(family: FamilyName, shape: Tiny, texts: Sequence[str], folder: Path) -> None:
    """Write a randomly initialised tiny model of `family`, with its processor, to `folder`, whole or not at all.

    Does nothing if it exists already. Raises `UserError` if `folder` holds anything else, such as a tiny model of
    another shape, seed or text.
    """
    check_tiny(family, shape, folder)
    digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()
    mark = _mark(family, shape) | {"texts": digest}
    if folder.exists():
        if _read_mark(folder) == mark:
            return
        raise UserError(f"model.base: {folder}: a tiny model made from other training texts; name another model.base")
    torch.manual_seed(shape.seed)
    captioner = captioner_class(family)
    model, processor = captioner.tiny(shape, texts)
    weights = {captioner.published_name(name): tensor for name, tensor in model.state_dict().items()}
    with atomic_folder(folder) as draft:
        try:
            model.save_pretrained(draft, state_dict=weights)
        except SafetensorError as error:  # its way to report a full disk
            raise UserError(f"cannot write {folder}: {error}") from error
        save_processor(processor, draft)
        write_text(draft / MARK, json.dumps(mark, indent=1))


def check_tiny(family: FamilyName, shape: Tiny, folder: Path) -> None:
    """Raise `UserError` if `folder` exists and is not a tiny model of this family and shape."""
    if not folder.exists():
        return
    mark = _read_mark(folder)
    if mark is None:
        raise UserError(
            f"model.base: {folder}: exists already and is not a model that model.tiny makes; leave model.tiny out "
            "to start from it, or name another model.base"
        )
    if mark | _mark(family, shape) != mark:
        raise UserError(
            f"model.base: {folder}: a tiny model of another family, shape or seed ({mark.get('family')}); name "
            "another model.base"
        )


def _mark(family: FamilyName, shape: Tiny) -> dict[str, Any]:
    return {"family": family, "shape": shape.model_dump()}


def _read_mark(folder: Path) -> dict[str, Any] | None:
    if not (folder / MARK).is_file():
        return None
    return read_json_object(folder / MARK, "leave model.tiny out to start from that model, or name another model.base")
