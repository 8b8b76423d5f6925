"""Dividing a catalogue into training, validation and test."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import train_test_split

from finetune.config.catalogues import SPLITS, Split
from metrics.common.errors import UserError


def split_articles(articles: pd.DataFrame, config: Split) -> dict[str, pd.DataFrame]:
    """`train`, `validation` and `test`, each with the columns of `articles`.

    Raises `UserError` if a part would be empty.
    """
    if config.train + config.validation >= 1:
        raise UserError(f"data.split: train {config.train} and validation {config.validation} leave nothing for test")
    if len(articles) < 3:
        raise UserError(f"{len(articles)} article(s) with a caption: too few for train, validation and test")
    parts = (published_split if config.method == "published" else product_split)(articles, config)
    empty = [name for name, part in parts.items() if part.empty]
    if empty:
        raise UserError(
            f"data.split: {config.method}: {', '.join(empty)} would be empty with {len(articles)} articles; "
            "give more articles, or other shares of data.split"
        )
    return parts


def published_split(articles: pd.DataFrame, config: Split) -> dict[str, pd.DataFrame]:
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


def product_split(articles: pd.DataFrame, config: Split) -> dict[str, pd.DataFrame]:
    """Whole groups of articles connected by product or by equal caption: neither ever crosses a split.

    Groups go, largest first, to a part drawn in proportion to the room it has left.
    """
    groups = connected_groups([articles["product_id"].tolist(), articles["caption"].tolist()])
    rng = np.random.default_rng(config.seed)
    labels, sizes = np.unique(groups, return_counts=True)
    order = rng.permutation(len(labels))
    order = order[np.argsort(-sizes[order], kind="stable")]
    shares = np.array([config.train, config.validation, 1 - config.train - config.validation])
    room = np.maximum(np.round(shares * len(articles)), 1)
    room[0] = max(len(articles) - room[1:].sum(), 1)
    part_of = np.empty(len(labels), dtype=np.int64)
    for group in order:
        fits = np.where(room >= sizes[group], room, 0)
        part = rng.choice(3, p=fits / fits.sum()) if fits.any() else int(room.argmax())
        part_of[group] = part
        room[part] -= sizes[group]
    parts = part_of[np.searchsorted(labels, groups)]
    return {name: articles[parts == number] for number, name in enumerate(SPLITS)}


def connected_groups(keys: Sequence[Sequence[str]]) -> np.ndarray:
    """Label rows so that rows which share any key (in the same list) have the same label. Returns ints (n,)."""
    rows = len(keys[0])
    codes, offset = [], rows
    for values in keys:
        code, names = pd.factorize(np.asarray(values, dtype=object))
        codes.append(code + offset)
        offset += len(names)
    ends = np.concatenate(codes)
    starts = np.tile(np.arange(rows), len(keys))
    graph = coo_matrix((np.ones(len(ends), dtype=np.int8), (starts, ends)), shape=(offset, offset))
    return np.asarray(connected_components(graph, directed=False)[1][:rows])
