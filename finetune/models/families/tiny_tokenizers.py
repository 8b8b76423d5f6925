"""Small tokenizers of the kinds that the families' language models use, trained on a catalogue's text."""

import json
from collections.abc import Iterable
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaTokenizer, PreTrainedTokenizerFast

OPT_TOKENS = ("<s>", "<pad>", "</s>", "<unk>")
LLAMA_TOKENS = ("<unk>", "<s>", "</s>")
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def train_opt_tokenizer(texts: Iterable[str], vocabulary: int) -> Any:
    """A byte-level BPE tokenizer with OPT's special tokens: begins with `</s>`, knows the line break."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(OPT_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="</s> $A", special_tokens=[("</s>", 2)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="</s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>"
    )


def train_llama_tokenizer(texts: Iterable[str], vocabulary: int) -> Any:
    """Llama's tokenizer (blanks as "▁", bytes for unknown characters, begins with `<s>`) with LLaVA's `<pad>`."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[*LLAMA_TOKENS, *BYTES], initial_alphabet=["▁"], show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    trained = json.loads(tokenizer.to_str())["model"]
    merges = [tuple(merge) for merge in trained["merges"]]
    extra = {"pad_token": "<pad>", "extra_special_tokens": {"image_token": "<image>"}}
    return LlamaTokenizer(vocab=trained["vocab"], merges=merges, add_bos_token=True, **extra)
