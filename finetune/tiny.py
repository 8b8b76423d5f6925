"""Tiny base models: the real classes with few parameters, and a tokenizer trained on a catalogue's text."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from finetune.config import Tiny
from finetune.families import FamilyName, captioner_class
from metrics.errors import UserError

SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>")


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
        model, processor = captioner_class(family).tiny(shape, train_tokenizer(texts, shape.vocabulary))
        model.save_pretrained(draft)
        processor.save_pretrained(draft)
        (draft / MARK).write_text(mark, encoding="utf-8")
        draft.rename(folder)
    except (OSError, SafetensorError) as error:
        raise UserError(f"cannot write {folder}: {error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> Any:
    """A byte-level BPE tokenizer with OPT's special tokens: begins with `</s>`, knows the line break."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="</s> $A", special_tokens=[("</s>", 2)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="</s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>"
    )
