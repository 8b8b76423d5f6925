"""`lookbook compose-train` and `compose`: what is trained answers queries, and its figures are those of a sorted list."""

import json
import re
import shutil
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from composing import row, write_recipe, write_split
from places import RECIPES
from recommending import done, recommend, refused_by
from tiny_encoders import bert, clip, resnet
from typer.testing import CliRunner

from finetune.data.demo import fashion_iq as demo
from finetune.data.feature_cache import FeatureStore
from metrics.photos.folders import remember_folder
from recommend.retrieval.output import published
from recommend.retrieval.recipe import load_recipe
from recommend.retrieval.run_folder import ComposedRun
from recommend.retrieval.trained import load

TEXT = "is red & <b>bold</b>"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn dresses in `data`, a tiny ResNet, and a trained run in `run` by `run.yaml`."""
    folder = tmp_path_factory.mktemp("composed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "CATEGORIES", {"dress": "Dress"})
        patch.setattr(demo, "SIZE", (24, 36))
        demo.write_fashion_iq_demo(folder / "data", 20, 0)
    recipe = write_recipe(folder / "run.yaml", folder / "data", resnet(folder / "resnet"))
    (folder / "printed.txt").write_text(done("compose-train", recipe), encoding="utf-8")
    return folder


def results(run: Path) -> Any:
    return json.loads((run / "composed-retrieval.json").read_text(encoding="utf-8"))


def test_figures_equal_a_brute_force_ranking(shop: Path) -> None:
    run = ComposedRun(shop / "run")
    store, trained = FeatureStore.open(run.vectors), load(run, run.recipe())
    rows = json.loads((shop / "data" / "captions" / "cap.dress.val.json").read_text())
    texts = trained.texts([" and ".join(one["captions"]) for one in rows]).astype(float)
    galleries = {
        "original": json.loads((shop / "data" / "image_splits" / "split.dress.val.json").read_text()),
        "union": sorted({one[name] for one in rows for name in ("candidate", "target")}),
    }
    parts = {part["gallery"]: part for part in results(shop / "run")["parts"] if part["split"] == "val"}
    assert set(parts) == set(galleries)
    for name, ids in galleries.items():
        vectors = store.rows(store.places(ids)).astype(float)
        hits = []
        for one, text in zip(rows, texts, strict=True):
            differences = vectors - vectors[ids.index(one["candidate"])]
            lengths = np.linalg.norm(differences, axis=1)
            cosines = np.where(lengths > 0, differences @ text / np.maximum(lengths, 1e-30), 0)
            hits.append(one["target"] in [ids[place] for place in np.argsort(-cosines, kind="stable")[:10]])
        figures = {row["name"]: row["figures"] for row in parts[name]["rows"]}
        assert figures["composed"]["dress R@10"]["value"] == pytest.approx(np.mean(hits))
        assert figures["random"]["dress R@10"]["value"] == pytest.approx(10 / len(ids))
        assert figures["composed"]["mean R@50"]["value"] == 1
        assert parts[name]["sizes"] == {"dress": len(ids)}
        less, composed, total = (figures[one]["dress R@10"] for one in ("composed less sum", "composed", "sum"))
        assert less["value"] == pytest.approx(composed["value"] - total["value"])
        assert less["low"] <= less["value"] <= less["high"]


def test_the_gallery_is_named_and_published_rows_name_theirs(shop: Path) -> None:
    printed, page = (shop / name for name in ("printed.txt", "run/composed-retrieval.html"))
    assert "val, gallery original (dress 20), 16 queries" in printed.read_text(encoding="utf-8")
    html = page.read_text(encoding="utf-8")
    assert "val, gallery union (dress " in html
    chance = re.findall(r"<td[^>]*>([\d.]+)", html.partition(">random<")[2].partition("</tr>")[0])
    assert chance == ["50.0", "100.0", "50.0", "100.0"]  # R@10 and R@50 of 20 dresses, and their means
    galleries = {one["system"]: one["gallery"] for one in published()}
    assert (galleries["TIRG"], galleries["SPRC"]) == ("union, without the reference", "original")
    assert "Gardères et al. 2025" in html


def test_a_finished_run_is_kept_the_same_seed_gives_the_same_and_another_recipe_is_refused(shop: Path) -> None:
    before = (shop / "run" / "model.safetensors").read_bytes(), results(shop / "run")
    assert "this recipe is trained already" in done("compose-train", shop / "run.yaml")
    assert ((shop / "run" / "model.safetensors").read_bytes(), results(shop / "run")) == before
    done("compose-train", shop / "run.yaml", f"output={shop / 'again'}")
    assert (shop / "again" / "model.safetensors").read_bytes() == before[0]
    message = refused_by("compose-train", shop / "run.yaml", "training.epochs=2")
    assert "holds a run with training.epochs 1, found 2 in the recipe" in message


def test_compose_finds_by_id_and_by_file_and_the_reference_matters(shop: Path) -> None:
    ids = json.loads((shop / "data" / "image_splits" / "split.dress.val.json").read_text())
    photo = str(shop / "data" / "images" / f"{ids[0]}.jpg")
    one, same, other = (
        json.loads(done("compose", shop / "run", "--image", image, "--text", "is red", "--k", "80", "--json"))
        for image in (ids[0], photo, ids[1])
    )
    assert one["gallery"] == "all 80 photos of dress"
    scores, again = ({found["id"]: found["score"] for found in answer["found"]} for answer in (one, same))
    assert list(scores.values()) == sorted(scores.values(), reverse=True)
    del scores[ids[0]], again[ids[0]]  # of the photo itself, encoded in another batch, only rounding is left
    assert again == pytest.approx(scores, abs=1e-3)
    assert [found["id"] for found in one["found"]] != [found["id"] for found in other["found"]]


def test_a_run_is_searched_without_its_data(shop: Path, tmp_path: Path) -> None:
    """Runs of earlier versions kept no categories: these need the data."""
    run = shutil.copytree(shop / "run", tmp_path / "run")
    values = json.loads((run / "recipe.json").read_text(encoding="utf-8"))
    values["recipe"]["dataset"]["folder"] = str(tmp_path / "gone")
    (run / "recipe.json").write_text(json.dumps(values), encoding="utf-8")
    key = json.loads((run / "categories.json").read_text(encoding="utf-8"))["dress"][0]
    query = ("--image", key, "--text", "is red", "--json")
    before, moved = (json.loads(done("compose", place, *query))["found"] for place in (shop / "run", run))
    assert moved == before
    (run / "categories.json").unlink()
    assert "split.dress.train.json: no such file" in refused_by("compose", run, *query)
    (run / "categories.json").write_text('{"dress": [1]}', encoding="utf-8")
    assert '"dress" must be a list of strings' in refused_by("compose", run, *query)


def test_the_sheet_escapes_what_people_write(shop: Path, tmp_path: Path) -> None:
    key = json.loads((shop / "data" / "image_splits" / "split.dress.val.json").read_text())[0]
    page = tmp_path / "page.html"
    done("compose", shop / "run", "--image", key, "--text", TEXT, "--html", page)
    assert "its folder was not used here" in page.read_text(encoding="utf-8")
    remember_folder(shop / "data" / "images", outside=False)
    done("compose", shop / "run", "--image", key, "--text", TEXT, "--html", page)
    html = page.read_text(encoding="utf-8")
    assert "is red &amp; &lt;b&gt;bold" in html
    assert "<b>bold" not in html
    assert html.count("data:image/jpeg") == 11
    page.write_text("mine")
    assert "is no page of composed retrieval" in refused_by(
        "compose", shop / "run", "--image", key, "--text", TEXT, "--html", page
    )
    assert page.read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--image", "nothing", "--text", "is red"], "is neither the id of a photo of this run nor a file"),
        (["--text", "  "], "--text: expected words, found an empty text"),
        (["--text", "qwertz"], "tfidf knows no word of 'qwertz'"),
        (["--text", "is red", "--k", "81"], "expected at most 80, the photos of dress"),
        (["--text", "is red", "--category", "hat"], "--category hat: expected one of dress"),
    ],
)
def test_queries_that_cannot_be_answered(shop: Path, arguments: list[str], message: str) -> None:
    key = json.loads((shop / "data" / "image_splits" / "split.dress.val.json").read_text())[0]
    image = [] if "--image" in arguments else ["--image", key]
    assert message in refused_by("compose", shop / "run", *image, *arguments)


def test_a_folder_of_other_files_is_left_alone(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    message = refused_by("compose-train", shop / "run.yaml", f"output={tmp_path}")
    assert "holds what Lookbook did not write there: mine.txt;" in message
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert "expected a trained run of composed retrieval" in refused_by(
        "compose", tmp_path, "--image", "a", "--text", "b"
    )


def test_both_encoders_are_tuned_by_the_paper_s_loss(shop: Path, tmp_path: Path) -> None:
    """Weights of both change; single captions are queries of their own; test captions need no targets."""
    ids = [f"D{number}" for number in range(10)]
    rows = [row(ids[(place + 1) % 10], ids[place], "a red dress", "long sleeves") for place in range(10)]
    for split in ("train", "val"):
        write_split(tmp_path / "data", "dress", split, ids, rows)
    write_split(tmp_path / "data", "dress", "test", ids, [row(None, ids[0], "a red dress")])
    recipe = write_recipe(
        tmp_path / "run.yaml",
        tmp_path / "data",
        str(shop / "resnet"),
        bert(tmp_path / "bert"),
        photo={"tune": True},
        text={"tune": True},
        dataset={"captions": "single"},
        loss={"name": "soft-targets", "temperature": 2.0},
    )
    printed = done("compose-train", recipe)
    assert "val, gallery original (dress 10), 20 queries" in printed
    assert "above the entropy of the targets" in printed
    assert "dress: test captions have no targets" in printed
    from safetensors.torch import load_file

    weights = load_file(tmp_path / "run" / "model.safetensors")
    for side, folder in (("photo", shop / "resnet"), ("text", tmp_path / "bert")):
        began = load_file(folder / "model.safetensors")
        changed = [name for name, value in began.items() if not weights[f"{side}_encoder.model.{name}"].equal(value)]
        assert changed, side
    assert "D1" in done("compose", tmp_path / "run", "--image", "D0", "--text", "a red dress")


@pytest.mark.parametrize("path", sorted((RECIPES / "composed").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_recipes_are_read(path: Path) -> None:
    recipe = load_recipe(path)
    assert f"compose-train recipes/composed/{path.name}" in path.read_text(encoding="utf-8")
    assert recipe.output.name == f"composed-{path.stem}"


def test_the_paper_s_recipe_is_the_paper_s() -> None:
    """Jeong (2022), section 4.2."""
    recipe = load_recipe(RECIPES / "composed" / "fashioniq-paper.yaml")
    training, loss = recipe.training, recipe.loss
    assert (training.batch_size, training.epochs, training.learning_rate, training.weight_decay) == (32, 5, 1e-3, 1e-3)
    assert (recipe.model.dimensions, recipe.model.dropout, loss.temperature, loss.name) == (
        256,
        0.1,
        2.0,
        "soft-targets",
    )
    assert recipe.dataset.categories == ("shirt",)
    assert recipe.photo.tune and recipe.text.tune


@pytest.mark.parametrize("rate", ["1.0e+20", "1.0e+30"])
def test_a_training_that_diverges_says_so(shop: Path, tmp_path: Path, rate: str) -> None:
    changes = (f"output={tmp_path / 'far'}", f"training.learning_rate={rate}")
    result = recommend("compose-train", shop / "run.yaml", *changes)
    message = "training has diverged. Begin again with a lower training.learning_rate"
    assert (result.exit_code, message in result.stderr) == (2, True), result.output
    assert "Traceback" not in result.output


def test_validate_counts_what_there_is_to_train_on(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from finetune.__main__ import app
    from finetune.config import other_recipes

    ours = EntryPoint("dataset", "recommend.retrieval.validate:validate", other_recipes.GROUP)
    monkeypatch.setattr(other_recipes, "entry_points", lambda group: [ours])

    def validate(*overrides: str) -> Any:
        return CliRunner().invoke(app, ["validate", str(shop / "run.yaml"), *overrides])

    assert "run.yaml: trained already; " in validate().stdout
    new = validate(f"output={tmp_path / 'new'}")
    assert "run.yaml: ready; 80 photos, 15 steps of 8 pairs" in new.stdout and not (tmp_path / "new").exists()
    drawn = validate(f"dataset.folder={tmp_path / 'none'}", "dataset.demo=20", f"output={tmp_path / 'new'}")
    assert "its garments will be drawn into" in drawn.stdout and not (tmp_path / "none").exists()
    for override, message in (
        ("training.epochs=2", "holds a run with training.epochs 1"),
        ("training.batch_size=500", "expected at least training.batch_size=500 pairs for training, found 120"),
        ("dataset.folder=none", "no such file; dataset.folder has the official captions"),
        ("dataset.demo=30", "name another dataset.folder, or remove this one"),
        ("dataset.demo=5", "dataset.demo must be 20 to 20000, found 5"),
    ):
        refused = validate(override)
        assert (refused.exit_code, message in refused.stderr) == (2, True), refused.output


@pytest.mark.parametrize("side", ["photo", "text"])
def test_encoders_of_photos_and_texts_are_not_tuned(shop: Path, tmp_path: Path, side: str) -> None:
    sides = {side: {"encoder": clip(tmp_path / "clip"), "tune": True}}
    recipe = write_recipe(tmp_path / "run.yaml", shop / "data", str(shop / "resnet"), **sides)
    result = recommend("compose-train", recipe)
    message = f"error: {side}.encoder: {tmp_path / 'clip'} reads photos and texts; to tune"
    assert (result.exit_code, message in result.stderr) == (2, True), result.output


def test_the_temperature_is_that_of_the_loss(tmp_path: Path) -> None:
    """The paper's softmax parameter is 2.0 (section 4.2)."""
    for loss, temperature in (
        ({"name": "soft-targets"}, 2.0),
        ({}, 0.07),
        ({"name": "soft-targets", "temperature": 1}, 1),
    ):
        path = write_recipe(tmp_path / "run.yaml", tmp_path, "tfidf", loss=loss)
        assert load_recipe(path).loss.temperature == temperature
