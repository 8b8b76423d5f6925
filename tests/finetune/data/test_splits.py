"""Splits: the published one to the letter, the product one by its promises, and the audit of leaks."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from finetune.config.catalogues import Split
from finetune.data.leaks import Exposed, LeakAudit, SeenInTraining
from finetune.data.splits import SPLITS, split_articles
from metrics.common.errors import UserError
from metrics.common.groups import connected_groups

PRODUCT = Split(method="product")
PUBLISHED = Split(method="published")
Pairs = list[tuple[int, int]]


def articles(pairs: Pairs) -> pd.DataFrame:
    """One article a (product, caption) pair."""
    return pd.DataFrame(
        {
            "id": [f"{number:010d}" for number in range(len(pairs))],
            "product_id": [f"product {product}" for product, _ in pairs],
            "caption": [f"caption {caption}" for _, caption in pairs],
        }
    )


def audit(test: pd.DataFrame, train: pd.DataFrame) -> LeakAudit:
    return SeenInTraining(exposed(train)).audit(exposed(test))


def exposed(part: pd.DataFrame) -> Exposed:
    return Exposed(part["caption"].tolist(), part["product_id"].tolist())


def distinct(count: int) -> pd.DataFrame:
    return articles([(number, number) for number in range(count)])


def split(table: pd.DataFrame, config: Split) -> dict[str, pd.DataFrame]:
    """Splits of a table that may be too small or too connected for three parts."""
    try:
        return split_articles(table, config)
    except UserError as error:
        assert "would be empty" in str(error)
        assume(False)
        raise


def lists_of_pairs(products: int, captions: int, smallest: int = 3, largest: int = 80) -> st.SearchStrategy[Pairs]:
    pair = st.tuples(st.integers(0, products), st.integers(0, captions))
    return st.lists(pair, min_size=smallest, max_size=largest)


configs = st.builds(
    Split,
    method=st.sampled_from(["product", "published"]),
    train=st.sampled_from([0.5, 0.6, 0.7, 0.8]),
    validation=st.sampled_from([0.05, 0.1, 0.15]),
    seed=st.integers(0, 5),
)


@settings(deadline=None, max_examples=60)
@given(lists_of_pairs(40, 40), configs)
def test_every_article_is_in_exactly_one_split(pairs: Pairs, config: Split) -> None:
    table = articles(pairs)
    parts = split(table, config)
    assert tuple(parts) == SPLITS
    assert Counter(id_ for part in parts.values() for id_ in part["id"]) == Counter(table["id"])
    for part in parts.values():
        pd.testing.assert_frame_equal(part, table.loc[part.index])


@settings(deadline=None, max_examples=60)
@given(lists_of_pairs(60, 60), configs)
def test_product_split_keeps_siblings_and_equal_captions_together(pairs: Pairs, config: Split) -> None:
    parts = split(articles(pairs), config.model_copy(update={"method": "product"}))
    for key in ("product_id", "caption"):
        values = [set(part[key]) for part in parts.values()]
        assert len(set.union(*values)) == sum(map(len, values))
    assert audit(parts["test"], parts["train"]).captions_in_train == 0


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 3), min_size=150, max_size=400), configs)
def test_product_split_keeps_its_ratio_where_groups_are_small(sizes: list[int], config: Split) -> None:
    table = articles([(product, product) for product, size in enumerate(sizes) for _ in range(size)])
    parts = split_articles(table, config.model_copy(update={"method": "product"}))
    asked = {"train": config.train, "validation": config.validation, "test": 1 - config.train - config.validation}
    for name, part in parts.items():
        assert abs(len(part) / len(table) - asked[name]) <= 0.01


def test_product_split_draws_large_and_small_groups_into_every_part() -> None:
    sizes = [1, 2, 3, 4, 5] * 60
    table = articles([(product, product) for product, size in enumerate(sizes) for _ in range(size)])
    for part in split_articles(table, PRODUCT).values():
        assert set(part.groupby("product_id").size()) == {1, 2, 3, 4, 5}


def test_product_split_makes_room_for_a_large_group() -> None:
    table = articles([(0, 0)] * 70 + [(number, number) for number in range(1, 31)])
    for seed in range(5):
        parts = split_articles(table, Split(method="product", seed=seed))
        assert [len(part) for part in parts.values()] == [80, 10, 10]


def test_a_chain_of_shared_products_and_captions_is_one_group() -> None:
    chain = [(0, 0), (0, 1), (1, 1), (1, 2), (2, 2)]
    table = articles(chain + [(10 + number, 10 + number) for number in range(40)])
    parts = split_articles(table, PRODUCT)
    assert [set(range(5)) & set(part.index) for part in parts.values()].count(set()) == 2


@given(lists_of_pairs(12, 12, smallest=1))
def test_connected_groups_are_those_of_union_by_hand(pairs: Pairs) -> None:
    groups = [{number} for number in range(len(pairs))]
    for first in range(len(pairs)):
        for second in range(first):
            if any(one == other for one, other in zip(pairs[first], pairs[second], strict=True)):
                merged = groups[first] | groups[second]
                for member in merged:
                    groups[member] = merged
    labels = connected_groups([("product", product), ("caption", caption)] for product, caption in pairs)
    assert [set(np.flatnonzero(labels == label)) for label in labels] == groups


@pytest.mark.parametrize("count", [10, 11, 57, 1000, 1001])
def test_published_split_is_the_paper_s_calls(count: int) -> None:
    table = distinct(count)
    shuffled = table.sample(frac=1, random_state=42)
    train, rest = train_test_split(shuffled, test_size=1 - 0.8, random_state=42)
    validation, test = train_test_split(rest, test_size=0.5, random_state=42)
    parts = split_articles(table, PUBLISHED)
    expected = [part["id"].tolist() for part in (train, validation, test)]
    assert [part["id"].tolist() for part in parts.values()] == expected


def test_published_split_has_the_published_sizes() -> None:
    parts = split_articles(distinct(104_232), PUBLISHED)
    assert [len(part) for part in parts.values()] == [83_385, 10_423, 10_424]


@pytest.mark.parametrize("method", ["product", "published"])
def test_the_seed_decides_the_split(method: str) -> None:
    one, same, other = (
        split_articles(distinct(100), Split.model_validate({"method": method, "seed": seed})) for seed in (1, 1, 2)
    )
    assert one["test"]["id"].tolist() == same["test"]["id"].tolist()
    assert set(one["test"]["id"]) != set(other["test"]["id"])


@pytest.mark.parametrize("count", [3, 4, 5, 9])
def test_a_handful_of_articles_splits_by_product(count: int) -> None:
    assert [len(part) for part in split_articles(distinct(count), PRODUCT).values()] == [count - 2, 1, 1]


@pytest.mark.parametrize(
    ("table", "config", "expected"),
    [
        (distinct(2), PRODUCT, "2 article(s) with a caption: too few"),
        (distinct(3), PUBLISHED, "published: validation would be empty with 3 articles"),
        (articles([(0, number) for number in range(50)]), PRODUCT, "validation, test would be empty with 50 articles"),
        (distinct(50), Split(train=0.9, validation=0.1), "leave nothing for test"),
        (distinct(50), Split(train=0.7, validation=0.6), "leave nothing for test"),
    ],
)
def test_a_split_that_cannot_be_is_refused(table: pd.DataFrame, config: Split, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        split_articles(table, config)
    assert expected in str(caught.value)


def test_leak_audit_counts_by_hand() -> None:
    train = articles([(0, 0), (1, 1), (2, 2)])
    # seen caption and sibling; sibling only; seen caption only; neither
    test = articles([(0, 0), (1, 8), (9, 2), (9, 9)])
    shares = {"captions_in_train": 0.5, "siblings_in_train": 0.5}
    assert audit(test, train).as_dict() == {"test_items": 4, "test_captions": 4} | shares
    assert audit(test.head(1), train).captions_in_train == 1
    assert set(audit(test.head(0), train).as_dict().values()) == {0}


def test_leak_audit_counts_the_captions_that_repeat() -> None:
    test = articles([(0, 5), (0, 5), (1, 6), (2, 6), (2, 6)])
    assert audit(test, articles([(0, 0)])).test_captions == 2


@settings(deadline=None, max_examples=60)
@given(lists_of_pairs(30, 30, smallest=10))
def test_leak_audit_is_the_share_of_seen_items(pairs: Pairs) -> None:
    parts = split(articles(pairs), PUBLISHED)
    test, train = parts["test"], parts["train"]
    seen = [caption in set(train["caption"]) for caption in test["caption"]]
    siblings = [product in set(train["product_id"]) for product in test["product_id"]]
    found = audit(test, train)
    assert found.captions_in_train == pytest.approx(sum(seen) / len(test))
    assert found.siblings_in_train == pytest.approx(sum(siblings) / len(test))
