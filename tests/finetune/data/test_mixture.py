"""Several catalogues in one recipe: mixed by weight for training, kept apart in everything else."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import pytest
import yaml
from PIL import Image
from tiny import captioned, finetune, lines, prepared, write_csv
from tiny_models import write_recipe
from training_processes import end, finished, start_two

from finetune import load_recipe
from finetune import prepare as prepare_catalogue
from finetune.data.demo.catalogue import write_demo
from finetune.data.mixture import Mixture, prepare_all
from metrics.common.errors import UserError

SPLITS = ("train", "validation", "test")
COLUMNS = {"caption": "text", "category": "kind"}


def loaded(recipe: Path, *overrides: str) -> Mixture:
    loaded = load_recipe(recipe, overrides)
    return prepare_all(loaded.catalogues, loaded.training.seed)


@pytest.fixture
def shop(tmp_path: Path) -> dict[str, Any]:
    """Data section of a folder of 40 photos with captions."""
    folder = tmp_path / "shop"
    write_csv(folder / "metadata.csv", captioned(folder, 40))
    return {"catalogue": "folder", "folder": str(folder), "name": "shop", "columns": COLUMNS}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo catalogue, drawn once."""
    folder = tmp_path_factory.mktemp("mixture") / "demo"
    write_demo(folder, 150, 0)
    return folder


@pytest.fixture
def recipe(tmp_path: Path, demo: Path, shop: dict[str, Any]) -> Path:
    """The demo catalogue three times as heavy as the shop."""
    heavy = {"catalogue": "demo", "folder": str(demo), "articles": 150, "limit": 24, "weight": 3}
    training = {"epochs": 1}
    path = write_recipe(tmp_path, training=training, decoding={"max_new_tokens": 8, "batch_size": 8})
    values = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(values | {"data": [heavy, shop]}))
    return path


def test_the_weights_are_the_shares_and_nothing_is_lost(recipe: Path) -> None:
    mixture = loaded(recipe)
    train = mixture.whole.splits["train"]
    drawn = Counter(train["catalogue"])
    items = {name: {f"{name}/{key}" for key in part.splits["train"]["id"]} for name, part in mixture.parts.items()}
    assert {name: len(ids) for name, ids in items.items()} == {"demo": 24, "shop": 32}
    assert set(train["id"]) == items["demo"] | items["shop"]
    # The 32 of the shop come once, the demo's three times as often: 96 expected, 11.3 the standard deviation.
    assert drawn["shop"] == 32
    assert drawn["demo"] == pytest.approx(96, abs=4 * 11.3)
    copies = Counter(train["id"])
    of_demo = [copies[key] for key in items["demo"]]
    assert max(of_demo) - min(of_demo) <= 1


def test_the_seed_decides_the_order(recipe: Path) -> None:
    one, two, other = loaded(recipe), loaded(recipe), loaded(recipe, "training.seed=7")
    orders = [list(mixture.whole.splits["train"]["id"]) for mixture in (one, two, other)]
    assert orders[0] == orders[1] != orders[2]
    assert one.whole.account == two.whole.account
    assert one.whole.account.fingerprint != other.whole.account.fingerprint


def test_categories_and_photos_stay_those_of_their_catalogue(recipe: Path, demo: Path, tmp_path: Path) -> None:
    whole = loaded(recipe).whole
    names = whole.splits["train"].features["category"].names
    assert {"shop/top", "shop/bag"} <= set(names)
    assert all(name.startswith(("demo/", "shop/")) for name in names)
    rows = {row["id"]: row for split in SPLITS for row in whole.splits[split]}
    row = rows["shop/003.png"]
    assert (row["caption"], names[row["category"]], row["product_id"]) == (
        "A top, number 3.",
        "shop/bag",
        "shop/003.png",
    )
    assert row["image"].tobytes() == Image.open(tmp_path / "shop" / "003.png").tobytes()
    of_demo = next(row for row in rows.values() if row["catalogue"] == "demo")
    assert of_demo["image"].size == Image.open(next(demo.rglob("*.jpg"))).size


def test_categories_of_undescribed_items_alone_are_known(recipe: Path, tmp_path: Path) -> None:
    table = tmp_path / "shop" / "metadata.csv"
    rows = table.read_text(encoding="utf-8").splitlines()
    table.write_text("\n".join([*rows[:-1], f"{rows[-1].split(',')[0]},,hat"]) + "\n", encoding="utf-8")
    splits = loaded(recipe).whole.splits
    names = splits["undescribed"].features["category"].names
    codes = dict(zip(splits["undescribed"]["id"], splits["undescribed"]["category"], strict=True))
    assert names[codes["shop/039.png"]] == "shop/hat"
    assert "shop/hat" not in splits["train"].features["category"].names


def test_photos_in_files_and_photos_in_a_data_set_mix(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets-cache")
    photos = sorted((tmp_path / "shop").glob("*.png"))
    values = {"photo": [str(path) for path in photos], "text": [f"Number {path.stem}." for path in photos]}
    features = datasets.Features({"photo": datasets.Image(), "text": datasets.Value("string")})
    (tmp_path / "hub").mkdir()
    datasets.Dataset.from_dict(values, features).to_parquet(tmp_path / "hub" / "train.parquet")
    columns = {"image": "photo", "caption": "text"}
    stored = {"catalogue": "folder", "dataset": str(tmp_path / "hub"), "columns": columns, "name": "stored"}
    stored["outside"] = "read"  # the data set names the files of the shop
    whole = loaded(recipe, f"data.0={json.dumps(stored)}", "data.1.weight=1").whole
    pixels = {row["id"]: row["image"].tobytes() for row in whole.splits["train"]}
    for number in range(40):
        stored_photo, own = pixels.get(f"stored/{number:08d}"), Image.open(photos[number]).tobytes()
        assert stored_photo in (own, None)
        assert pixels.get(f"shop/{photos[number].name}") in (own, None)
    assert len(pixels) == 64


def test_validation_holds_each_item_once(recipe: Path) -> None:
    mixture = loaded(recipe)
    for split in ("validation", "test"):
        expected = [f"{name}/{key}" for name, part in mixture.parts.items() for key in part.splits[split]["id"]]
        assert list(mixture.whole.splits[split]["id"]) == expected


def test_prepare_reports_each_catalogue_and_the_mixture(recipe: Path, tmp_path: Path) -> None:
    printed = prepared(recipe)
    drawn = Counter(loaded(recipe).whole.splits["train"]["catalogue"])
    for line in (
        "catalogue demo",
        "catalogue shop",
        "mixture of demo, shop",
        f"  {drawn['demo']:>9,}  train, from the 24 of demo (weight 3)",
        f"  {32:>9,}  train, from the 32 of shop (weight 1)",
    ):
        assert line in printed.splitlines()
    run = tmp_path / "run"
    assert sorted(path.name for path in run.iterdir()) == [".lookbook.json", "demo", "shop"]
    test = lines(run / "shop" / "references-test.jsonl")
    assert {record["category"] for record in test} <= {"top", "bag"}
    assert all((tmp_path / "shop" / record["image"]).is_file() for record in test)


def test_limit_is_for_every_catalogue(recipe: Path) -> None:
    prepared(recipe, "--limit", 2)
    for name in ("demo", "shop"):
        assert len(lines(recipe.with_suffix("") / name / "references-train.jsonl")) == 2
    prepared(recipe, "data.1.limit=3", "data.0.limit=1")
    assert len(lines(recipe.with_suffix("") / "shop" / "references-train.jsonl")) == 3
    assert len(lines(recipe.with_suffix("") / "demo" / "references-train.jsonl")) == 1


def test_an_override_of_one_entry_leaves_what_yaml_shares_with_the_other(recipe: Path) -> None:
    values = yaml.safe_load(recipe.read_text())
    split = {"method": "product", "seed": 1}
    values["data"] = [entry | {"split": split} for entry in values["data"]]
    recipe.write_text(yaml.safe_dump(values))
    assert "*id001" in recipe.read_text()
    one, two = load_recipe(recipe, ["data.0.split.seed=5"]).catalogues.values()
    assert (one.split.seed, two.split.seed) == (5, 1)


@pytest.mark.java
@pytest.mark.processes
@pytest.mark.slow
def test_run_scores_each_catalogue_by_itself_and_resumes_where_it_stopped(recipe: Path, tmp_path: Path) -> None:
    run = recipe.with_suffix("")
    finished("run", str(recipe), log=tmp_path / "log")
    for name, title in (("demo", "the demo catalogue"), ("shop", "shop")):
        ids = {record["id"] for record in lines(run / name / "references-test.jsonl")}
        report = json.loads((run / name / "report" / "report.json").read_text())
        assert report["title"] == f"Captions of {title}"
        assert len(report["systems"]) == 7
        assert len(report["leak_audits"]) == 1
        assert {row["id"] for row in lines(run / name / "report" / "items.jsonl")} == ids
        for system in ("sibling", "category", "nearest", "consensus", "pretrained", "fine-tuned", "shuffled"):
            folder = run / name / "captions" / system
            assert {record["id"] for record in lines(folder / "captions.jsonl")} == ids
            assert json.loads((folder / "run.json").read_text())["catalogue"]["name"] == name
    assert {"demo", "shop"} == {record["id"].partition("/")[0] for record in lines(run / "trained-on.jsonl")}
    assert not (run / "report").exists()
    assert not (run / "captions").exists()

    made = [*(run / "model").iterdir(), *run.glob("*/captions/fine-tuned/*"), *run.glob("*/captions/pretrained/*")]
    before = {path: path.stat().st_mtime_ns for path in made}
    again = run / "shop" / "captions" / "fine-tuned"
    (again / "captions.jsonl").unlink()
    finished("run", str(recipe), log=tmp_path / "log")
    assert {path for path in made if path.stat().st_mtime_ns != before[path]} == {*again.iterdir()}

    other = finetune("run", recipe, "data.0.weight=2")
    assert (other.exit_code, "data.0.weight differ" in other.stderr) == (2, True)
    assert "data.0.weight differ" in finetune("prepare", recipe, "data.0.weight=2").stderr


@pytest.mark.processes
@pytest.mark.slow
def test_two_processes_train_on_the_mixture(recipe: Path) -> None:
    log = recipe.with_suffix(".log")
    codes = end(start_two("train", str(recipe), "training.micro_batch_size=4", log=log))
    assert codes == [0, 0], log.read_text()[-3000:]
    record = json.loads((recipe.with_suffix("") / "training.json").read_text())
    assert record["processes"] == 2
    assert [(part["name"], part["weight"], part["articles"]) for part in record["mixture"]] == [
        ("demo", 3.0, 24),
        ("shop", 1.0, 32),
    ]
    drawn = sum(part["drawn"] for part in record["mixture"])
    steps = max(entry["step"] for entry in record["loss_history"])
    assert steps == -(-drawn // 8)


def test_caption_needs_a_catalogue_s_name(recipe: Path, tmp_path: Path) -> None:
    options = ["caption", "--model", "absent", "--out", tmp_path / "c.jsonl"]
    single = write_recipe(tmp_path, "single")
    for arguments, message in (
        (["--data", recipe], "expected one of demo, shop; which is missing"),
        (["--data", recipe, "--catalogue", "shp"], "expected one of demo, shop; found shp"),
        (["--data", single, "--catalogue", "demo"], "the recipe has a single catalogue"),
        (["--data", tmp_path / "shop", "--catalogue", "shop"], "--catalogue chooses among the catalogues of a recipe"),
    ):
        result = finetune(*options, *arguments)
        assert (result.exit_code, message in result.stderr) == (2, True), result.output
        assert "Traceback" not in result.output
    with pytest.raises(UserError, match="expected one of demo, shop"):
        prepare_catalogue(load_recipe(recipe))
    assert prepare_catalogue(load_recipe(recipe), "shop").account.name == "shop"


def test_loose_photos_and_the_demo_s_base_have_no_catalogues(recipe: Path, tmp_path: Path) -> None:
    loose = finetune("caption", tmp_path / "shop" / "000.png", "--model", "absent", "--catalogue", "shop")
    assert (loose.exit_code, "--catalogue: captions of single photos" in loose.stderr) == (2, True)
    base = finetune("make-demo-base", "--recipe", recipe)
    assert (base.exit_code, "data: expected one catalogue, folder" in base.stderr) == (2, True)


def test_baselines_are_written_for_each_catalogue(recipe: Path, tmp_path: Path) -> None:
    assert finetune("baselines", recipe, tmp_path / "out").exit_code == 0
    for name in ("demo", "shop"):
        for system in ("sibling", "category", "nearest", "consensus"):
            assert (tmp_path / "out" / name / system / "captions.jsonl").is_file()


def test_a_name_and_a_weight_change_nothing_in_a_catalogue_s_cache(recipe: Path, lookbook_cache: Path) -> None:
    loaded(recipe)
    cached = sorted(path.name for path in lookbook_cache.glob("*-*"))
    assert loaded(recipe, "data.0.weight=5", "data.1.name=other").parts.keys() == {"demo", "other"}
    assert sorted(path.name for path in lookbook_cache.glob("*-*")) == cached


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("data.2.limit=1", "2: the list there has 2 entries, numbered from 0"),
        ("data.0.limit.x=1", "limit is a value, not a section"),
        ("data.0.folder.x=1", "folder is a value, not a section"),
        ("data.lmit=1", "data.0.lmit: unknown key; did you mean 'limit'?"),
        ("data.1.weight=1e-9", "catalogue shop: its weight 1e-09 is too small"),
        ("data.1.folder=/absent", "catalogue shop: data.folder: /absent: no such folder"),
        ('data.1.columns.caption=""', "catalogue shop: data: none of the 40 photos"),
    ],
)
def test_what_cannot_be_mixed_is_one_message(recipe: Path, override: str, expected: str) -> None:
    result = finetune("validate", recipe, override)
    assert (result.exit_code, expected in result.stderr) == (2, True), result.output
    assert result.stderr.count("error: ") == 1
    assert "Traceback" not in result.output
