"""VBPR: its loss against a re-derivation, its batches, what it learns, early stopping, interruption."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from tastes import Tastes, tastes

from metrics.common.errors import UserError
from recommend.ranking.measures import ranking_values
from recommend.ranking.relevant import relevant
from recommend.recommenders.base import ItemFeatures
from recommend.recommenders.vbpr.model import BPRMF, VBPR, PaperVBPR, standardised
from recommend.recommenders.vbpr.sampling import Sampler
from recommend.recommenders.vbpr.settings import PaperSettings, VBPRSettings

pytestmark = pytest.mark.torch
QUICK = {
    "factors": 8,
    "feature_factors": 8,
    "batch_size": 64,
    "epochs": 6,
    "optimizer": "adagrad",
    "learning_rate": 0.1,
}


@pytest.fixture(scope="module")
def data() -> Tastes:
    return tastes()


def ndcg(model: VBPR, data: Tastes, wanted: np.ndarray) -> float:
    asked = relevant(data.test.customers, data.test.articles, np.ones(data.test.customer_count, bool)).only(wanted)
    return float(ranking_values(model.recommend(asked.customers, 12).ids, asked, [12])["nDCG@12"].mean())


# The loss, written out with dense arrays, and its derivatives by hand.


Values = dict[str, np.ndarray]


def dense_loss(p: Values, f: np.ndarray, triples: np.ndarray, normalised: bool, weight: float) -> tuple[float, Values]:
    """-log sigmoid(x_ui - x_uj) averaged over triples, (weight/2) sum of squares / B, and the gradient of their sum."""
    grads = {name: np.zeros_like(values) for name, values in p.items()}
    total, count = 0.0, len(triples)

    def projected(i: int) -> tuple[np.ndarray, np.ndarray]:
        y = p["W"] @ f[i] + p.get("b", 0)
        length = np.linalg.norm(y) if normalised else 1.0
        jacobian = (np.eye(len(y)) - np.outer(y, y) / length**2) / length if normalised else np.eye(len(y))
        return y / length, jacobian

    for u, i, j in triples:
        x = p["gu"][u] @ (p["gi"][i] - p["gi"][j])
        if "W" in p:
            (pi, ji), (pj, jj) = projected(i), projected(j)
            x += p["tu"][u] @ (pi - pj)
        if "bias" in p:
            x += p["bias"][i, 0] - p["bias"][j, 0] + p["v"][0] @ (f[i] - f[j])
        rows = [("gu", u), ("gi", i), ("gi", j), ("tu", u), ("bias", i), ("bias", j)]
        rows = [(name, place) for name, place in rows if name in p]
        total += np.log1p(np.exp(-x)) + weight / 2 * sum((p[name][place] ** 2).sum() for name, place in rows)
        s = -1 / (1 + np.exp(x)) / count
        for name, place in rows:
            grads[name][place] += weight * p[name][place] / count
        grads["gu"][u] += s * (p["gi"][i] - p["gi"][j])
        grads["gi"][i] += s * p["gu"][u]
        grads["gi"][j] -= s * p["gu"][u]
        if "W" in p:
            grads["tu"][u] += s * (pi - pj)
            grads["W"] += s * (np.outer(ji @ p["tu"][u], f[i]) - np.outer(jj @ p["tu"][u], f[j]))
        if "b" in p:
            grads["b"] += s * (ji - jj) @ p["tu"][u]
        if "bias" in p:
            grads["bias"][i] += s
            grads["bias"][j] -= s
            grads["v"][0] += s * (f[i] - f[j])
    return total / count, grads


@pytest.mark.parametrize("kind", [VBPRSettings, PaperSettings])
def test_loss_and_gradients_equal_a_dense_derivation(kind: type[VBPRSettings]) -> None:
    import torch

    from recommend.recommenders.vbpr.network import Network

    draw = np.random.default_rng(1)
    chosen = kind(factors=5, feature_factors=3, regularization=0.3)
    f = draw.normal(size=(7, 4))
    network = Network(6, 7, torch.from_numpy(f), chosen).double()
    names = {
        "gu": "gamma_customers.weight",
        "gi": "gamma_articles.weight",
        "tu": "theta_customers.weight",
        "W": "projection.weight",
        "b": "projection.bias",
        "bias": "article_bias.weight",
        "v": "feature_bias.weight",
    }
    tensors = dict(network.named_parameters())
    with torch.no_grad():
        for one in tensors.values():
            one.copy_(torch.from_numpy(draw.normal(size=one.shape)))
    parameters = {short: tensors[name].detach().numpy() for short, name in names.items() if name in tensors}
    assert ("b" in parameters) == chosen.normalised and ("bias" in parameters) == chosen.article_bias
    triples = np.column_stack([draw.integers(6, size=20), draw.integers(7, size=20), draw.integers(7, size=20)])
    expected, gradients = dense_loss(parameters, f, triples, chosen.normalised, chosen.regularization)
    ranking, regularisation = network.loss(*(torch.from_numpy(column) for column in triples.T))
    (ranking + regularisation).backward()
    assert float((ranking + regularisation).detach()) == pytest.approx(expected, rel=1e-12)
    for short, values in gradients.items():
        found = tensors[names[short]].grad
        found = found.to_dense() if found.is_sparse else found
        np.testing.assert_allclose(found.numpy(), values, rtol=1e-9, atol=1e-12, err_msg=short)


def test_sgd_moves_a_purchase_as_far_in_a_batch_of_any_size() -> None:
    import torch

    from recommend.recommenders.vbpr.network import Network
    from recommend.recommenders.vbpr.training import Training

    matrix = scipy.sparse.csr_matrix(np.array([[1, 0, 1, 0], [0, 1, 0, 1], [0, 1, 0, 0]], dtype=np.float32))
    chosen = VBPRSettings(
        factors=3, batch_size=3, epochs=1, optimizer="sgd", learning_rate=0.5, regularization=0.1, draw="purchases"
    )
    torch.sparse.check_sparse_tensor_invariants.disable()
    network, sampler = Network(3, 4, None, chosen).double(), Sampler(matrix, chosen)
    p = {"gu": network.gamma_customers.weight.detach().numpy().copy()}
    p["gi"] = network.gamma_articles.weight.detach().numpy().copy()
    Training(network, sampler, chosen).run()
    batches = [np.column_stack(batch) for batch in sampler.epoch(0)]
    assert [len(batch) for batch in batches] == [3, 2]
    for batch in batches:
        _, gradients = dense_loss(p, np.zeros((4, 1)), batch, False, 0.1)
        p = {name: values - 0.5 * len(batch) * gradients[name] for name, values in p.items()}
    np.testing.assert_allclose(network.gamma_customers.weight.detach().numpy(), p["gu"], rtol=1e-9)
    np.testing.assert_allclose(network.gamma_articles.weight.detach().numpy(), p["gi"], rtol=1e-9)


# Batches


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 12), st.integers(2, 9), st.integers(1, 7), st.integers(0, 99))
def test_batches_hold_each_purchase_once_and_articles_that_others_bought(u: int, i: int, size: int, seed: int) -> None:
    dense = np.random.default_rng(seed).random((u, i)) < 0.4
    dense[0, 0], dense[1, 1] = True, True
    matrix = scipy.sparse.csr_matrix(dense.astype(np.float32))
    sold = dense.any(axis=0)
    full = dense.sum(axis=1) == sold.sum()
    if full[dense.any(axis=1)].all():
        with pytest.raises(UserError, match="bought some of the articles and not all"):
            Sampler(matrix, VBPRSettings(batch_size=size))
        return
    for kind, negatives in (("purchases", "articles"), ("customers", "purchases")):
        sampler = Sampler(matrix, VBPRSettings(batch_size=size, draw=kind, negatives=negatives, seed=seed))  # type: ignore[arg-type]
        batches = list(sampler.epoch(3))
        customers, bought, others = (np.concatenate(column) for column in zip(*batches, strict=True))
        assert dense[customers, bought].all() and not dense[customers, others].any() and sold[others].all()
        assert len(batches) == sampler.steps and sampler.left_out == dense[full].sum()
        pairs = sorted(zip(customers.tolist(), bought.tolist(), strict=True))
        expected = [tuple(pair) for pair in np.argwhere(dense & ~full[:, None]).tolist()]
        assert len(pairs) == len(expected)
        assert kind == "customers" or pairs == expected
        for one, other in zip(list(sampler.epoch(3, 1)), batches[1:], strict=True):
            assert all((a == b).all() for a, b in zip(one, other, strict=True))


# What it learns


def test_cold_articles_are_ranked_by_features_alone(data: Tastes) -> None:
    model, plain = PaperVBPR(**{**QUICK, "epochs": 20}), BPRMF(**QUICK)
    model.fit(data.train, data.features)
    plain.fit(data.train, data.features)
    assert ndcg(model, data, data.cold) > 0.4  # of 6 cold articles, those of the own kind
    lists = plain.recommend(np.arange(120), 54)
    assert not data.cold[lists.ids[lists.ids >= 0]].any()
    assert ndcg(plain, data, ~data.cold) > 2 * 12 / 54 / 4


def test_without_purchases_and_features_nothing_is_known(data: Tastes) -> None:
    lacking = data.cold & (np.arange(60) < 30)
    known = ~lacking
    features = ItemFeatures(np.where(known[:, None], data.features.rows, 0), known, "some")
    idle = np.isin(data.train.customers, [0, 1, 2], invert=True)
    for kind in (VBPR, PaperVBPR):
        model = kind(**QUICK)
        model.fit(data.train.taken(idle), features)
        lists = model.recommend(np.arange(120), 60, exclude_seen=False)
        assert (lists.ids[3:] >= 0).sum() == 117 * 57 and not np.isin(np.flatnonzero(lacking), lists.ids).any()
        if kind is VBPR:
            assert (lists.ids[:3] == -1).all() and np.isneginf(lists.scores[:3]).all()
        else:
            assert (lists.ids[0] == lists.ids[1]).all() and lists.ids[0, 0] >= 0


def test_features_are_standardised_over_those_known() -> None:
    rows = np.array([[1, 5], [3, 5], [0, 0]], dtype=np.float32)
    found = standardised(ItemFeatures(rows, np.array([True, True, False]), "two"))
    np.testing.assert_allclose(found, [[-1, 0], [1, 0], [0, 0]])
    with pytest.raises(UserError, match="expected articles that differ, found 2"):
        standardised(ItemFeatures(rows[[0, 0]], np.array([True, True]), "one"))


def test_early_stopping_keeps_the_best_epoch(data: Tastes) -> None:
    stopped = BPRMF(**{**QUICK, "epochs": 40, "patience": 3, "learning_rate": 0.3})
    stopped.fit(data.train, None, validation=data.test)
    values = [epoch.validation for epoch in stopped.epochs_trained]
    best = int(np.argmax(values))
    assert len(values) == best + 1 + 3 < 40
    again = BPRMF(**{**asdict(stopped), "epochs": best + 1})
    again.fit(data.train)
    np.testing.assert_array_equal(again.articles, stopped.articles)
    assert ndcg(stopped, data, np.ones(60, bool)) == pytest.approx(max(values), abs=1e-6)


# Interruption


class KilledError(Exception):
    pass


@pytest.mark.parametrize("optimizer", ["sgd", "adagrad", "sparse-adam"])
def test_killed_it_resumes_to_the_same_result(
    optimizer: str, data: Tastes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = {**QUICK, "optimizer": optimizer, "epochs": 4, "learning_rate": 0.02}
    whole = VBPR(**chosen)
    whole.fit(data.train, data.features, data.test)
    monkeypatch.setattr("recommend.recommenders.vbpr.training.CHECKPOINT_SECONDS", 0.0)
    negatives, calls = Sampler._negatives, [0]

    def killing(self: Sampler, *arguments: object) -> np.ndarray:
        calls[0] += 1
        if calls[0] % 11 == 0:
            raise KilledError
        return negatives(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Sampler, "_negatives", killing)
    kills = 0
    while True:
        resumed = VBPR(**chosen)
        try:
            resumed.fit(data.train, data.features, data.test, tmp_path)
            break
        except KilledError:
            kills += 1
    assert kills >= 2
    assert [asdict(one) for one in resumed.epochs_trained] == [asdict(one) for one in whole.epochs_trained]
    np.testing.assert_array_equal(resumed.customers, whole.customers)
    np.testing.assert_array_equal(resumed.articles, whole.articles)


def test_a_checkpoint_of_another_training_is_refused(data: Tastes, tmp_path: Path) -> None:
    short = {**QUICK, "epochs": 1}
    VBPR(**short).fit(data.train, data.features, checkpoint=tmp_path)
    with pytest.raises(UserError, match="a training on other purchases or features, or with other settings"):
        VBPR(**{**short, "seed": 1}).fit(data.train, data.features, checkpoint=tmp_path)
    [file] = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"vbpr-training.safetensors: damaged .*; remove it"):
        VBPR(**short).fit(data.train, data.features, checkpoint=tmp_path)


def test_a_saved_recommender_needs_no_checkpoint(data: Tastes, tmp_path: Path) -> None:
    model = VBPR(**{**QUICK, "epochs": 1})
    model.fit(data.train, data.features, checkpoint=tmp_path / "checkpoint")
    assert [file.name for file in (tmp_path / "checkpoint").iterdir()] == ["vbpr-training.safetensors"]
    model.save(tmp_path / "model")
    assert not list((tmp_path / "checkpoint").iterdir())
    VBPR.load(tmp_path / "model").save(tmp_path / "copy")


@pytest.mark.parametrize("optimizer", ["sgd", "adagrad", "sparse-adam"])
@pytest.mark.parametrize("rate", [1e20, 1e30])
def test_a_training_that_diverges_is_one_message(data: Tastes, optimizer: str, rate: float) -> None:
    model = VBPR(**{**QUICK, "epochs": 2, "optimizer": optimizer, "learning_rate": rate})
    with pytest.raises(UserError, match=r"^vbpr: .*(is not finite|larger than a float can be); lower learning_rate"):
        model.fit(data.train, data.features)


def test_impossible_settings_are_refused() -> None:
    for wrong in (
        {"factors": 0},
        {"learning_rate": 0.0},
        {"optimizer": "adam"},
        {"draw": "items"},
        {"negatives": "all"},
        {"patience": 0},
    ):
        [(name, value)] = wrong.items()
        with pytest.raises(UserError, match=f"vbpr: {name}: expected .*, found {value}"):
            VBPR(**wrong)  # type: ignore[arg-type]
