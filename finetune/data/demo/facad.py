"""Writes a made-up shop in the layout of FACAD: photos in HDF5 files, captions as lists of word ids, one meta file."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image, ImageOps

from finetune.data.demo.catalogue import MOST_ARTICLES
from finetune.data.demo.drawing import draw, squared
from finetune.data.demo.facad_items import ATTRIBUTES, CATEGORIES, FACAD_SPLITS, NOTHING, Item, items_of
from finetune.data.demo.garments import Garment
from finetune.data.demo.marked_folder import require_numbers, write_whole
from metrics.common.screen import progress

VERSION = 1
PHOTO_SIDE = 64
PAD, UNKNOWN, START, END = "<pad>", "<unk>", "<start>", "<end>"
CLOSEST = 0.75
"""The smallest share of a drawing's side that a view of it shows."""
NEWS_EVERY = 25
"""The interval of items that are announced in the meta file by words that its caption lacks."""


def write_facad_demo(folder: Path, articles: int, seed: int, side: int = PHOTO_SIDE) -> None:
    """Write `articles` items with seven or eight photos of `side` x `side` pixels each into `folder`.

    The same arguments give the same bytes; TEST_ATTRS.json holds the attributes of other items, as FACAD's does.
    The folder appears whole or not at all; where it already holds this very catalogue, nothing is done. Raises
    `UserError` if it holds anything else, or if `articles` or `seed` is out of range.
    """
    require_numbers(articles, len(FACAD_SPLITS), MOST_ARTICLES, seed)
    mark = {"layout": "facad", "articles": articles, "seed": seed, "side": side, "version": VERSION}
    write_whole(folder, mark, lambda draft: _write(draft, items_of(articles, seed), seed, side))


def _write(folder: Path, items: list[Item], seed: int, side: int) -> None:
    words = _word_map(items)
    (folder / "WORDMAP.json").write_text(json.dumps(words), encoding="utf-8")
    _write_list(folder / f"meta_all_{len(items)}.json", (_meta(item, words) for item in items), [1] * len(items))
    width = max(len(item.words) for item in items) + 2
    for name in FACAD_SPLITS:
        part = [item for item in items if item.split == name]
        _write_texts(folder, name, part, words, width)
        _write_photos(folder / f"{name}_IMAGES.hdf5", part, seed, side)


def _word_map(items: list[Item]) -> dict[str, int]:
    """Every word to its id: padding is 0, the marks come last, as in FACAD."""
    vocabulary = {word for item in items for word in (*item.words, *item.attributes)}
    return {word: number for number, word in enumerate((PAD, *sorted(vocabulary | {NOTHING}), UNKNOWN, START, END))}


def _write_texts(folder: Path, name: str, items: list[Item], words: dict[str, int], width: int) -> None:
    labelled = items[1:] + items[:1] if name == "TEST" else items
    columns: dict[str, Iterable[Any]] = {
        "CAPTIONS": (_encoded(item, words, width) for item in items),
        "CAPLENS": (len(item.words) + 2 for item in items),
        "ATTRS": (_attribute_ids(item, words) for item in labelled),
        "CATES_FLAT": (CATEGORIES.index(item.garment.type) for item in items),
    }
    for column, values in columns.items():
        _write_list(folder / f"{name}_{column}.json", values, [item.photos for item in items])


def _encoded(item: Item, words: dict[str, int], width: int) -> list[int]:
    ids = [words[word] for word in (START, *item.words, END)]
    return ids + [words[PAD]] * (width - len(ids))


def _attribute_ids(item: Item, words: dict[str, int]) -> list[int]:
    return [words[word] for word in _padded(item)]


def _padded(item: Item) -> list[str]:
    return [*item.attributes, *[NOTHING] * (len(ATTRIBUTES) - len(item.attributes))]


def _write_list(path: Path, values: Iterable[Any], times: Sequence[int]) -> None:
    """Write a JSON list of `values`, each repeated."""
    with path.open("w", encoding="utf-8") as file:
        for place, (value, count) in enumerate(zip(values, times, strict=True)):
            file.write((", " if place else "[") + ", ".join([json.dumps(value)] * count))
        file.write("]")


def _meta(item: Item, words: dict[str, int]) -> dict[str, Any]:
    text = " ".join(item.words).capitalize()
    return {
        "id": item.number,
        "title": item.garment.type,
        "description": f"{'' if item.number % NEWS_EVERY else 'Just arrived: '}{text} and ready to wear",
        "detail_info": f"{item.garment.fabric.capitalize()}. Drawn, not sewn.",
        "category": item.garment.type.lower(),
        "categoryid": CATEGORIES.index(item.garment.type),
        "attr": _padded(item),
        "attrid": _attribute_ids(item, words),
        "images": [_urls(item, garment, count) for garment, count in item.photos_by_colour()],
    }


def _urls(item: Item, garment: Garment, count: int) -> dict[str, str]:
    base = f"https://example.com/{item.number}/{garment.colour.lower().replace(' ', '-')}"
    return {"color": garment.colour} | {str(place): f"{base}/{place}.jpeg?h=365&w=240" for place in range(count)}


def _write_photos(path: Path, items: list[Item], seed: int, side: int) -> None:
    rows = sum(item.photos for item in items)
    with h5py.File(path, "w") as file:
        images = file.create_dataset("images", (rows, 3, side, side), "uint8", track_times=False)
        row = 0
        for item in progress(items, f"drawing {path.name}", unit="item"):
            images[row : row + item.photos] = _photos(item, np.random.default_rng([seed, 7, item.number]), side)
            row += item.photos


def _photos(item: Item, rng: np.random.Generator, side: int) -> np.ndarray:
    """The item's photos (n, 3, side, side): each colour is drawn once and seen in several views."""
    views = []
    for garment, count in item.photos_by_colour():
        drawing = squared(draw(garment, rng, (side * 2 // 3, side)), side)
        views += [drawing, *(_view(drawing, rng) for _ in range(count - 1))]
    return np.stack([np.asarray(view) for view in views]).transpose(0, 3, 1, 2)


def _view(drawing: Image.Image, rng: np.random.Generator) -> Image.Image:
    side = drawing.width
    shown = side * float(rng.uniform(CLOSEST, 1))
    left, top = (float(place) for place in rng.uniform(0, side - shown, 2))
    view = drawing.resize((side, side), Image.Resampling.BILINEAR, (left, top, left + shown, top + shown))
    return ImageOps.mirror(view) if rng.random() < 0.5 else view
