"""The steps from a CSV of purchases to measured lists; each reads what it needs and returns the work that is timed."""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np

from recommend.experiments.data import Part, open_dataset
from recommend.experiments.measured import measured, slices_of
from recommend.experiments.recipe import Dataset
from recommend.interactions.purchases import open_purchases, write_purchases
from recommend.interactions.splits import PER_USER, split
from recommend.recommenders.base import ItemFeatures, Recommender
from recommend.recommenders.knn import ItemKNN, UserKNN
from recommend.recommenders.vbpr.model import VBPR

CSV, FOLDER, LISTS = "csv", "purchases", "lists.npy"
KS = (5, 12)
SHARE = 16  # of the customers that an epoch in small batches is timed on, since a whole one takes an hour
Work = Callable[[], str]
Step = Callable[[Path], Work]


def parquet(folder: Path) -> Work:
    """CSV to Parquet and id maps."""

    def work() -> str:
        write_purchases(folder / CSV, folder / FOLDER)
        return f"{sum(path.stat().st_size for path in (folder / FOLDER).iterdir()) / 1e6:,.0f} MB"

    return work


def split_80_20(folder: Path) -> Work:
    """The paper's split, with the candidates of training alone."""
    purchases = open_purchases(folder / FOLDER)

    def work() -> str:
        parts = split(purchases, PER_USER).restricted()
        return f"{len(parts.train):,} / {len(parts.test):,}"

    return work


def lists_of(recommender: Recommender, folder: Path) -> Work:
    """Fit, and the twelve best of all measured customers, which are kept for the evaluation."""
    part = _part(folder)

    def work() -> str:
        recommender.fit(part.train)
        lists = recommender.recommend(part.relevant.customers, max(KS))
        np.save(folder / LISTS, lists.ids)
        return f"{len(lists.ids):,} customers"

    return work


def evaluation(folder: Path) -> Work:
    """All measures of these lists, with intervals."""
    part, ids = _part(folder), np.load(folder / LISTS, allow_pickle=False)

    def work() -> str:
        found = measured(slices_of(ids, part), part, KS)
        return f"nDCG@12 {found['estimates']['all']['nDCG@12']['value']:.4f}"

    return work


def vbpr_epoch(recommender: VBPR, dimensions: int, share: int, folder: Path) -> Work:
    """One epoch on random features, on one of `share` parts of the customers; factors of all of them are there."""
    train = _part(folder).train
    rows = np.random.default_rng(0).standard_normal((len(train.article_ids), dimensions), dtype=np.float32)
    features = ItemFeatures(rows, np.ones(len(rows), dtype=bool), "made up")
    some, count = train.taken(train.customers % share == 0), len(train)
    del train
    import_module("recommend.recommenders.vbpr.run")  # PyTorch

    def work() -> str:
        recommender.fit(some, features)
        return f"x {share}: the customers' {len(some):,} of {count:,} purchases" if share > 1 else ""

    return work


def steps() -> dict[str, tuple[Step, int]]:
    """Every step by name, in the order in which one needs another's files; and what its seconds are multiplied by."""
    sgd = VBPR(optimizer="sgd", batch_size=16_384, epochs=1)
    adagrad, small = (VBPR(optimizer="adagrad", batch_size=size, epochs=1) for size in (16_384, 1_024))
    return {
        "CSV to Parquet": (parquet, 1),
        "80/20 split": (split_80_20, 1),
        "UserKNN(10), top 12 of all": (partial(lists_of, UserKNN(10)), 1),
        "ItemKNN(20), top 12 of all": (partial(lists_of, ItemKNN(20)), 1),
        "evaluation": (evaluation, 1),
        "VBPR epoch, SGD, 256-d": (partial(vbpr_epoch, sgd, 256, 1), 1),
        "VBPR epoch, Adagrad, 256-d": (partial(vbpr_epoch, adagrad, 256, 1), 1),
        "the same, batch 1,024": (partial(vbpr_epoch, small, 256, SHARE), SHARE),
        "the same, batch 1,024, 2,048-d": (partial(vbpr_epoch, small, 2_048, SHARE), SHARE),
    }


def _part(folder: Path) -> Part:
    return open_dataset(Dataset(name="made up", purchases=folder / FOLDER), max(KS)).test
