"""Encoders of every kind, small, made on disk."""

from collections.abc import Callable
from pathlib import Path

import torch
from tiny_clip import WORDS, write_clip
from tiny_models import write_tiny
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    BertConfig,
    BertModel,
    BitImageProcessorPil,
    ConvNextImageProcessorPil,
    Dinov2Config,
    Dinov2Model,
    PreTrainedTokenizerFast,
    ResNetConfig,
    ResNetModel,
)

from finetune.embedding.named import named_encoder
from finetune.models.encoders.base import Encoder

SENTENCES = ["a red dress with long sleeves", "blue hat", "green wool coat", "hat"]


def resnet(folder: Path) -> str:
    torch.manual_seed(0)
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    ResNetModel(config).save_pretrained(folder)
    ConvNextImageProcessorPil(size={"shortest_edge": 32}).save_pretrained(folder)
    return str(folder)


def dinov2(folder: Path) -> str:
    torch.manual_seed(0)
    tower = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 28, "patch_size": 14}
    Dinov2Model(Dinov2Config(**tower)).save_pretrained(folder)
    square = {"height": 28, "width": 28}
    BitImageProcessorPil(size={"shortest_edge": 28}, crop_size=square).save_pretrained(folder)
    return str(folder)


def bert(folder: Path) -> str:
    """A BERT, which sentence-transformers pools to the mean of its tokens."""
    torch.manual_seed(0)
    vocabulary = {word: number for number, word in enumerate(["[PAD]", "[UNK]", *WORDS])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "model_max_length": 16}
    PreTrainedTokenizerFast(tokenizer_object=words, **names).save_pretrained(folder)
    tower = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = BertConfig(vocab_size=len(vocabulary), max_position_embeddings=16, initializer_range=1.0, **tower)
    BertModel(config).save_pretrained(folder)
    return str(folder)


def clip(folder: Path) -> str:
    return str(write_clip(folder, "clip"))


def siglip(folder: Path) -> str:
    return str(write_clip(folder, "siglip"))


def of_blip2(folder: Path) -> str:
    return f"{write_tiny(folder, 'blip2')}:queries"


def of_llava(folder: Path) -> str:
    return f"{write_tiny(folder, 'llava')}:vision"


def lite0(folder: Path) -> str:
    return "efficientnet-lite0"


def tfidf(folder: Path) -> str:
    return "tfidf"


# Each encoder: how it is made, its resolution and its pooling.
ENCODERS: dict[str, tuple[Callable[[Path], str], int | None, str | None]] = {
    "lite0": (lite0, 32, None),
    "lite0 grid": (lite0, 64, "grid"),
    "resnet": (resnet, None, None),
    "resnet grid": (resnet, None, "grid"),
    "dinov2": (dinov2, None, None),
    "clip": (clip, None, None),
    "siglip": (siglip, None, None),
    "bert": (bert, None, None),
    "tfidf": (tfidf, None, None),
    "blip2 queries": (of_blip2, None, None),
    "blip2 queries flat": (of_blip2, None, "flat"),
    "llava vision": (of_llava, None, None),
}


def make_encoder(kind: str, folder: Path) -> Encoder:
    """An encoder of `ENCODERS`, its files in `folder`, fitted to `SENTENCES`."""
    make, resolution, pooling = ENCODERS[kind]
    encoder = named_encoder(make(folder), resolution, pooling)
    encoder.fit(SENTENCES)
    return encoder
