"""A tiny BERT of random weights, made on the spot, so that the classifier's whole path runs without a download."""

from pathlib import Path

import torch
from tokenizers import BertWordPieceTokenizer
from transformers import BertConfig, BertModel, BertTokenizer

from metrics.classifier_examples import Examples

_VOCABULARY = 4000
_HIDDEN = 64


def make_tiny_bert(examples: Examples, folder: Path, seed: int) -> Path:
    """Write a BERT of 2 layers, 64 wide, with a WordPiece tokenizer trained on the captions, to `folder`; return it."""
    vocabulary = _train_vocabulary(sorted({caption for caption, _ in examples.counts}))
    tokenizer = BertTokenizer(vocab=vocabulary, model_max_length=512)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=_HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=4 * _HIDDEN,
    )
    torch.manual_seed(seed)
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _train_vocabulary(captions: list[str]) -> dict[str, int]:
    """Return WordPiece's pieces, special tokens first, the others sorted: the trainer numbers them by chance."""
    tokenizer = BertWordPieceTokenizer(lowercase=True)
    tokenizer.train_from_iterator(captions, vocab_size=_VOCABULARY, show_progress=False)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = sorted(set(tokenizer.get_vocab()) - set(special))
    return {piece: number for number, piece in enumerate([*special, *pieces])}
