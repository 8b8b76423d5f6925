"""Saved recommenders, and what their trainings keep; optimisations that leave all numbers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzzing import damaged, files, folder, fuzz, put, reads_or_refuses
from hypothesis import strategies as st
from made_purchases import drawn_purchases

from metrics.common.errors import UserError
from recommend.experiments.fitting import Trial, _kept
from recommend.recommenders.base import Recommender
from recommend.recommenders.missing.kept_lists import _read as read_kept
from recommend.recommenders.registry import load_recommender, saved_recommender
from recommend.recommenders.vbpr.model import BPRMF
from recommend.retrieval.run import _validation
from recommend.retrieval.run_folder import ComposedRun


def saved() -> Path:
    root = folder("saved") / "item-knn"
    if not root.exists():
        recommender: Recommender = load_recommender({"recommender": "item-knn", "neighbours": 8})
        recommender.fit(drawn_purchases())
        recommender.save(root)
    return root


@fuzz("recommend.recommenders.files", "recommend.recommenders.base", cost=8, data=st.data())
def test_saved_recommenders(data: st.DataObject) -> None:
    path = saved() / data.draw(st.sampled_from(["recommender.json", "arrays.npz"]))
    original = path.read_bytes()
    content = damaged(original) if path.suffix == ".npz" else files(json.loads(original))
    try:
        put(path, data.draw(content))
        reads_or_refuses(saved_recommender, saved())
    finally:
        put(path, original)


@fuzz(
    "recommend.recommenders.files", settings=st.sampled_from(["most-popular", "bpr", "vbpr", "hybrid"]), data=st.data()
)
def test_settings_of_recommenders(settings: str, data: st.DataObject) -> None:
    valid = {
        "recommender": settings,
        "days": 7,
        "factors": 4,
        "learning_rate": 0.1,
        "warm": "item-knn",
        "preset": "paper",
    }
    put(folder("settings") / "recommender.json", data.draw(files(valid)))
    reads_or_refuses(saved_recommender, folder("settings"))


@fuzz("recommend.recommenders.missing.kept_lists", data=st.data())
def test_kept_lists(data: st.DataObject) -> None:
    path = folder("kept") / "1234.npz"
    np.savez_compressed(path, lists=np.zeros((2, 3), np.int32), by_mean=1)
    reads_or_refuses(read_kept, put(path, data.draw(damaged(path.read_bytes()))))


QUICK = {"factors": 2, "epochs": 1, "batch_size": 512, "optimizer": "adagrad"}


@fuzz("recommend.recommenders.vbpr.checkpoint", cost=60, data=st.data())
def test_checkpoints_of_vbpr(data: st.DataObject) -> None:
    from safetensors import safe_open
    from safetensors.torch import save_file

    root = folder("vbpr")
    path = root / "vbpr-training.safetensors"
    if not path.exists():
        BPRMF(**QUICK).fit(drawn_purchases(), checkpoint=root)
        put(root / "whole", path.read_bytes())
    original = (root / "whole").read_bytes()
    if data.draw(st.booleans()):
        put(path, data.draw(damaged(original)))
    else:
        with safe_open(root / "whole", "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            values = json.loads(file.metadata()["lookbook"])
        state = data.draw(files(values)).decode("utf-8", "replace")
        path.unlink(missing_ok=True)
        save_file(tensors, path, {"lookbook": state})
    reads_or_refuses(lambda: BPRMF(**QUICK).fit(drawn_purchases(), checkpoint=root))


@fuzz("recommend.experiments.fitting", content=files({"settings": {"k": 3}, "value": 0.5}))
def test_kept_trials(content: bytes) -> None:
    path = put(folder("trials") / "trial-0.json", content)
    reads_or_refuses(lambda: f"{_kept(path.with_suffix(''), lambda _: Trial({}, 0.5)).value:.5f}")


@fuzz(
    "recommend.retrieval.run",
    content=files({"validation": {"loss": 1.0, "excess": 0.1, "chance": 2.0, "pairs": 8, "batch_size": 4}}),
)
def test_records_of_composed_trainings(content: bytes) -> None:
    run = ComposedRun(folder("composed training"))
    put(run.training, content)
    reads_or_refuses(_validation, run)


# Any optimisation that leaves the numbers that can be computed with ends with one message.


@pytest.mark.parametrize("rate", [1e30, 1e38])
@pytest.mark.parametrize("settings", [{"optimizer": "sgd"}, {"optimizer": "adagrad"}, {"optimizer": "sparse-adam"}])
def test_a_vbpr_that_leaves_all_numbers_says_so(settings: dict[str, Any], rate: float) -> None:
    def lists() -> np.ndarray:
        model = BPRMF(factors=2, epochs=2, batch_size=64, learning_rate=rate, **settings)
        model.fit(drawn_purchases())
        return model.recommend(np.arange(3), 5).scores

    try:
        scores = lists()
    except UserError as error:
        assert "finite" in str(error) or "at most 1e30" in str(error)
    else:
        assert np.isfinite(scores[scores > -np.inf]).all()
