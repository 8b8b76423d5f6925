"""Tiny base models: the real classes with few parameters, and a tokenizer trained on a catalogue's text."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError

from finetune.config import Tiny
from finetune.families import FamilyName, captioner_class
from metrics.errors import UserError

MARK = "tiny.json"


def make_tiny(family: FamilyName, shape: Tiny, texts: Sequence[str], folder: Path) -> None:
    """Write a randomly initialised tiny model of `family`, with its processor, to `folder`, whole or not at all.

    Nothing is done where it stands already. Raises `UserError` where `folder` holds anything else, a tiny model of
    another shape, seed or text among it.
    """
    digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()
    mark = json.dumps({"family": family, "shape": shape.model_dump(), "texts": digest}, indent=1)
    if folder.exists():
        if (folder / MARK).is_file() and (folder / MARK).read_text(encoding="utf-8") == mark:
            return
        raise UserError(
            f"model.base: {folder}: stands already and is no tiny model of this family, shape, seed and training text; "
            "remove it, or name another model.base"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        torch.manual_seed(shape.seed)
        model, processor = captioner_class(family).tiny(shape, texts)
        model.save_pretrained(draft)
        processor.save_pretrained(draft)
        (draft / MARK).write_text(mark, encoding="utf-8")
        draft.rename(folder)
    except (OSError, SafetensorError) as error:
        raise UserError(f"cannot write {folder}: {error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
