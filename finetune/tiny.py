"""Tiny base models: the real classes with few parameters, and a tokenizer trained on a catalogue's text."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from finetune.config import Tiny
from finetune.families import FamilyName, captioner_class

SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>")


def make_tiny(family: FamilyName, shape: Tiny, texts: Iterable[str], folder: Path, seed: int) -> None:
    """Write a randomly initialised tiny model of `family`, with its processor, to `folder`."""
    torch.manual_seed(seed)
    model, processor = captioner_class(family).tiny(shape, train_tokenizer(texts, shape.vocabulary))
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


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
