"""Dual encoders of random weights, of the classes of the real ones, with photos and captions to encode."""

from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    AutoImageProcessor,
    AutoModel,
    AutoTokenizer,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPTokenizer,
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipImageProcessorPil,
    SiglipModel,
)

KINDS = ("clip", "siglip")
READS = 24
WORDS = [
    "a",
    "photo",
    "depicts",
    "red",
    "blue",
    "green",
    "dress",
    "hat",
    "coat",
    "with",
    "long",
    "sleeves",
    "pockets",
    "cotton",
    "wool",
]
TOWER = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


def write_clip(folder: Path, kind: str = "clip", seed: int = 0) -> Path:
    """Write a tiny model of `kind` with its tokenizer and image processor to `folder`; return it."""
    {"clip": _clip, "siglip": _siglip}[kind](folder, seed)
    return folder


def _clip(folder: Path, seed: int) -> None:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [*alphabet, *(f"{letter}</w>" for letter in alphabet), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer(vocab={piece: number for number, piece in enumerate(pieces)}, merges=[])
    tokenizer.model_max_length = 77
    config = CLIPConfig(
        text_config={
            **TOWER,
            "vocab_size": len(pieces),
            "max_position_embeddings": 77,
            "bos_token_id": len(pieces) - 2,
            "eos_token_id": len(pieces) - 1,
        },
        vision_config={**TOWER, "image_size": 32, "patch_size": 8},
        projection_dim=12,
    )
    photos = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    _save(folder, CLIPModel, config, tokenizer, photos, seed)


def _siglip(folder: Path, seed: int) -> None:
    text = {**TOWER, "vocab_size": len(WORDS) + 3, "max_position_embeddings": READS}
    config = SiglipConfig(text_config=text, vision_config={**TOWER, "image_size": 32, "patch_size": 8})
    photos = SiglipImageProcessorPil(size={"height": 32, "width": 32})
    _save(folder, SiglipModel, config, _words(), photos, seed)


def _words() -> Any:
    """A tokenizer of `WORDS` that pads on the right, as SigLIP's do, and cuts after `READS`."""
    vocabulary = {word: number for number, word in enumerate(["<pad>", "<eos>", "<unk>", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    names = {"pad_token": "<pad>", "eos_token": "<eos>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=READS, padding_side="right", **names)


def _save(folder: Path, model: Any, config: Any, tokenizer: Any, photos: Any, seed: int) -> None:
    torch.manual_seed(seed)
    made = model(config)
    for parameter in made.parameters():
        if parameter.ndim > 1:  # wide, so that photos and captions are far apart
            parameter.data = torch.randn_like(parameter)
    made.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    photos.save_pretrained(folder)


def write_photos(folder: Path, count: int) -> list[str]:
    """Write photos of different patterns, taller than wide; return their names."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{number}.png" for number in range(count)]
    for number, name in enumerate(names):
        photo = Image.new("RGB", (40, 60), (37 * number % 256, 90, 160))
        photo.paste((250, 40 * number % 256, 10), (number % 20, 5, number % 20 + 15, 30 + number))
        photo.save(folder / name)
    return names


def cosine(folder: Path, photo: Path, text: str) -> float:
    """The cosine of a photo and a text by the forward pass of transformers, of one pair alone."""
    model, tokens, photos = _loaded(folder)
    with torch.no_grad():
        made = model(**tokens(text), **photos(images=Image.open(photo).convert("RGB"), return_tensors="pt"))
        return float((made.logits_per_image - getattr(model, "logit_bias", 0)) / model.logit_scale.exp())


def text_cosine(folder: Path, one: str, other: str) -> float:
    """The cosine of two texts by the text tower of transformers."""
    model, tokens, _ = _loaded(folder)
    with torch.no_grad():
        first, second = (model.get_text_features(**tokens(text)).pooler_output for text in (one, other))
        return float(torch.nn.functional.cosine_similarity(first, second))


@cache
def _loaded(folder: Path) -> tuple[Any, Any, Any]:
    """Model, tokenization of one text as the model's documentation has it, and image processor."""
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    further: dict[str, Any] = {"return_tensors": "pt", "truncation": True}
    if model.config.model_type != "clip":
        further |= {"padding": "max_length", "max_length": READS, "return_attention_mask": False}
    return model, partial(tokenizer, **further), AutoImageProcessor.from_pretrained(folder, backend="pil")
