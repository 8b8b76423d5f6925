"""Tiny models of the real classes, made in memory, and photos that differ."""

import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
import yaml
from PIL import Image

from finetune.config.recipe import Decoding, Model, Tiny
from finetune.data.demo.catalogue import write_demo
from finetune.models.families import captioner_class, family_of
from finetune.models.families.base import Captioner
from finetune.models.generation import Generated, generate
from finetune.models.tiny import make_tiny

SHAPE = Tiny(image_size=32, patch_size=8, hidden_size=32, layers=2, queries=4, vocabulary=320)
ARTICLES = 150
CAPTIONS = [
    "red dress with long sleeves.",
    "blue trousers.",
    "a green cotton shirt with a collar, buttons down the front and one chest pocket.",
    "yellow hat",
]


def write_tiny(folder: Path, family: str = "blip2") -> Path:
    """A base model on disk."""
    make_tiny(family, SHAPE, CAPTIONS, folder)  # type: ignore[arg-type]
    return folder


def load_tiny(
    folder: Path, family: str | None = None, dtype: str = "float32", quantization: str | None = None
) -> Captioner:
    """A fresh captioner of a written base model."""
    own = {"family": family or family_of(str(folder)), "base": str(folder)}
    config = Model.model_validate(own | {"dtype": dtype, "quantization": quantization})
    return captioner_class(config.family).load(config, "cpu")


def captions_of(
    captioner: Captioner, photos: list[Image.Image], prompt: str | None = None, **decoding: Any
) -> list[Generated]:
    """Captions of the photos, all after one prompt, by default the family's."""
    prompts = [captioner.default_prompt if prompt is None else prompt] * len(photos)
    return generate(captioner, photos, prompts, Decoding(**decoding))


def photo(seed: int) -> Image.Image:
    """A photo of noise."""
    pixels = torch.randint(0, 256, (40, 30, 3), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    return Image.fromarray(pixels.numpy())


def rows(count: int = 4) -> list[dict[str, object]]:
    """Rows as a catalogue gives them to the collator."""
    return [{"image": photo(number), "caption": CAPTIONS[number % len(CAPTIONS)]} for number in range(count)]


def write_recipe(root: Path, name: str = "run", **sections: Any) -> Path:
    """`<root>/<name>.yaml`: a demo catalogue, which is copied to `root`, and a tiny model, made there when it is needed.

    `sections` change or add keys of the recipe's sections.
    """
    recipe: dict[str, Any] = {
        "output": str(root / name),
        "data": {"catalogue": "demo", "folder": str(root / "demo"), "articles": ARTICLES, "limit": 24},
        "model": {
            "base": str(root / "base"),
            "dtype": "float32",
            "tiny": {"image_size": 32, "hidden_size": 32, "layers": 1, "queries": 4, "vocabulary": 400, "dropout": 0},
        },
        "training": {"epochs": 2, "learning_rate": 3e-3, "batch_size": 8, "micro_batch_size": 8, "workers": 0}
        | {"tracker": "none"},
    }
    for section, values in sections.items():
        recipe[section] = recipe.get(section, {}) | values if isinstance(values, dict) else values
    demo = root / "demo"
    drawn = {"catalogue": "demo", "folder": str(demo), "articles": ARTICLES, "limit": None}
    is_drawn = isinstance(recipe["data"], dict) and recipe["data"] | {"limit": None} == drawn
    if is_drawn and not demo.exists():
        shutil.copytree(Path(_drawings().name) / "demo", demo)
    path = root / f"{name}.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


@cache
def _drawings() -> tempfile.TemporaryDirectory[str]:
    """The demo catalogue, drawn once and removed when this process ends."""
    folder = tempfile.TemporaryDirectory()
    write_demo(Path(folder.name) / "demo", ARTICLES, 0)
    return folder
