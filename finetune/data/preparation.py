"""From a recipe's catalogue to cached Arrow splits, reference files and an account of the preparation."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from finetune.config.catalogues import SPLITS, CatalogueSection
from finetune.data import arrow_cache as cache
from finetune.data.account import Account
from finetune.data.catalogues import loader_of
from finetune.data.catalogues.base import Catalogue, check_catalogue
from finetune.data.photos import check_photos
from finetune.data.splits import split_articles
from metrics.common.cache import cache_folder
from metrics.common.errors import UserError
from metrics.records.captions import CaptionRecord, write_records

BAD_IMAGE = "bad image"
RECORD_BATCH = 10_000


@dataclass(frozen=True)
class Prepared:
    """A catalogue ready for training: one Arrow data set per split, and the account of how it came about.

    Columns: `id`, `product_id`, `image` (datasets.Image), `file` (path relative to the catalogue's folder), `caption`,
    `category` (ClassLabel), `colour`, `attributes`, `seen`. The split `undescribed` has photos and no captions.
    """

    splits: dict[str, Any]
    account: Account

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


def prepare(config: CatalogueSection) -> Prepared:
    """Load, split, check every photo and cache; a second call with unchanged data reads the cache.

    The cache is in `$LOOKBOOK_CACHE` (default `~/.cache/lookbook`).
    Raises `UserError` if a photo is broken (unless `on_bad_image: skip`) or a caption is far too long.
    """
    catalogue = loader_of(config).load()
    check_catalogue(catalogue)
    _set_aside_unsplittable(catalogue)
    parts = _limited_parts(catalogue, config)
    _check_captions(parts, config.max_caption_words)
    folder = cache_folder() / f"{catalogue.name}-{cache.fingerprint(catalogue, parts, config)}"
    if not cache.is_whole(folder):
        cache.remove_damaged(folder)
        cache.write(folder, catalogue, _without_bad_images(catalogue, parts, config), config)
    splits, account = cache.read(folder, catalogue.folder)
    return Prepared(splits, replace(account, name=config.called))


def write_references(prepared: Prepared, folder: Path) -> list[Path]:
    """Write `references-{train,validation,test}.jsonl`, so that anybody's captions can be scored."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"references-{split}.jsonl" for split in SPLITS]
    for split, path in zip(SPLITS, paths, strict=True):
        write_records(path, prepared.each_record(split))
    return paths


def _set_aside_unsplittable(catalogue: Catalogue) -> None:
    """Too few captioned photos for three splits can still be captioned: they count as undescribed."""
    few = catalogue.described
    if 0 < len(few) < len(SPLITS):
        catalogue.undescribed = pd.concat([few, catalogue.undescribed], ignore_index=True)
        catalogue.drop("too few captions to split", few["id"] == "", "in splits")
    if catalogue.described.empty and catalogue.undescribed.empty:
        steps = "; ".join(f"{articles:,} {step}" for step, articles in catalogue.counts)
        raise UserError(f"{catalogue.folder or catalogue.name}: no article is left to use: {steps}")


def _limited_parts(catalogue: Catalogue, config: CatalogueSection) -> dict[str, pd.DataFrame]:
    if catalogue.described.empty:
        parts = dict.fromkeys(SPLITS, catalogue.described)
    else:
        parts = split_articles(catalogue.described, config.split)
    parts["undescribed"] = catalogue.undescribed
    return {name: part.head(config.limit) if config.limit else part for name, part in parts.items()}


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
    usable = {name: _drop_bad(catalogue, name, part) for name, part in parts.items()}
    bad, source = catalogue.bad_images, catalogue.folder or catalogue.name
    if bad and config.on_bad_image == "stop":
        shown = "\n  ".join(bad[:10])
        raise UserError(
            f"{len(bad)} photo(s) of {source} cannot be used:\n  {shown}\n"
            "replace them, or leave them out with data.on_bad_image: skip"
        )
    if all(part.empty for part in usable.values()):
        raise UserError(f"{source}: every photo is broken, the first is {bad[0]}")
    return usable


def _drop_bad(catalogue: Catalogue, name: str, part: pd.DataFrame) -> pd.DataFrame:
    folder = catalogue.folder
    sources = part["image"].tolist() if folder is None else [f"{folder}/{image}" for image in part["image"]]
    checked = check_photos(sources, f"checking photos of {name}")
    catalogue.image_sizes += checked.sizes
    if not checked.broken:
        return part
    shown = part["id" if folder is None else "image"]
    catalogue.bad_images += [f"{shown.iloc[position]}: {reason}" for position, reason in checked.broken.items()]
    catalogue.dropped.setdefault(BAD_IMAGE, []).extend(part["id"].iloc[list(checked.broken)])
    return part.drop(part.index[list(checked.broken)])


def _record(row: dict[str, Any], names: list[str], split: str) -> CaptionRecord:
    described = split != "undescribed"
    return CaptionRecord(
        id=row["id"],
        product_id=row["product_id"],
        image=row["file"],
        references=(row["caption"],) if described else (),
        category=None if row["category"] is None else names[row["category"]],
        attributes={name: value for name, value in {"colour": row["colour"], **row["attributes"]}.items() if value},
        split=split,
        seen=row["seen"] if split in ("validation", "test") else None,
    )
