"""The periods of a recipe, and their candidates and features, made for some customers at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from recommend.interactions.interactions import Purchases
from recommend.interactions.purchases import CUSTOMERS_CSV, PurchasesFolder
from recommend.ranker.candidates import Candidates, Neighbours, candidates
from recommend.ranker.catalogue import Catalogue, read_catalogue
from recommend.ranker.features import BESTSELLER_RANK, base_features
from recommend.ranker.history import Floats, History, Places, between, history_of
from recommend.ranker.recipe import Days, Recipe
from recommend.ranker.vectors import Added
from recommend.ranking.relevant import Relevant, relevant

PIECE = 4096  # customers whose candidates are held at once


@dataclass(frozen=True)
class Period:
    """What is known at the end of some days, and what is then bought, each customer's distinct articles."""

    history: History
    labels: Relevant

    @property
    def with_history(self) -> NDArray[np.bool_]:
        """(m,) which customers of the labels have bought before."""
        return self.history.bought_by(self.labels.customers) > 0


@dataclass(frozen=True)
class Data:
    """All that a recipe reads but for the features of its arms.

    Attributes:
        recipe: that says what is read.
        purchases: of its setting, all days.
        customer_ids: of all customers.
        catalogue: of articles and customers.
        neighbours: of articles, if similar ones are candidates.
        train: its periods.
        test: the period that is measured.
        left_out: sentences on what was read and is of no use, or was not there.
    """

    recipe: Recipe
    purchases: Purchases
    customer_ids: list[str]
    catalogue: Catalogue
    neighbours: Neighbours | None
    train: list[Period]
    test: Period
    left_out: list[str]

    @cached_property
    def accounts(self) -> "list[Account]":
        """What the candidates of each period are like, those of the test last."""
        return [account(self, period) for period in (*self.train, self.test)]

    @property
    def first_history(self) -> History:
        """That of training which ends first: what it tells, every period may know."""
        ends = [days.history[1] for days in self.recipe.train]
        return self.train[ends.index(min(ends))].history

    def pieces(self, history: History, customers: Places) -> Iterator[Candidates]:
        """The candidates of some customers, of `PIECE` at a time."""
        for start in range(0, len(customers), PIECE):
            piece = customers[start : start + PIECE]
            yield candidates(history, piece, self.recipe.candidates, self.neighbours)

    def features(
        self, found: Candidates, history: History, bestseller_rank: bool, added: Added | None
    ) -> tuple[list[str], Floats]:
        """Names and rows of the features of n candidates, (n, d)."""
        columns = base_features(found, history, self.catalogue)
        if not bestseller_rank:
            del columns[BESTSELLER_RANK]
        if added is not None:
            columns |= added.columns(found, history)
        return list(columns), np.column_stack(list(columns.values()))


def open_data(recipe: Recipe) -> Data:
    """Read purchases, items, customers and neighbours. Raises `UserError` if one is missing, or a period is empty."""
    folder = PurchasesFolder.open(recipe.purchases)
    purchases = folder.purchases(recipe.setting)
    ids = purchases.article_ids
    customer_ids = folder.customer_ids()
    catalogue = read_catalogue(recipe.items, ids, recipe.codes, recipe.customers, customer_ids)
    neighbours = None if recipe.neighbours is None else Neighbours.read(recipe.neighbours, purchases)
    train = [period_of(purchases, days, f"train.{number}") for number, days in enumerate(recipe.train)]
    if recipe.submission:
        between(purchases, recipe.submission.history, "submission.history")
    test = period_of(purchases, recipe.test, "test")
    left_out = [*_of_neighbours(recipe, neighbours), *catalogue.customers.left_out, *_of_submission(recipe, folder)]
    return Data(recipe, purchases, customer_ids, catalogue, neighbours, train, test, left_out)


def _of_neighbours(recipe: Recipe, found: Neighbours | None) -> Iterator[str]:
    if found is None:
        return
    if found.left_out:
        yield f"{recipe.neighbours}: {found.left_out:,} rows are not of two articles of these purchases"
    wanted = recipe.candidates.similar
    if found.most < wanted:
        yield (
            f"{recipe.neighbours}: has at most {found.most:,} neighbours of an article of these purchases, fewer than "
            f"candidates.similar={wanted}: write it with --k {wanted}"
        )


def _of_submission(recipe: Recipe, folder: PurchasesFolder) -> Iterator[str]:
    if recipe.submission and CUSTOMERS_CSV not in folder.about["sources"]:
        yield (
            f"{recipe.purchases}: was made without {CUSTOMERS_CSV}, so that submission.csv lacks the customers without "
            "a purchase, whom Kaggle asks for: make it again with that file beside the purchases"
        )


def period_of(purchases: Purchases, days: Days, what: str) -> Period:
    """One period. Raises `UserError` if nobody bought anything in its history, or on the days of its labels."""
    bought = between(purchases, days.labels, f"{what}.labels")
    everybody = np.ones(purchases.customer_count, dtype=bool)
    labels = relevant(bought.customers, bought.articles, everybody)
    return Period(history_of(purchases, days.history, f"{what}.history"), labels)


@dataclass(frozen=True)
class Account:
    """What the candidates of a period are like.

    Attributes:
        customers: who are to be ranked for.
        with_history: those of them who bought something in the history.
        labels: pairs of a customer and an article that it then bought.
        reachable: those of these that are among the candidates; no ranker can find the others.
        occurrences: (I,) of how many customers each article is a candidate.
    """

    customers: int
    with_history: int
    labels: int
    reachable: int
    occurrences: Places

    def as_dict(self) -> dict[str, int]:
        """All figures, for JSON."""
        counts = {"candidates": int(self.occurrences.sum()), "articles": int((self.occurrences > 0).sum())}
        return {name: value for name, value in vars(self).items() if name != "occurrences"} | counts


def account(data: Data, period: Period) -> Account:
    """Count the candidates of a period."""
    occurrences, reachable = np.zeros(len(data.purchases.article_ids), dtype=np.int64), 0
    for found in data.pieces(period.history, period.labels.customers):
        occurrences += np.bincount(found.articles, minlength=len(occurrences))
        reachable += int(bought(found, period.labels).sum())
    labels = period.labels
    known = int(period.with_history.sum())
    return Account(len(labels.customers), known, len(labels.articles), reachable, occurrences)


def bought(found: Candidates, labels: Relevant) -> NDArray[np.bool_]:
    """(n,) which candidates their customers then bought; a customer who is not in `labels` bought none."""
    width = 1 + max(int(found.articles.max(initial=0)), int(labels.articles.max(initial=0)))
    known = labels.customers[labels.owners] * width + labels.articles
    return np.isin(found.customers[found.owners] * width + found.articles, known)
