"""A handful of photos in FACAD's layout, written out by hand."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

SAID = ("a", "blue", "cotton", "dress", "floral", "hat", "nah", "red", "silk", "wool")
WORDS = {"<pad>": 0} | {word: number for number, word in enumerate((*SAID, "<unk>", "<start>", "<end>"), 1)}
WIDTH = 8
SPLITS = ("TRAIN", "VAL", "TEST")
Photo = tuple[str, int, str]
"""Caption, category id, attributes."""

TRAIN: list[Photo] = [
    ("a red dress", 3, "cotton floral"),
    ("a red dress", 3, "cotton floral"),
    ("a blue hat", 5, "wool"),
    ("a red silk dress", 3, ""),
]
VALIDATION: list[Photo] = [("a blue cotton dress", 3, "cotton"), ("a wool hat", 5, "wool")]
TEST: list[Photo] = [
    ("a floral hat", 5, "silk"),
    ("a floral hat", 5, "silk"),
    ("a red dress", 3, "wool"),
]
META: list[dict[str, Any]] = [
    {
        "id": 1,
        "title": "Hat",
        "description": "A floral HAT of pure joy",
        "category": "hats",
        "categoryid": 5,
        "attr": ["floral", "hat", "nah"],
        "images": [{"color": "Red", "0": "https://x.org/1.jpeg?h=365", "1": "https://x.org/2.jpeg"}],
    },
    {
        "id": 2,
        "title": "Dress, red",
        "description": "A red dress",
        "category": "dresses",
        "categoryid": 3,
        "attr": ["red", "cotton", "nah"],
        "images": [
            {
                "color": "Red",
                "0": "https://x.org/3.jpeg?w=240",
                "10": "https://x.org/5.jpeg",
                "9": "https://x.org/4.png",
            },
            {"color": "Blue", "0": "https://x.org/6.JPG?crop"},
        ],
    },
]


def facad(
    folder: Path,
    splits: Sequence[Sequence[Photo]] = (TRAIN, VALIDATION, TEST),
    meta: list[dict[str, Any]] | None = META,
    ending: str = "",
) -> Path:
    """Write the files; `ending` comes before their extensions."""
    folder.mkdir(parents=True)
    put(folder / "WORDMAP.json", WORDS)
    if meta is not None:
        put(folder / "meta_all_2.json", meta)
    for number, (name, photos) in enumerate(zip(SPLITS, splits, strict=True)):
        with h5py.File(folder / f"{name}_IMAGES{ending}.hdf5", "w") as file:
            file["images"] = np.stack([pixels(number, row) for row in range(len(photos))])
        put(folder / f"{name}_CAPTIONS{ending}.json", [encoded(caption) for caption, _, _ in photos])
        put(folder / f"{name}_CAPLENS{ending}.json", [len(caption.split()) + 2 for caption, _, _ in photos])
        put(folder / f"{name}_ATTRS{ending}.json", [attribute_ids(attributes) for _, _, attributes in photos])
        put(folder / f"{name}_CATES_FLAT{ending}.json", [category for _, category, _ in photos])
    return folder


def put(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def encoded(caption: str) -> list[int]:
    ids = [WORDS[word] for word in ("<start>", *caption.split(), "<end>")]
    return ids + [0] * (WIDTH - len(ids))


def attribute_ids(attributes: str) -> list[int]:
    ids = [WORDS[word] for word in attributes.split()]
    return [*ids, *[WORDS["nah"]] * (3 - len(ids)), 0]


def pixels(split: int, row: int, height: int = 6, width: int = 4) -> np.ndarray:
    """A photo (3, height, width), another one for every row."""
    return np.random.default_rng([split, row]).integers(0, 256, (3, height, width), dtype=np.uint8)
