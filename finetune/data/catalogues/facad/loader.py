"""FACAD (Yang et al. 2020), as it is distributed: photos in HDF5 files, captions as word ids, a meta file of all items.

Its test attributes are those of other items; they are repaired from the meta file as the published results did
(omgwenxx/multimodal-fashion-analysis).
"""

import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from finetune.config.catalogues import Facad, ImagesPerItem
from finetune.data.catalogues.base import Catalogue, Loader, existing_folder
from finetune.data.catalogues.facad.files import Files, find_files, open_photos
from finetune.data.catalogues.facad.meta import MetaItem, read_items
from finetune.data.catalogues.facad.repair import Matches, best_matches
from finetune.data.catalogues.facad.rows import Rows, read_rows, read_words
from finetune.data.items import source_items
from metrics.common.errors import UserError

PUBLISHED = {"train": 888_293, "validation": 19_915, "test": 101_225, "categories": 78, "attributes": 990}
LEAST_OVERLAP = 0.5
EXAMPLES = 3
SHOWN = 90


class FacadLoader(Loader[Facad]):
    """Reads FACAD's folder."""

    def check(self) -> None:
        """Raise `UserError` if the folder or a file is missing, or an HDF5 file is truncated or unreadable."""
        files = find_files(existing_folder(self.section.folder, "data.folder"))
        read_words(files.words)
        for paths in files.splits.values():
            open_photos(paths["IMAGES"])

    def load(self) -> Catalogue:
        """Read all splits, repair the test attributes, name what differs from the published counts."""
        folder = existing_folder(self.section.folder, "data.folder")
        return load_facad_folder(folder, "facad", self.section.images_per_item, published=True)

    def meta_file(self) -> Path:
        """The path of the meta file. Raises `UserError` if there is none."""
        folder = existing_folder(self.section.folder, "data.folder")
        meta = find_files(folder).meta
        if meta is None:
            raise UserError(f"{folder}: no meta_all_*.json, the file that has the URLs; it is distributed beside FACAD")
        return meta


def load_facad_folder(
    folder: Path, name: str, images_per_item: ImagesPerItem = "all", *, published: bool = False
) -> Catalogue:
    """Prepare any catalogue in FACAD's layout; its own division into splits comes with it.

    Where it should be FACAD as `published`, its counts are held against the published ones.
    """
    table, notes = _read(find_files(folder), published=published)
    empty = table["caption"] == ""
    undescribed = table[empty].drop(columns="split").reset_index(drop=True)
    source = table[["split", "category"]].assign(attributes=[one.get("attributes", "") for one in table["attributes"]])
    catalogue = Catalogue(name, folder, table, undescribed, [("photos", len(table))], notes=notes)
    catalogue.items = source_items(table, source)
    catalogue.drop("no caption", ~empty, "with a caption")
    if images_per_item == 1:
        further = catalogue.described.duplicated("product_id")
        catalogue.drop("further photo of an item", ~further, "with one photo an item")
    return catalogue


def _read(files: Files, *, published: bool) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """All photos with the columns of a catalogue, and notes on them."""
    words = read_words(files.words)
    rows = {split: read_rows(paths, words) for split, paths in files.splits.items()}
    notes = {"words": [f"{words.marks}; {sum(part.unknown for part in rows.values()):,} unknown words left out"]}
    if published:
        notes["as published"] = _against_published(rows)
    items = read_items(files.meta) if files.meta else []
    notes |= _repair(rows["test"], items, files)
    parts = [_table(split, part, files.splits[split]["IMAGES"].name) for split, part in rows.items()]
    table = pd.concat(parts, ignore_index=True)
    table["product_id"] = _items(table)
    return table, notes | _name_categories(table, items, files)


def _table(split: str, rows: Rows, photos: str) -> pd.DataFrame:
    """The columns of a split; equal attributes are one dict."""
    numbers = range(len(rows.captions))
    dicts = {text: {"attributes": text} if text else {} for text in set(rows.attributes)}
    table = pd.DataFrame({"id": [f"{split}-{number:06d}" for number in numbers]})
    table["image"] = [f"{photos}/{number}" for number in numbers]
    table["caption"], table["category"] = rows.captions, [str(number) for number in rows.categories]
    table["attributes"] = pd.Series([dicts[text] for text in rows.attributes], dtype=object)
    return table.assign(colour="", split=split)


def _items(table: pd.DataFrame) -> Any:
    """The item of every photo, named by its first photo: neighbours of one split, caption and category.

    FACAD identifies items in no other way; equal captions further apart may be of different items.
    """
    keys = table[["split", "caption", "category"]]
    begins = (keys != keys.shift()).any(axis=1).to_numpy()
    ids = table["id"].to_numpy()
    return ids[begins][begins.cumsum() - 1]


def _name_categories(table: pd.DataFrame, items: Sequence[MetaItem], files: Files) -> dict[str, list[str]]:
    """Put the meta file's names in the place of category ids; ids that it lacks stay numbers."""
    names = {str(item.category_id): item.category for item in items}
    photos = table["category"].value_counts()
    table["category"] = table["category"].map({number: names.get(number) or number for number in photos.index})
    if files.meta is None:
        return {"categories": ["called by their numbers: no meta_all_*.json has their names"]}
    unnamed = [f"{number} ({photos[number]:,} photos)" for number in photos.index if not names.get(number)]
    given = {(str(item.category_id), item.category) for item in items}
    renamed = [number for number, times in Counter(number for number, _ in given).items() if times > 1]
    shared = [name for name, times in Counter(name for _, name in given).items() if times > 1]
    problems = {
        f"have no name in {files.meta.name}, called by their numbers": unnamed,
        f"have several names in {files.meta.name}, called by the last": renamed,
        "names stand for several numbers, which become one category": shared,
    }
    return {"categories": [_listed(problem, names) for problem, names in problems.items() if names]}


def _listed(problem: str, names: Sequence[str]) -> str:
    return f"{len(names):,} {problem}: {', '.join(names[:EXAMPLES])}{', ...' if len(names) > EXAMPLES else ''}"


def _against_published(rows: dict[str, Rows]) -> list[str]:
    counts = {split: len(part.captions) for split, part in rows.items()}
    counts["categories"] = len({number for part in rows.values() for number in part.categories})
    texts = {text for part in rows.values() for text in set(part.attributes)}
    counts["attributes"] = len({word for text in texts for word in text.split(", ")} - {""})
    return [
        f"{name}: {counts[name]:,} found, {published:,} published"
        + (f" ({counts[name] - published:+,})" if counts[name] != published else "")
        for name, published in PUBLISHED.items()
    ]


def _repair(test: Rows, items: Sequence[MetaItem], files: Files) -> dict[str, list[str]]:
    """Give every test photo the attributes of the item whose description its caption shares most words with."""
    title = "repair of the test attributes"
    if files.meta is None:
        return {title: ["skipped: no meta_all_*.json; as distributed, they may be those of other items"]}
    captions = sorted(set(test.captions) - {""})
    matches = best_matches(captions, [item.description for item in items])
    repaired = {
        caption: items[item].attributes if overlap >= LEAST_OVERLAP else ""
        for caption, item, overlap in zip(captions, matches.items, matches.overlaps, strict=True)
    }
    test.attributes = [repaired.get(caption, "") for caption in test.captions]
    return {title: _match_rate(captions, matches, items, files.meta.name)}


def _match_rate(captions: list[str], matches: Matches, items: Sequence[MetaItem], meta: str) -> list[str]:
    overlaps = matches.overlaps
    if not captions:
        return ["no test photo has a caption"]
    poor, worst = overlaps < LEAST_OVERLAP, np.flatnonzero(overlaps < 1)
    lines = [
        f"{len(captions):,} distinct captions sought among {len(items):,} items of {meta}",
        f"{np.mean(overlaps == 1):.1%} found with every word, mean overlap {overlaps.mean():.3f}",
        f"{poor.mean():.1%} ({poor.sum():,}) found with less than half of their words: no attributes",
    ]
    for place in worst[np.argsort(overlaps[worst], kind="stable")][:EXAMPLES]:
        best = items[matches.items[place]].description if matches.items[place] >= 0 else ""
        caption, nearest = (textwrap.shorten(text, SHOWN, placeholder=" ...") for text in (captions[place], best))
        lines.append(f"{overlaps[place]:.2f} {caption!r} against {nearest!r}")
    return lines
