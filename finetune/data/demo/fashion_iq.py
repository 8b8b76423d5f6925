"""Writes a made-up shop in the layout of FashionIQ (Wu et al. 2021): pairs of photos and what sets them apart.

A pair's garments differ in one or two attributes that can be seen, or in as few as the shop has, and its two captions
say in which: what they say is true of the drawings. The shop has few cuts, so that many garments are as like a
reference as its target is.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune.data.demo.catalogue import JPEG_QUALITY
from finetune.data.demo.differences import SEEN, captions, side_labels
from finetune.data.demo.drawing import draw
from finetune.data.demo.garments import Garment, sample_garment
from finetune.data.demo.marked_folder import require_numbers, write_whole
from finetune.data.demo.palette import accents_for
from metrics.common.screen import progress

VERSION = 1
CATEGORIES = {"dress": "Dress", "shirt": "Shirt", "toptee": "Top"}
SHARES = {"train": 2.0, "val": 1.0, "test": 0.25}  # of `articles`: the photos of a category's split
PAIRS = {"train": 3.0, "val": 0.8, "test": 0.8}  # for each photo
FEWEST, MOST = 20, 20_000
SIZE = (128, 192)
WITH_LABELS = 0.7
_MOST_DIFFERENCES = 2


def write_fashion_iq_demo(folder: Path, articles: int, seed: int) -> None:
    """Write three categories with `articles` photos each for validation, twice as many for training, into `folder`.

    The same arguments give the same bytes. The folder appears whole or not at all; where it already holds these very
    pairs, nothing is done. Raises `UserError` if it holds anything else, or if a number is out of range.
    """
    require_numbers(articles, FEWEST, MOST, seed, "dataset.demo")
    mark = {"layout": "fashion-iq", "articles": articles, "seed": seed, "version": VERSION}
    write_whole(folder, mark, lambda draft: _write(draft, articles, seed), key="dataset.folder")


def _write(folder: Path, articles: int, seed: int) -> None:
    for name in ("captions", "image_splits", "images", "tags"):
        (folder / name).mkdir()
    for number, category in enumerate(CATEGORIES):
        for place, (split, share) in enumerate(SHARES.items()):
            rng = np.random.default_rng([seed, 11, number, place])
            shelf = _shelf(category, number, place, max(FEWEST, round(articles * share)), rng)
            _write_json(folder / "captions" / f"cap.{category}.{split}.json", _pairs(shelf, split, rng))
            _write_json(folder / "image_splits" / f"split.{category}.{split}.json", list(shelf))
            _write_json(folder / "tags" / f"asin2attr.{category}.{split}.json", _labels(shelf, rng))
            for key, garment in progress(shelf.items(), f"drawing {category}, {split}", leave=False):
                draw(garment, rng, SIZE).save(folder / "images" / f"{key}.jpg", quality=JPEG_QUALITY)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")


def _shelf(category: str, number: int, place: int, count: int, rng: np.random.Generator) -> dict[str, Garment]:
    """So many garments by their ids, which look like those of FashionIQ."""
    first = (number * len(SHARES) + place + 1) * 100_000
    return {f"B{first + one:09d}": _garment(CATEGORIES[category], rng) for one in range(count)}


def _garment(kind: str, rng: np.random.Generator) -> Garment:
    """A garment that differs from others only in what captions mention."""
    drawn = sample_garment(rng, kind)
    garment = replace(drawn, accent=accents_for(drawn.colour)[0])
    if kind == "Dress":
        return replace(garment, neckline="round", shape="A-line", fastening="none", pockets="none")
    return replace(garment, detail="none")


def _pairs(shelf: dict[str, Garment], split: str, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Rows of a file of captions: each a reference, a target that is not far from it, and two captions."""
    ids, garments = list(shelf), list(shelf.values())
    codes = np.column_stack([_codes([getattr(one, name) for one in garments]) for name in SEEN])
    wanted = round(len(ids) * PAIRS[split])
    rows = []
    for _ in range(wanted):
        reference = int(rng.integers(len(ids)))
        apart = (codes != codes[reference]).sum(axis=1)
        target = int(rng.choice(_near(apart, int(rng.integers(1, _MOST_DIFFERENCES + 1)))))
        said = captions(garments[reference], garments[target], rng)
        rows.append({"target": ids[target], "candidate": ids[reference], "captions": list(said)})
    return rows


def _near(apart: NDArray[np.int64], differences: int) -> NDArray[np.int64]:
    """The garments that differ in so many attributes, or, if none does, the nearest that differ at all."""
    found = np.flatnonzero(apart == differences)
    return found if len(found) else np.flatnonzero(apart == apart[apart > 0].min())


def _codes(values: list[str]) -> NDArray[np.int64]:
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def _labels(shelf: dict[str, Garment], rng: np.random.Generator) -> dict[str, list[list[str]]]:
    """The side labels of most garments."""
    return {key: side_labels(garment) for key, garment in shelf.items() if rng.random() < WITH_LABELS}
