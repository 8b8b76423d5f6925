"""Tiny base models: the real classes with few parameters, and a tokenizer trained on a catalogue's text."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from finetune.config.recipe import Tiny
from finetune.models.families import FamilyName, captioner_class
from metrics.common.errors import UserError

MARK = "tiny.json"


def make_tiny(family: FamilyName, shape: Tiny, texts: Sequence[str], folder: Path) -> None:
    """Write a randomly initialised tiny model of `family`, with its processor, to `folder`, whole or not at all.

    Nothing is done where it stands already. Raises `UserError` where `folder` holds anything else, a tiny model of
    another shape, seed or text among it.
    """
    check_tiny(family, shape, folder)
    digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()
    mark = _mark(family, shape) | {"texts": digest}
    if folder.exists():
        if _read_mark(folder) == mark:
            return
        raise UserError(f"model.base: {folder}: a tiny model made from other training texts; name another model.base")
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        torch.manual_seed(shape.seed)
        model, processor = captioner_class(family).tiny(shape, texts)
        model.save_pretrained(draft)
        processor.save_pretrained(draft)
        (draft / MARK).write_text(json.dumps(mark, indent=1), encoding="utf-8")
        draft.rename(folder)
    except (OSError, SafetensorError) as error:
        raise UserError(f"cannot write {folder}: {error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def check_tiny(family: FamilyName, shape: Tiny, folder: Path) -> None:
    """Raise `UserError` where `folder` stands and is no tiny model of this family and shape."""
    if not folder.exists():
        return
    found = _read_mark(folder)
    if found is None:
        raise UserError(
            f"model.base: {folder}: stands already and is no model that model.tiny makes; leave model.tiny out "
            "to start from it, or name another model.base"
        )
    if found | _mark(family, shape) != found:
        raise UserError(
            f"model.base: {folder}: a tiny model of another family, shape or seed ({found.get('family')}); name "
            "another model.base"
        )


def _mark(family: FamilyName, shape: Tiny) -> dict[str, Any]:
    return {"family": family, "shape": shape.model_dump()}


def _read_mark(folder: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads((folder / MARK).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
