"""A tiny BERT of random weights, made when needed, so that the classifier can be trained without a download."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import torch
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from transformers import BertConfig, BertModel, BertTokenizer

from metrics.measures.category.examples import Examples
from metrics.text.spelling import with_utf_8

_WORDS = 4000
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_HIDDEN = 64


def make_tiny_bert(examples: Examples, folder: Path, seed: int) -> Path:
    """Write a BERT of 2 layers, 64 wide, with a WordPiece tokenizer of the captions' words, to `folder`; return it."""
    vocabulary = _pieces(row.caption for row in examples.rows)
    tokenizer = BertTokenizer(vocab=vocabulary, model_max_length=512)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=_HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=4 * _HIDDEN,
        initializer_range=0.1,  # BERT's 0.02 is for a width of 768; with it this narrow model would hardly learn
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    torch.manual_seed(seed)
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _pieces(captions: Iterable[str]) -> dict[str, int]:
    """Return WordPiece's vocabulary: special tokens, all characters as a word's start and inside, frequent words.

    The trainer of `tokenizers` gives other pieces in each process, since its hash maps are seeded at random.
    """
    clean, cut = BertNormalizer(lowercase=True).normalize_str, BertPreTokenizer().pre_tokenize_str
    words = Counter(word for caption in captions for word, _ in cut(clean(with_utf_8(caption))))
    characters = sorted({character for word in words for character in word})
    frequent = sorted((word for word in words if len(word) > 1), key=lambda word: (-words[word], word))[:_WORDS]
    pieces = [*_SPECIAL, *characters, *(f"##{character}" for character in characters), *frequent]
    return {piece: number for number, piece in enumerate(pieces)}
