"""FashionIQ's layout in small, and recipes of composed retrieval on it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from tiny import photo

Rows = Sequence[Mapping[str, Any]]


def row(target: str | None, candidate: str, *captions: str) -> dict[str, Any]:
    """A row of a file of captions; the official test files have no target."""
    named = {} if target is None else {"target": target}
    return {**named, "candidate": candidate, "captions": list(captions)}


def write_split(folder: Path, category: str, split: str, ids: Sequence[str], rows: Rows, photos: bool = True) -> Path:
    """Write the files of one split, and a photo of each id."""
    for name, value in (("captions/cap", list(rows)), ("image_splits/split", list(ids))):
        path = folder / f"{name}.{category}.{split}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value), encoding="utf-8")
    (folder / "images").mkdir(exist_ok=True)
    for key in ids if photos else ():
        photo(folder / "images" / f"{key}.jpg")
    return folder


def write_recipe(path: Path, folder: Path, photo_encoder: str, text_encoder: str = "tfidf", **sections: Any) -> Path:
    """Write a recipe that trains on dresses in `folder`; `sections` change it."""
    values: dict[str, Any] = {
        "output": str(path.with_suffix("")),
        "dataset": {"folder": str(folder), "categories": ["dress"]},
        "photo": {"encoder": photo_encoder},
        "text": {"encoder": text_encoder},
        "model": {"dimensions": 8},
        "training": {"epochs": 1, "batch_size": 8},
    }
    for name, section in sections.items():
        values[name] = {**values.get(name, {}), **section} if isinstance(section, dict) else section
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path
