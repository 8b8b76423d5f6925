"""From a recipe's catalogue to cached Arrow splits, reference files and an account of the preparation."""

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copyfile
from typing import Any

import numpy as np
import pandas as pd

from finetune.config.catalogues import SPLITS, CatalogueSection
from finetune.data import arrow_cache as cache
from finetune.data.account import Account
from finetune.data.catalogues import loader_of
from finetune.data.catalogues.base import Catalogue, check_catalogue
from finetune.data.catalogues.photo_names import leading_out
from finetune.data.items import ITEMS, LIMIT, count_dropped, read_items
from finetune.data.photo_check import Source, check_photos, note_unusable
from finetune.data.splits import keep_photos_together, split_articles
from metrics.common.cache import cache_folder
from metrics.common.errors import UserError
from metrics.common.files import all_or_none, atomic_file, make_folder
from metrics.common.formatting import printable
from metrics.photos.folders import remember_folder
from metrics.photos.reading import PhotoError
from metrics.records.captions import CaptionRecord, write_records

BAD_IMAGE = "bad image"
RECORD_BATCH = 10_000


@dataclass(frozen=True)
class Prepared:
    """A catalogue ready for training: one Arrow data set per split, and the account of how it came about.

    Columns: `id`, `product_id`, `image` (datasets.Image), `file` (path relative to the catalogue's folder), `caption`,
    `photo_digest`, `category` (ClassLabel of the categories that described items have), `colour`, `attributes`, `seen`.
    The split `undescribed` has photos and no captions, and further labels for the categories of its items alone.
    `items` is the file of all rows of its table (`finetune.data.items`), None for a mixture.
    """

    splits: dict[str, Any]
    account: Account
    items: Path | None = None

    def records(self, split: str) -> list[CaptionRecord]:
        """The split's items with their references, without captions; no photo is read."""
        return list(self.each_record(split))

    def each_record(self, split: str) -> Iterator[CaptionRecord]:
        """As `records`, one at a time: splits may have a million items."""
        data = self.splits[split].remove_columns("image")
        names = data.features["category"].names
        for batch in data.with_format("arrow").iter(RECORD_BATCH):
            for row in batch.to_pylist():
                yield _record(row, names, split)


def left_out(prepared: Prepared) -> Counter[str]:
    """How many items of a catalogue's table, and files of its folder that are no photos, each rule left out.

    Of a mixture, which has no table, nothing: its parts have.
    """
    if prepared.items is None:
        return Counter()
    return count_dropped(read_items(prepared.items, ["id", "role"]), prepared.account.dropped)


def note_left_out(prepared: Prepared) -> None:
    """Say on stderr which photos cannot be used, and what else is in no split, unless by `data.limit`."""
    note_unusable(prepared.account.bad_images)
    for rule, count in left_out(prepared).items():
        if rule not in (BAD_IMAGE, LIMIT):
            print(printable(f"note: {count:,} left out: {rule}"), file=sys.stderr)


def prepare(config: CatalogueSection, divided: bool = True) -> Prepared:
    """Load, split, check every photo and cache; a second call with unchanged data reads the cache.

    If it is not to be `divided`, all described items are in `train`, however few they are. The cache is in
    `$LOOKBOOK_CACHE` (default `~/.cache/lookbook`).
    Raises `UserError` if a photo is missing or broken (unless `on_bad_image: skip`) or a caption is far too long.
    """
    catalogue = loader_of(config).load()
    check_catalogue(catalogue)
    if divided:
        _set_aside_unsplittable(catalogue)
    _refuse_empty(catalogue)
    parts = _limited_parts(catalogue, config, divided)
    _check_captions(parts, config.max_caption_words)
    fingerprint = f"{catalogue.name}-{cache.fingerprint(catalogue, parts, config)}"
    folder = cache_folder() / cache.folder_name(fingerprint, catalogue, config)
    if not cache.is_whole(folder):
        cache.remove_damaged(folder)
        usable = _without_bad_images(catalogue, parts, config)
        together = keep_photos_together(usable, config.split) if divided else usable
        cache.write(folder, fingerprint, catalogue, _limited(usable | together, config.limit), config)
    splits, account = cache.read(folder, catalogue.folder)
    if catalogue.folder is not None:
        remember_folder(catalogue.folder, outside=config.outside == "read")
    return Prepared(splits, replace(account, name=config.called, title=config.title), folder / ITEMS)


def write_tables(prepared: Prepared, folder: Path) -> list[Path]:
    """Write `references-{train,validation,test}.jsonl`, so that anybody's captions can be scored, and `items.parquet`.

    They appear together. Raises `UserError` if a file cannot be written.
    """
    make_folder(folder)
    paths = [folder / f"references-{split}.jsonl" for split in SPLITS]
    with all_or_none():
        for split, path in zip(SPLITS, paths, strict=True):
            write_records(path, prepared.each_record(split))
        if prepared.items is not None:
            paths.append(folder / ITEMS)
            with atomic_file(paths[-1]) as draft:
                copyfile(prepared.items, draft)
    return paths


def _set_aside_unsplittable(catalogue: Catalogue) -> None:
    """Too few captioned photos for three splits can still be captioned: they count as undescribed."""
    few = catalogue.described
    if 0 < len(few) < len(SPLITS):
        catalogue.undescribed = pd.concat([few, catalogue.undescribed], ignore_index=True)
        catalogue.drop("too few captions to split", few["id"] == "", "in splits")


def _refuse_empty(catalogue: Catalogue) -> None:
    if catalogue.described.empty and catalogue.undescribed.empty:
        steps = "; ".join(f"{articles:,} {step}" for step, articles in catalogue.counts)
        raise UserError(f"{catalogue.folder or catalogue.name}: no article is left to use: {steps}")


def _limited_parts(catalogue: Catalogue, config: CatalogueSection, divided: bool) -> dict[str, pd.DataFrame]:
    if divided and not catalogue.described.empty:
        parts = split_articles(catalogue.described, config.split)
    else:
        parts = dict.fromkeys(SPLITS, catalogue.described.head(0)) | {"train": catalogue.described}
    parts["undescribed"] = catalogue.undescribed
    return _limited(parts, config.limit)


def _limited(parts: dict[str, pd.DataFrame], limit: int | None) -> dict[str, pd.DataFrame]:
    return {name: part.head(limit) if limit else part for name, part in parts.items()}


def _check_captions(parts: dict[str, pd.DataFrame], most: int) -> None:
    for part in parts.values():
        words = part["caption"].drop_duplicates().str.split().str.len()
        if (words > most).any():
            row = part.loc[words.idxmax()]
            raise UserError(
                f"id {row['id']}: its caption has {words.max():,} words, more than data.max_caption_words = {most}; "
                "is it a description? Shorten it or raise the limit"
            )


def _without_bad_images(
    catalogue: Catalogue, parts: dict[str, pd.DataFrame], config: CatalogueSection
) -> dict[str, pd.DataFrame]:
    """The parts without articles whose photos are missing or broken, and with what was found of the others.

    All photos are read together, since the same one may be in several parts.
    """
    articles = pd.concat([part.assign(part=name) for name, part in parts.items()])
    checked = check_photos(_sources(catalogue, articles, config), "checking photos")
    catalogue.image_sizes += checked.sizes
    is_whole = np.array([place not in checked.broken for place in range(len(articles))])
    if not is_whole.all():
        shown = articles["id" if catalogue.folder is None else "image"]
        catalogue.bad_images += [
            catalogue.problems.get(articles["id"].iloc[place], f"{shown.iloc[place]}: {reason}")
            for place, reason in checked.broken.items()
        ]
        catalogue.dropped[BAD_IMAGE] = articles["id"][~is_whole].tolist()
        _report_bad_images(catalogue, config, none_left=not is_whole.any())
    found = {"photo_digest": checked.digests, "difference_hash": np.array(checked.hashes, dtype=np.int64)}
    usable = articles.assign(**found)[is_whole]
    return {name: usable[usable["part"] == name].drop(columns="part") for name in parts}


def _sources(catalogue: Catalogue, articles: pd.DataFrame, config: CatalogueSection) -> list[Source]:
    """Where each photo is, or why it is not read."""
    images, folder = articles["image"].tolist(), catalogue.folder
    outside = {} if folder is None or config.outside == "read" else leading_out(folder, images)
    problems = [
        catalogue.problems.get(key) or outside.get(image) for key, image in zip(articles["id"], images, strict=True)
    ]
    return [
        PhotoError(problem) if problem else image if folder is None else f"{folder}/{image}"
        for image, problem in zip(images, problems, strict=True)
    ]


def _report_bad_images(catalogue: Catalogue, config: CatalogueSection, *, none_left: bool) -> None:
    bad, source = catalogue.bad_images, catalogue.folder or catalogue.name
    if config.on_bad_image == "stop":
        listed = "\n  ".join(bad[:10])
        raise UserError(
            f"{len(bad)} photo(s) of {source} cannot be used:\n  {listed}\n"
            "replace them, or leave them out with data.on_bad_image: skip"
        )
    if none_left:
        raise UserError(f"{source}: every photo is missing or broken, the first is {bad[0]}")


def _record(row: dict[str, Any], names: list[str], split: str) -> CaptionRecord:
    described = split != "undescribed"
    return CaptionRecord(
        id=row["id"],
        product_id=row["product_id"],
        image=row["file"],
        photo_digest=row["photo_digest"],
        references=(row["caption"],) if described else (),
        category=None if row["category"] is None else names[row["category"]],
        attributes={name: value for name, value in {"colour": row["colour"], **row["attributes"]}.items() if value},
        split=split,
        seen=row["seen"] if split in ("validation", "test") else None,
    )
