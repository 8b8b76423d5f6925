"""`lookbook recommend`: the rows of a recipe, resumed, chosen on validation; their table; what is refused."""

import csv
import json
import math
import os
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from feature_stores import write_store
from recommending import done, refused_by
from shops import Steps, content_of, means, recipe
from typer.testing import CliRunner

from recommend.experiments.run import only_here

COLD: dict[str, Any] = {"name": "cold", "split": "from-2020-09-08", "candidates": "catalogue"}
MODELS: list[dict[str, Any]] = [
    {"recommender": "random"},
    {"recommender": "most-popular", "published": "MostPop"},
    {"recommender": "item-knn", "published": "ItemKNN (k=20)"},
    {"recommender": "repurchase"},
]


@pytest.fixture(scope="module")
def table(shop: Path) -> Path:
    """The output of all kinds of row: two data sets, one of them with cold articles."""
    photo = {"recommender": "content", "name": "<b>photo</b>", "features": str(shop / "photos")}
    datasets = [
        {"name": "80/20", "purchases": str(shop / "bought"), "published": "Original"},
        {**COLD, "purchases": str(shop / "bought")},
    ]
    path = recipe(shop, shop / "out", [*MODELS, photo], datasets=datasets, against=["random"])
    done("recommend", path)
    return shop / "out"


def test_taste_is_learnt_and_only_content_reaches_what_nobody_has_bought(table: Path) -> None:
    everybody, cold = means(table), means(table, 1, "cold")
    assert everybody["ItemKNN (k=20)"] > 2 * everybody["MostPop"]
    assert everybody["<b>photo</b>"] > 2 * everybody["MostPop"]
    assert cold["<b>photo</b>"] > 0.5
    assert cold["ItemKNN (k=20)"] == cold["MostPop"] == cold["repurchase"] == 0
    differences = content_of(table)["datasets"][0]["differences"]
    photo = next(one for one in differences if one["kind"] == "against" and one["model"] == "<b>photo</b>")
    assert photo["differences"]["nDCG@5"]["low"] > 0
    assert photo["p_holm"] < 0.05


def test_values_and_lists_of_every_customer_are_kept(table: Path) -> None:
    """The means of the table are those of the files, recomputed from the lists and what counts as a hit."""
    rows = content_of(table)["datasets"][0]["rows"]
    for row in rows:
        lists = pq.read_table(table / "rows" / row["folder"] / "customers-all.parquet").to_pylist()
        assert len(lists) == row["result"]["facts"]["with_history"] == 60
        for one in lists:
            gained = sum(1 / math.log2(place + 2) for place, hit in enumerate(one["hits"]) if hit)
            ideal = sum(1 / math.log2(place + 2) for place in range(min(one["relevant"], 5)))
            assert one["nDCG@5"] == pytest.approx(gained / ideal)
        mean = sum(one["nDCG@5"] for one in lists) / len(lists)
        assert mean == pytest.approx(row["result"]["estimates"]["all"]["nDCG@5"]["value"])


def test_what_was_bought_is_left_out_but_for_repurchase(table: Path) -> None:
    rows = {row["model"]: row for row in content_of(table)["datasets"][0]["rows"]}
    signatures = {name: row["signatures"]["nDCG@5"] for name, row in rows.items()}
    assert "|seen:included|" in signatures["repurchase"]
    assert "|seen:excluded|" in signatures["ItemKNN (k=20)"]
    assert "|split:per-user-80-20|candidates:trained 21|" in signatures["MostPop"]


def test_published_figures_stand_beside_ours_in_every_form(table: Path) -> None:
    content = content_of(table)
    assert "not comparable" in content["datasets"][0]["warning"]
    assert content["datasets"][1]["warning"] is None
    texts = {form: (table / f"recommend.{form}").read_text(encoding="utf-8") for form in ("md", "html", "tex", "csv")}
    for text in texts.values():
        assert "0.0576" in text  # ItemKNN's published nDCG@5
    assert "<b>photo" not in texts["html"]
    assert "&lt;b&gt;photo" in texts["html"]
    lines = list(csv.DictReader(texts["csv"].splitlines()))
    published = [line for line in lines if line["whose"] == "published" and line["model"] == "Visual (ResNet50)"]
    assert {line["measure"]: line["value"] for line in published}["MAP@12"] == "0.00917"


def test_what_is_finished_is_not_fitted_again(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "out"
    first = done("recommend", recipe(shop, output, MODELS[:2]))
    assert "[2/2] 80/20: MostPop: " in first
    for module in ("rows", "content"):
        monkeypatch.setattr(f"recommend.experiments.{module}.installed_version", lambda: "later")
    monkeypatch.setattr("recommend.ranking.protocol.installed_version", lambda: "later")
    before = (output / "recommend.csv").read_text(encoding="utf-8")
    second = done("recommend", recipe(shop, output, MODELS[:3]))
    assert second.count("finished already") == 2
    assert "[3/3] 80/20: ItemKNN (k=20): " in second
    rows = content_of(output)["datasets"][0]["rows"]
    assert [row["signatures"]["nDCG@5"].endswith("|lookbook:later") for row in rows] == [False, False, True]
    done("recommend", recipe(shop, output, MODELS[:2]))
    assert (output / "recommend.csv").read_text(encoding="utf-8") == before
    changed = [MODELS[0], {"recommender": "most-popular", "days": 2}]
    assert done("recommend", recipe(shop, output, changed)).count("finished already") == 1
    assert len(list((output / "rows").iterdir())) == 4  # the earlier results stay


def test_an_interrupted_choice_goes_on(shop: Path, tmp_path: Path, steps: Steps) -> None:
    """No step is done twice; a trial that is made leaves its value alone, a row that is made nothing."""
    model = {"recommender": "bpr-mf", "factors": 4, "batch_size": 100, "epochs": 2, "early_stopping": True}
    model["tune"] = {"learning_rate": [0.01, 0.1]}
    done("recommend", recipe(shop, tmp_path / "whole", [model]))
    whole, steps.done = steps.done, 0
    rows, seen = tmp_path / "parted" / "rows", set()
    path = recipe(shop, tmp_path / "parted", [model])
    for _ in steps.until_finished(path, 4):
        seen |= {frozenset(file.name for file in left.iterdir()) for left in rows.glob("*.unfinished")}
    assert seen >= {frozenset({"trial-0"}), frozenset({"trial-0.json", "trial-1"})}
    assert steps.done == whole
    assert means(tmp_path / "parted") == means(tmp_path / "whole")
    [row] = rows.iterdir()
    (rows / f"{row.name}.unfinished").mkdir()  # killed before it was removed
    done("recommend", path)
    assert list(rows.iterdir()) == [row]


def test_settings_are_chosen_on_the_validation_part_alone(shop: Path, tmp_path: Path) -> None:
    """One neighbour is the article itself, which finds nothing new."""
    model = {"recommender": "item-knn", "tune": {"neighbours": [1, 10]}}
    done("recommend", recipe(shop, tmp_path / "tuned", [model]))
    done("recommend", recipe(shop, tmp_path / "given", [{"recommender": "item-knn", "neighbours": 10}]))
    [row] = content_of(tmp_path / "tuned")["datasets"][0]["rows"]
    trials = {trial["settings"]["neighbours"]: trial["value"] for trial in row["result"]["trials"]}
    assert trials[1] == 0 < trials[10]
    assert row["result"]["settings"]["neighbours"] == 10
    assert means(tmp_path / "tuned") == means(tmp_path / "given")


def test_validate_names_all_that_is_missing_and_prints_what_rows_take(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from finetune.__main__ import app
    from finetune.config import other_recipes

    ours = EntryPoint("datasets", "recommend.experiments.validate:validate", other_recipes.GROUP)
    monkeypatch.setattr(other_recipes, "entry_points", lambda group: [ours])
    lacking = [MODELS[0], {"recommender": "content", "features": str(tmp_path / "none")}]
    missing = recipe(shop, tmp_path / "out", lacking, datasets=[{"name": "80/20", "purchases": "nowhere"}])
    result = CliRunner().invoke(app, ["validate", str(missing)])
    assert "2 error(s)" in result.stderr and "80/20: nowhere/purchases.json: no such file" in result.stderr
    assert result.exit_code == 2
    assert f"content: {tmp_path / 'none'}: expected a feature store, found nothing; " in result.stderr
    whole = recipe(shop, tmp_path / "out", MODELS)
    result = CliRunner().invoke(app, ["validate", str(whole)])
    assert result.exit_code == 0, result.output
    assert "80/20: Split per-user-80-20: " in result.stdout
    assert len([line for line in result.stdout.splitlines() if " GB" in line]) == len(MODELS)
    assert "ready; what is not finished takes about" in result.stdout
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"recommender": "itemknn"}, "models.0.recommender: expected one of random, "),
        ({"recommender": "item-knn", "neighbors": 3}, "models.0.neighbors: unknown key; did you mean 'neighbours'?"),
        (
            {"recommender": "item-knn", "neighbours": 0},
            "models.0.neighbours: expected a number greater than or equal to 1",
        ),
        ({"recommender": "item-knn", "tune": {"k": [1]}}, "models.0: tune: expected settings of item-knn, neighbours"),
        ({"recommender": "item-knn", "tune": {"neighbours": ["x"]}}, "tune.neighbours: "),
        ({"recommender": "random", "published": "Randm"}, "did you mean 'Random'?"),
        ({"recommender": "random", "datasets": ["80-20"]}, "models.0.datasets: expected one of 80/20"),
        ({"recommender": "content"}, "models.0.features: missing"),
        ({"recommender": "content", "features": "x", "missing": "captions"}, "captions: give a store"),
        ({"recommender": "content", "features": "$NOWHERE/x"}, "set the environment variable in $NOWHERE/x"),
    ],
)
def test_a_wrong_model_is_one_message(shop: Path, tmp_path: Path, model: dict[str, Any], message: str) -> None:
    assert message in refused_by("recommend", recipe(shop, tmp_path / "out", [model]))


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"ks": [30]}, "ks: 30: data set 80/20 has 21 candidates; measure shorter lists"),
        ({"ks": [5, 12, 5]}, "ks: expected different lengths of list, found 5, 12, 5"),
        ({"ks": [0]}, "ks.0: expected a number greater than or equal to 1"),
        ({"against": ["x"]}, "against: expected one of random"),
        ({"models": MODELS[:1] * 2}, "two entries are called random"),
        ({"datasets": [{"name": "a", "purchases": "none"}]}, "none/purchases.json: no such file"),
        (
            {"datasets": [{"name": "a", "purchases": "x", "split": "weekly"}]},
            "datasets.0.split: split 'weekly': expected",
        ),
        ({"datasets": [{"name": "a", "purchases": "x", "published": "Origin"}]}, "did you mean 'Original'?"),
        ({"dataset": []}, "dataset: unknown key; did you mean 'datasets'?"),
    ],
)
def test_a_wrong_recipe_is_one_message(shop: Path, tmp_path: Path, others: dict[str, Any], message: str) -> None:
    assert message in refused_by("recommend", recipe(shop, tmp_path / "out", **{"models": MODELS[:1], **others}))


def test_files_of_others_and_an_output_in_use_are_left_alone(shop: Path, tmp_path: Path) -> None:
    path = recipe(shop, tmp_path / "out", MODELS[:1])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "recommend.md").write_text("mine", encoding="utf-8")
    assert "holds what Lookbook did not write there: recommend.md; " in refused_by("recommend", path)
    (tmp_path / "out" / "recommend.md").unlink()
    with only_here(tmp_path / "out"):
        assert f"another process is at it: process {os.getpid()} (" in refused_by("recommend", path)


def test_a_damaged_result_is_named(shop: Path, tmp_path: Path) -> None:
    done("recommend", recipe(shop, tmp_path / "out", MODELS[:1]))
    path = recipe(shop, tmp_path / "out", MODELS[:2])
    [first] = (tmp_path / "out" / "rows").iterdir()
    (first / "customers-all.parquet").write_bytes(b"PAR1")
    remedy = "remove this folder, and the model is fitted again"
    assert f"{first / 'customers-all.parquet'}: cannot read it" in refused_by("recommend", path)
    (first / "customers-all.parquet").unlink()
    assert remedy in refused_by("recommend", path)
    whole = json.loads((first / "result.json").read_text(encoding="utf-8"))
    for key in whole:
        lacking = {name: value for name, value in whole.items() if name != key}
        (first / "result.json").write_text(json.dumps(lacking), encoding="utf-8")
        assert refused_by("recommend", path) == f"{first / 'result.json'}: is not as it was written; {remedy}"
    (first / "result.json").write_text(json.dumps(whole | {"short_lists": math.nan}), encoding="utf-8")
    assert "is not as it was written" in refused_by("recommend", path)
    (first / "result.json").write_text("{", encoding="utf-8")
    assert remedy in refused_by("recommend", path)


def test_models_unlike_the_published_ones_are_said_to_be(shop: Path, tmp_path: Path) -> None:
    vbpr = {"recommender": "vbpr", "features": str(shop / "photos"), "pca": 2, "epochs": 1, "optimizer": "adagrad"}
    models = [
        {"recommender": "user-knn", "published": "UserKNN (k=10)"},
        {**vbpr, "published": "Visual (ResNet50)"},
        {**vbpr, "published": "Multimodal (CLIP)"},
        {"recommender": "item-knn", "published": "ItemKNN (k=20)"},
    ]
    datasets = [{"name": "80/20", "purchases": str(shop / "bought"), "published": "Original"}]
    screen = done("recommend", recipe(shop, tmp_path / "out", models, datasets=datasets))
    knn, of_features = content_of(tmp_path / "out")["datasets"][0]["unlike_models"]
    assert knn.startswith("UserKNN (k=10): ") and "elliot_compat: true" in knn
    assert of_features.startswith("Visual (ResNet50), Multimodal (CLIP): ")
    assert "ours of adagrad, batches of 1,024, 1 epochs, features photos PCA 2." in of_features
    for form in ("md", "html", "tex"):
        assert "which is our model with elliot" in (tmp_path / "out" / f"recommend.{form}").read_text(encoding="utf-8")
    assert knn in " ".join(screen.split())
    models[0] |= {"elliot_compat": True}
    done("recommend", recipe(shop, tmp_path / "out", models[:1], datasets=datasets))
    assert content_of(tmp_path / "out")["datasets"][0]["unlike_models"] == []


def test_a_store_that_a_model_cannot_use_is_refused_before_anything_is_fitted(shop: Path, tmp_path: Path) -> None:
    write_store(tmp_path / "grid", ["a"], np.ones((1, 2, 2)))
    models = [
        {"recommender": "random"},
        {"recommender": "content", "name": "long", "features": str(shop / "photos"), "pca": 999},
        {"recommender": "content", "name": "grid", "features": str(tmp_path / "grid")},
    ]
    found = refused_by("recommend", recipe(shop, tmp_path / "out", models))
    assert (
        f"long: {shop / 'photos'}: pca: expected at most 3, the numbers of its vectors, found 999; lower pca" in found
    )
    assert f"grid: {tmp_path / 'grid'}: expected a vector an item, found rows of shape (2, 2)" in found
    assert not (tmp_path / "out").exists()
