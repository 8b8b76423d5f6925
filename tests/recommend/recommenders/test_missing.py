"""Missing features: what each method fills in, and the study that hides descriptions to tell which helps."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tastes import Tastes, purchases, tastes

from metrics.common.errors import UserError
from recommend.interactions.interactions import Purchases
from recommend.ranking.estimates import Difference, Estimate
from recommend.ranking.relevant import relevant
from recommend.recommenders.base import ItemFeatures, Recommender
from recommend.recommenders.content import Content
from recommend.recommenders.missing.held_out import HeldOut, held_out
from recommend.recommenders.missing.imputation import impute, without_unknown
from recommend.recommenders.missing.masking import Made, masking_study
from recommend.recommenders.missing.result import MaskedRow, MaskingStudy, sentence

# Articles 0-1-2 are bought together in a row: 0 and 1 by customer 0, 1 and 2 by customer 1; 3 by nobody else.
ROW = purchases(np.array([0, 0, 1, 1, 2]), np.array([0, 1, 1, 2, 3]), 3, 4)
FEATURES = ItemFeatures(
    np.array([[0, 0], [0, 0], [4, 2], [0, 0]], dtype=np.float32), np.array([False, False, True, False]), "texts"
)


def filled(method: str, features: ItemFeatures = FEATURES, captions: ItemFeatures | None = None) -> list[list[float]]:
    imputed = impute(features, method, ROW.matrix, captions)  # type: ignore[arg-type]
    assert imputed.features.known.all()
    return imputed.features.rows.tolist()


def test_zeros_mean_and_random() -> None:
    features = ItemFeatures(
        np.array([[2, 0], [0, 0], [4, 2], [0, 0]], dtype=np.float32), np.array([1, 0, 1, 0], dtype=bool), "texts"
    )
    assert filled("zeros", features) == features.rows.tolist()
    assert filled("mean", features) == [[2, 0], [3, 1], [4, 2], [3, 1]]
    drawn = np.random.default_rng(42).standard_normal((4, 2), dtype=np.float32)
    np.testing.assert_allclose(filled("random", features)[1], [3, 1] + drawn[1], rtol=1e-6)


def test_neighbours_and_pagerank_follow_the_graph() -> None:
    """With one article known, whatever reaches it gets its row; what does not, the mean, which is the same row."""
    one = impute(FEATURES, "neighbours", ROW.matrix)
    assert (one.filled, one.by_mean) == (1, 2)  # article 1 alone is a neighbour of 2
    far = impute(FEATURES, "pagerank", ROW.matrix)
    assert (far.filled, far.by_mean) == (2, 1)  # 0 is reached through 1
    assert far.features.rows.tolist() == [[4, 2]] * 4
    both = ItemFeatures(
        np.array([[0, 8], [0, 0], [4, 2], [0, 0]], dtype=np.float32), np.array([1, 0, 1, 0], dtype=bool), "texts"
    )
    np.testing.assert_allclose(filled("neighbours", both)[1], [2, 5])  # as near to 0 as to 2


def test_pagerank_is_that_of_a_walk_by_matrix_powers() -> None:
    draw = np.random.default_rng(3)
    made = purchases(draw.integers(40, size=300), draw.integers(12, size=300), 40, 12)
    known = np.arange(12) % 3 > 0
    features = ItemFeatures((draw.normal(size=(12, 3)) * known[:, None]).astype(np.float32), known, "texts")
    cosines = made.matrix.toarray().T @ made.matrix.toarray()
    cosines /= np.sqrt(np.outer(np.diag(cosines), np.diag(cosines)))
    np.fill_diagonal(cosines, 0)
    walk = cosines / cosines.sum(axis=1, keepdims=True)
    visits = sum(0.15 * 0.85**step * np.linalg.matrix_power(walk, step) for step in range(21)) * known
    expected = visits @ features.rows / visits.sum(axis=1, keepdims=True)
    found = impute(features, "pagerank", made.matrix).features.rows
    np.testing.assert_allclose(found[~known], expected[~known], rtol=1e-4)


def test_captions_fill_what_they_describe() -> None:
    rows = np.array([[1, 1], [0, 0], [9, 9], [3, 3]], dtype=np.float32)
    captions = ItemFeatures(rows, np.array([True, False, True, True]), "captions")
    assert filled("captions", captions=captions) == [[1, 1], [4, 2], [4, 2], [3, 3]]  # the mean where there is none
    with pytest.raises(UserError, match="missing: captions: expected features of captions, found none"):
        filled("captions")
    other = ItemFeatures(np.ones((4, 3), dtype=np.float32), np.ones(4, dtype=bool), "captions")
    with pytest.raises(UserError, match=r"expected rows of shape \(4, 2\), as texts has, found \(4, 3\)"):
        filled("captions", captions=other)


def test_drop_takes_articles_out_of_training() -> None:
    assert impute(FEATURES, "drop", ROW.matrix).features is FEATURES
    assert without_unknown(ROW, FEATURES).articles.tolist() == [2]
    with pytest.raises(UserError, match=r"missing: expected one of zeros, .*, found median"):
        filled("median")
    with pytest.raises(UserError, match="expected some that are known, found none"):
        filled("mean", ItemFeatures(np.zeros((4, 2), np.float32), np.zeros(4, dtype=bool), "none"))


# Captions that may stand in


def test_only_captions_of_articles_that_the_model_has_seen_nothing_of(tmp_path: Path) -> None:
    from finetune.data.feature_cache import FeatureStore
    from finetune.data.feature_files import About
    from finetune.data.feature_writer import FeatureWriter
    from finetune.models.encoders.tfidf import TfidfEncoder

    rows = [  # id, product, description, role
        ("0", "a", "red dress", "train"),
        ("1", "a", "blue dress", "test"),  # its sibling was trained on
        ("2", "b", "Red  dress", "test"),  # not word for word the description of 0
        ("3", "c", "red dress", "test"),  # word for word
        ("4", "d", "green coat", "test"),
        ("5", "e", "green coat", "validation"),  # chose the checkpoint
        ("6", "f", "long coat", "test"),
        ("7", "f", "short coat", "test"),
        ("8", "g", "wool hat", "test"),
    ]
    pd.DataFrame(rows, columns=["id", "product_id", "description", "role"]).to_parquet(tmp_path / "items.parquet")
    encoder = TfidfEncoder()
    encoder.fit([row[2] for row in rows])
    with FeatureWriter(tmp_path / "texts", About("tfidf", "text", weights=encoder.about().weights), encoder.shape) as w:
        w.append([row[0] for row in rows], encoder.encode_texts([row[2] for row in rows]))
        encoder.save(w.draft)
        w.finish()
    store = FeatureStore.open(tmp_path / "texts")
    captions = tmp_path / "captions.jsonl"
    texts = {row[0]: "a coat" for row in rows if row[3] == "test"} | {"8": "xyz"}
    captions.write_text("".join(json.dumps({"id": key, "caption": text}) + "\n" for key, text in texts.items()))
    found = held_out(captions, tmp_path / "items.parquet", store, ["0", "2", "6", "7", "8"])
    assert found.features.known.tolist() == [False, True, True, True, False]
    np.testing.assert_allclose(found.features.rows[2], encoder.encode_texts(["a coat"])[0])
    assert found.groups[2] == found.groups[3] and len(set(found.groups.tolist())) == 4
    assert found.notes == [
        "7 captions, of 4 articles that the model has seen nothing of",
        "1 of these captions have no word that tfidf knows",
    ]
    with pytest.raises(UserError, match=r"found none among 7; caption --split test of a run with data.split.method"):
        held_out(captions, tmp_path / "items.parquet", store, ["0", "1", "3", "4"])
    other = tmp_path / "other.jsonl"
    other.write_text(json.dumps({"id": "6", "caption": "a coat", "split": "train"}) + "\n")
    with pytest.raises(UserError, match=r"other.jsonl: 6 is in split train, but in test by .*; give the items.parquet"):
        held_out(other, tmp_path / "items.parquet", store, ["6"])
    with pytest.raises(UserError, match=r"1 articles are not in it, such as 9; give the items.parquet of the run"):
        held_out(captions, tmp_path / "items.parquet", store, ["2", "9"])


# The study


@pytest.mark.parametrize(
    ("bounds", "verdict"),
    [
        ([(0.1, 0.2), (0.1, 0.3)], "captions beat mean imputation (nDCG@12"),
        ([(-0.1, 0.2), (0.1, 0.3)], "captions beat mean imputation at some shares alone"),
        ([(-0.3, -0.2), (-0.1, 0.3)], "mean imputation beats captions at some shares alone"),
        ([(-0.3, -0.2), (0.1, 0.3)], "captions beat mean imputation at one share and lose at another"),
        ([(-0.1, 0.2), (0.0, 0.3)], "no effect of captions over mean imputation was found"),
    ],
)
def test_the_sentence_goes_by_the_intervals(bounds: list[tuple[float, float]], verdict: str) -> None:
    none = Estimate(0.0, 0.0, 0.0, 9)
    rows = [
        MaskedRow("m", share, 3, "captions", articles, none, Difference(sum(pair) / 2, *pair, 0.5), None, 0)
        for share, pair in zip((0.2, 0.5), bounds, strict=True)
        for articles in ("hidden", "all")
    ]
    assert sentence("m", rows, 12).startswith(f"m: for purchases of hidden articles {verdict}")
    assert "finds no purchase of a hidden article" not in sentence("m", rows, 12)
    rows.append(MaskedRow("m", 0.2, 3, "mean", "hidden", none, None, None, 0))
    assert sentence("m", rows, 12).endswith("by this model: whatever finds one beats it.")
    behind = [replace(row, over_neighbours=Difference(-0.2, -0.3, -0.1, 0)) for row in rows]
    assert "; for purchases of hidden articles imputation by neighbours beats captions (nDCG@12, 20" in sentence(
        "m", behind, 12
    )
    assert sentence("other", rows, 12) == "other: captions were not compared with mean imputation."


@pytest.fixture(scope="module")
def data() -> Tastes:
    return tastes(400)


def fit(train: Purchases, features: ItemFeatures, checkpoint: Path | None) -> Recommender:
    model = Content()
    model.fit(train, features)
    return model


def captions_of(data: Tastes, error: float) -> HeldOut:
    noise = np.random.default_rng(9).normal(0, error, data.features.rows.shape)
    rows = (data.features.rows + noise).astype(np.float32)
    known = np.arange(60) % 5 > 0
    return HeldOut(ItemFeatures(np.where(known[:, None], rows, 0), known, "captions"), np.arange(60) // 2, ["few"])


def test_captions_that_tell_the_truth_beat_the_mean(data: Tastes) -> None:
    asked = relevant(data.test.customers, data.test.articles, np.ones(400, dtype=bool))
    methods = ("captions", "neighbours", "drop")
    study = masking_study(data.train, asked, data.features, captions_of(data, 0.1), {"content": fit}, methods=methods)
    rows = {(row.share, row.method, row.articles): row for row in study.rows}
    assert len(rows) == 2 * (1 + len(methods) + 1) * 2
    # Groups are pairs of articles; every fifth article has no caption, so that its pair is not hidden: 36 can be.
    assert {row.hidden for row in study.rows} == {12, 30}
    for share in (0.2, 0.5):
        captions, mean = rows[share, "captions", "hidden"], rows[share, "mean", "hidden"]
        assert captions.gain is not None and captions.gain.low > 0 and mean.gain is None
        assert captions.gain.value == pytest.approx(captions.ndcg.value - mean.ndcg.value)
        assert rows[share, "drop", "hidden"].ndcg.value == 0
        neighbours = rows[share, "neighbours", "hidden"]
        assert neighbours.over_neighbours is None and captions.over_neighbours is not None
        assert captions.over_neighbours.value == pytest.approx(captions.ndcg.value - neighbours.ndcg.value)
        assert rows[share, "nothing hidden", "hidden"].ndcg.value >= captions.ndcg.value - 0.02
    assert rows[0.2, "mean", "hidden"].ndcg.customers < rows[0.2, "mean", "all"].ndcg.customers == 400
    assert study.sentences[0].startswith(
        "content: for purchases of hidden articles captions beat mean imputation (nDCG@12, 20% hidden: +0."
    )
    assert "finds no purchase" not in study.sentences[0]
    assert study.notes[1].startswith("hidden: 12 (20%), 30 (50%) articles, whole products")


def test_captions_of_noise_show_no_effect(data: Tastes) -> None:
    asked = relevant(data.test.customers[:300], data.test.articles[:300], np.ones(400, dtype=bool))
    noise = captions_of(data, 0.1)
    same = HeldOut(ItemFeatures(noise.features.rows * 0 + 1, noise.features.known, "ones"), noise.groups, [])
    study = masking_study(data.train, asked, data.features, same, {"content": fit}, (0.2,), ("captions",))
    sentence = study.sentences[0]
    assert [row.method for row in study.rows[::2]] == ["mean", "captions", "nothing hidden"]
    gain = next(row.gain for row in study.rows if row.method == "captions" and row.articles == "hidden")
    assert gain is not None
    expected = "beat" if gain.low > 0 else "mean imputation beats" if gain.high < 0 else "no effect"
    assert expected in sentence


def test_a_study_that_keeps_its_lists_goes_on_after_the_last_fit(data: Tastes) -> None:
    asked = relevant(data.test.customers, data.test.articles, np.ones(400, dtype=bool))
    kept: dict[str, Made] = {}
    fitted: list[str] = []

    def keep(name: str, make: Callable[[Path | None], Made]) -> Made:
        if len(fitted) == 2 and name not in kept:
            raise KeyboardInterrupt
        if name not in kept:
            kept[name] = make(None)
            fitted.append(name)
        return kept[name]

    def study(**how: Any) -> MaskingStudy:
        captions = captions_of(data, 0.1)
        return masking_study(data.train, asked, data.features, captions, {"c": fit}, (0.2,), ("captions",), **how)

    with pytest.raises(KeyboardInterrupt):
        study(keep=keep)
    fitted.clear()
    assert study(keep=keep) == study()
    assert fitted == ["c, 20% hidden, captions"] and next(iter(kept)) == "c, nothing hidden"


def test_shares_that_cannot_be_hidden(data: Tastes) -> None:
    asked = relevant(data.test.customers, data.test.articles, np.ones(400, dtype=bool))
    with pytest.raises(UserError, match=r"to hide 90% of 60 descriptions, expected captions of 54 .*, found 36; train"):
        masking_study(data.train, asked, data.features, captions_of(data, 0.1), {"content": fit}, (0.9,))
    with pytest.raises(UserError, match="expected shares between 0 and 1 that hide an article, found 0 of 60"):
        masking_study(data.train, asked, data.features, captions_of(data, 0.1), {"content": fit}, (0,))
