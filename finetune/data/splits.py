"""Dividing a catalogue into training, validation and test."""

import math
from collections.abc import Hashable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from finetune.config.catalogues import SPLITS, Split
from finetune.data.similar_photos import similar_groups
from metrics.common.errors import UserError
from metrics.common.groups import connected_groups
from metrics.text.spelling import plain_spelling

Parts = dict[str, pd.DataFrame]


def split_articles(articles: pd.DataFrame, config: Split) -> Parts:
    """`train`, `validation` and `test`, each with the columns of `articles`; no photo is known yet.

    Raises `UserError` if a part would be empty.
    """
    if config.train + config.validation >= 1:
        raise UserError(f"data.split: train {config.train} and validation {config.validation} leave nothing for test")
    if len(articles) < 3:
        raise UserError(f"{len(articles)} article(s) with a caption: too few for train, validation and test")
    if config.method == "published":
        parts = published_split(articles, config)
    else:
        parts = product_split(articles, config, _sizes(len(articles), config))
    return _without_empty(parts, config)


def keep_photos_together(parts: Parts, config: Split) -> Parts:
    """The parts of a product split, now that photos are known (columns `photo_digest`, `difference_hash`).

    If a photo is in two of them, all their articles are divided again, into parts of the same sizes.
    Raises `UserError` if a part would be empty.
    """
    if config.method == "published" or config.version == 1 or not any(len(parts[name]) for name in SPLITS):
        return parts
    articles = pd.concat([parts[name].assign(part=name) for name in SPLITS]).sort_index()
    if config.join_similar:
        articles["similar"] = similar_groups(articles["difference_hash"], config.join_similar)
    groups = pd.Series(connected_groups(_keys(articles, config)), articles.index)
    if articles["part"].groupby(groups).nunique().max() <= 1:
        return parts
    sizes = np.array([len(parts[name]) for name in SPLITS])
    again = product_split(articles, config, sizes)
    return _without_empty({name: part[parts[name].columns] for name, part in again.items()}, config)


def _without_empty(parts: Parts, config: Split) -> Parts:
    empty = [name for name, part in parts.items() if part.empty]
    if empty:
        articles = pd.concat(parts.values())
        by = _groups(articles, config) if config.method == "product" else ""
        raise UserError(
            f"data.split: {config.method}: {', '.join(empty)} would be empty with {len(articles)} articles{by}; "
            "give more articles, or other shares of data.split"
        )
    return parts


def _groups(articles: pd.DataFrame, config: Split) -> str:
    """In how many groups the articles are that may not be divided, and what holds them together."""
    columns = _shared(articles, config)
    together = len(np.unique(connected_groups(_keys(articles, config))))
    said = f" in {together} groups of one product, caption or photo"
    if columns["product_id"].nunique() == 1:
        value = columns["product_id"].iloc[0]
        return said + (
            f": all have the same product_id, {value!r:.60}; name another column by data.columns.product_id, or none"
        )
    if columns["caption"].nunique() == 1:
        return said + f": all have the same caption, {articles['caption'].iloc[0]!r:.60}"
    return said + f" (by {', by '.join(f'{name} alone {values.nunique()}' for name, values in columns.items())})"


def published_split(articles: pd.DataFrame, config: Split) -> Parts:
    """The division that the catalogue comes with, else the one of omgwenxx/multimodal-fashion-analysis.

    The latter goes article by article, so that siblings fall on both sides: rows are shuffled by pandas, cut by
    scikit-learn, and the rest is cut again (its first part is validation).
    """
    if "split" in articles:
        _refuse_shares(config)
        return {name: articles[articles["split"] == name] for name in SPLITS}
    shuffled = articles.sample(frac=1, random_state=config.seed)
    train, rest = _cut(shuffled, 1 - config.train, config.seed)
    validation, test = _cut(rest, round(1 - config.validation / (1 - config.train), 12), config.seed)
    return {"train": train, "validation": validation, "test": test}


def _refuse_shares(config: Split) -> None:
    plain = Split()
    if (config.train, config.validation, config.seed) != (plain.train, plain.validation, plain.seed):
        raise UserError(
            "data.split: this catalogue comes divided: train, validation and seed mean something with method: product "
            "alone; leave them out"
        )


def _cut(articles: pd.DataFrame, second: float, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """scikit-learn's cut; it refuses to leave the first part empty, which `split_articles` reports."""
    if math.ceil(second * len(articles)) >= len(articles):
        return articles.head(0), articles
    first, rest = train_test_split(articles, test_size=second, random_state=seed)
    return first, rest


def product_split(articles: pd.DataFrame, config: Split, sizes: np.ndarray) -> Parts:
    """Whole groups of articles connected by product, caption or photo: none of these ever crosses a split.

    Groups go, largest first, to a part drawn in proportion to the room it has left of its size in `sizes` (3,).
    """
    groups = connected_groups(_keys(articles, config))
    rng = np.random.default_rng(config.seed)
    labels, members = np.unique(groups, return_counts=True)
    order = rng.permutation(len(labels))
    order = order[np.argsort(-members[order], kind="stable")]
    room = sizes.astype(np.float64)
    part_of = np.empty(len(labels), dtype=np.int64)
    for group in order:
        fits = np.where(room >= members[group], room, 0)
        part = rng.choice(3, p=fits / fits.sum()) if fits.any() else int(room.argmax())
        part_of[group] = part
        room[part] -= members[group]
    parts = part_of[groups]
    return {name: articles[parts == number] for number, name in enumerate(SPLITS)}


def _sizes(articles: int, config: Split) -> np.ndarray:
    shares = np.array([config.train, config.validation, 1 - config.train - config.validation])
    sizes = np.maximum(np.round(shares * articles), 1)
    sizes[0] = max(articles - sizes[1:].sum(), 1)
    return sizes


def _keys(articles: pd.DataFrame, config: Split) -> Iterator[list[tuple[str, Hashable]]]:
    """What each article must share with no article of another part."""
    columns = _shared(articles, config)
    for row in zip(*columns.values(), strict=True):
        yield list(zip(columns, row, strict=True))


def _shared(articles: pd.DataFrame, config: Split) -> dict[str, "pd.Series[Any]"]:
    """The columns whose equal values keep articles together."""
    captions = articles["caption"] if config.version == 1 else articles["caption"].map(plain_spelling)
    photos = {"photo": "photo_digest", "similar photos": "similar"}
    known = {name: articles[column] for name, column in photos.items() if column in articles}
    return {"product_id": articles["product_id"], "caption": captions, **known}
