"""Recipes with missing features: filled in for a row, and the study that hides known ones."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from feature_stores import write_store
from recommending import done, recommend, refused_by
from shops import ARTICLES, Steps, content_of, means, recipe

from finetune.data.feature_cache import FeatureStore

SHARE = 0.5


@pytest.fixture
def masking(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A study whose captions say the same as what is hidden; which may stand in is tested elsewhere."""
    from recommend.recommenders.features import item_features
    from recommend.recommenders.missing.held_out import HeldOut

    def same(captions: Path, items: Path, store: FeatureStore, ids: list[str]) -> HeldOut:
        return HeldOut(item_features(store, ids), np.arange(len(ids)), [f"{captions.name} and {items.name}"])

    monkeypatch.setattr("recommend.experiments.masking.held_out", same)
    for name in ("captions.jsonl", "items.parquet"):
        (tmp_path / name).touch()
    files = {"captions": str(tmp_path / "captions.jsonl"), "items": str(tmp_path / "items.parquet")}
    return {"dataset": "80/20", "models": ["photo"], "features": str(shop / "photos"), "shares": [SHARE], **files}


def photo(shop: Path, **settings: Any) -> dict[str, Any]:
    return {"recommender": "content", "name": "photo", "features": str(shop / "photos"), **settings}


def catalogue(shop: Path) -> list[dict[str, Any]]:
    """All articles are candidates, so that PCA is fitted on the same with and without what is filled in."""
    return [{"name": "80/20", "purchases": str(shop / "bought"), "candidates": "catalogue"}]


def test_missing_features_are_studied(shop: Path, tmp_path: Path, masking: dict[str, Any]) -> None:
    path = recipe(shop, tmp_path / "out", [photo(shop)], masking=masking)
    assert "masking: " in done("recommend", path)
    study = content_of(tmp_path / "out")["masking"]
    values = {(row["method"], row["articles"]): row["ndcg"]["value"] for row in study["rows"]}
    assert values["captions", "all"] == pytest.approx(values["nothing hidden", "all"])
    assert values["captions", "hidden"] > values["mean", "hidden"]
    text = (tmp_path / "out" / "recommend.html").read_text(encoding="utf-8")
    assert study["sentences"][0].startswith("photo: ") and "Captions.jsonl and items.parquet." in text
    assert "masking: " not in done("recommend", path)


def test_the_study_fits_the_rows_own_model(shop: Path, tmp_path: Path, masking: dict[str, Any]) -> None:
    """One dimension is too few to tell three kinds apart: with nothing hidden the study finds what the row has."""
    found = {}
    for dimensions in (None, 1):
        output = tmp_path / f"out-{dimensions}"
        models = [photo(shop, **({"pca": dimensions} if dimensions else {}))]
        done("recommend", recipe(shop, output, models, masking=masking, datasets=catalogue(shop)))
        rows = content_of(output)["masking"]["rows"]
        whole = next(row for row in rows if (row["method"], row["articles"]) == ("nothing hidden", "all"))
        found[dimensions] = whole["ndcg"]["value"]
        assert found[dimensions] == pytest.approx(means(output)["photo"])
    assert found[1] < found[None] - 0.1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recommender": "random", "features": None}, "masking.models: expected one of photo"),
        ({"features": "elsewhere"}, "masking.models: other reads elsewhere, not masking.features"),
        ({"tune": {"epochs": [1, 2]}}, "masking.models: other has tune: the study fills in itself and chooses nothing"),
        ({"early_stopping": True, "missing": "mean"}, "masking.models: other has early_stopping, missing: "),
    ],
)
def test_what_the_study_would_not_follow_is_refused(
    shop: Path, tmp_path: Path, masking: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    other = {"recommender": "vbpr", "name": "other", "features": str(shop / "photos")} | changes
    other = {key: value for key, value in other.items() if value is not None}
    path = recipe(shop, tmp_path / "out", [photo(shop), other], masking={**masking, "models": ["other"]})
    assert message in refused_by("recommend", path)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_captions_are_reduced_with_what_they_stand_in_for(shop: Path, tmp_path: Path, dimensions: int) -> None:
    """Captions that say the same as what the store lacks give the same lists as a store that lacks nothing."""
    rows = FeatureStore.open(shop / "photos").rows(np.arange(len(ARTICLES)))
    lacking = write_store(tmp_path / "lacking", ARTICLES[6:], rows[6:])
    captions = write_store(tmp_path / "captions", ARTICLES, rows)
    by_captions = {"missing": "captions", "captions": str(captions)}
    filled = photo(shop, pca=dimensions, **by_captions) | {"name": "filled", "features": str(lacking)}
    models = [photo(shop, pca=dimensions), filled]
    done("recommend", recipe(shop, tmp_path / "out", models, datasets=catalogue(shop)))
    found = means(tmp_path / "out")
    assert found["filled"] == pytest.approx(found["photo"]) and found["photo"] > 0.2


def test_what_is_filled_in_is_counted_and_named(shop: Path, tmp_path: Path) -> None:
    """The first article shares customers with others; the last one nobody bought in training."""
    rows = FeatureStore.open(shop / "photos").rows(np.arange(len(ARTICLES)))
    lacking = write_store(tmp_path / "lacking", ARTICLES[1:-1], rows[1:-1])
    models = [
        photo(shop, missing="neighbours") | {"features": str(lacking)},
        photo(shop) | {"name": "as it is", "features": str(lacking)},
    ]
    datasets = [{**catalogue(shop)[0], "split": "from-2020-09-08"}]
    screen = done("recommend", recipe(shop, tmp_path / "out", models, datasets=datasets))
    filled, unfilled = (row["result"]["features"] for row in content_of(tmp_path / "out")["datasets"][0]["rows"])
    assert (filled["known"], filled["articles"], filled["filled"], filled["by_mean"]) == (22, 24, 1, 1)
    assert (unfilled["known"], unfilled["filled"], unfilled["by_mean"]) == (22, 0, 0)
    named = f"lacking: 2 of 24 articles have no features ({ARTICLES[0]}, {ARTICLES[-1]})"
    page = (tmp_path / "out" / "recommend.md").read_text(encoding="utf-8")
    for text in (page, " ".join(screen.split())):
        assert f"{named}; 1 are filled in by neighbours, 1 by the mean for want of it." in text
        assert f"{named}." in text
    assert "22 of 24 (1 filled in, 1 by the mean)" in page


def test_an_interrupted_study_goes_on(
    shop: Path, tmp_path: Path, masking: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from recommend.recommenders.missing import masking as study

    path = recipe(shop, tmp_path / "out", [photo(shop)], masking=masking)
    fill, allowed = study.impute, iter(range(2))

    def dies(*arguments: Any) -> Any:
        if next(allowed, None) is None:
            raise KeyboardInterrupt
        return fill(*arguments)

    monkeypatch.setattr(study, "impute", dies)
    assert recommend("recommend", path).exit_code != 0
    [unfinished] = (tmp_path / "out" / "rows").glob("*.unfinished")
    assert len(list(unfinished.glob("*.npz"))) == 3
    monkeypatch.setattr(study, "impute", fill)
    damaged = next(unfinished.glob("*.npz"))
    kept = damaged.read_bytes()
    damaged.write_bytes(kept[:-30])
    assert "remove this file, and the model is fitted again" in refused_by("recommend", path)
    damaged.write_bytes(kept)
    screen = done("recommend", path)
    assert screen.count("finished already") == 1 + 3 and "  masking [4/8] photo, 50% hidden, random: " in screen
    assert not list((tmp_path / "out" / "rows").glob("*.unfinished"))


def test_an_interrupted_fit_of_a_study_goes_on(
    shop: Path, tmp_path: Path, masking: dict[str, Any], steps: Steps
) -> None:
    model = photo(shop, recommender="vbpr", batch_size=150, epochs=1)
    done("recommend", recipe(shop, tmp_path / "whole", [model], masking=masking))
    whole, steps.done = steps.done, 0
    path = recipe(shop, tmp_path / "parted", [model], masking=masking)
    for _ in steps.until_finished(path, 5):
        pass
    assert steps.done == whole > 5
    assert content_of(tmp_path / "parted")["masking"] == content_of(tmp_path / "whole")["masking"]
    assert not list((tmp_path / "parted" / "rows").glob("*.unfinished"))


def test_validate_counts_the_study_and_its_files(
    shop: Path, tmp_path: Path, masking: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    from recommend.experiments.validate import validate

    path = recipe(shop, tmp_path / "out", [photo(shop)], masking=masking)
    validate(path, ())
    lines = [line for line in capsys.readouterr().out.splitlines() if " GB" in line]
    assert len(lines) == 2 and "masking: photo, 8 times" in lines[1]  # 7 methods at one share, and nothing hidden
    Path(masking["captions"]).unlink()
    with pytest.raises(SystemExit):
        validate(path, ())
    assert "captions.jsonl: No such file" in capsys.readouterr().err
