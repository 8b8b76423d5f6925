"""`lookbook rank`: what is learnt and from what, resumed, repeated, the submission, the shipped recipes."""

import csv
import os
import shutil
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from feature_stores import write_store
from hot_shops import ARTICLES, CUSTOMERS, HOT, PERIODS, content_of, means, recipe, values_of
from places import RECIPES, ROOT
from purchase_files import kaggle_purchases
from recommending import done, refused_by
from typer.testing import CliRunner

from finetune.data.feature_files import About
from recommend.ranker.periods import open_data
from recommend.ranker.recipe import Arm, Row, load_recipe
from recommend.ranker.rows import Arms
from recommend.ranker.table.answer import what_is_added


@pytest.fixture(scope="module")
def table(shop: Path) -> Path:
    submission = {"history": ["2020-09-05", "2020-09-06"], "arm": "captions"}
    flags = {"name": "flag", "flags": {'"has":few': str(shop / "few")}}
    papers = {"name": "bestsellers' captions", "features": str(shop / "captions"), "bestsellers": 20}
    arms = [*values_of(shop, shop)["arms"], papers, flags]
    done("rank", recipe(shop, shop / "out", submission=submission, arms=arms))
    return shop / "out"


def test_what_captions_tell_is_learnt_and_random_numbers_teach_nothing(shop: Path, table: Path) -> None:
    content = content_of(table)
    found = means(content)
    assert found["captions"] > 1.5 * max(found["nothing"], found["random"], found["bestsellers"])
    main = f"MAP@12 (Kaggle) of “captions” ({shop / 'captions'}: words of captions:0a1b) less that of “nothing” is +"
    assert content["sentence"].startswith(f"Captions helped: {main}")
    assert (
        ", of 40 customers, and +" in content["sentence"]
        and ", of 30 customers with a history (" in content["sentence"]
    )
    assert "of 8 comparisons" in content["sentence"]
    captions = next(one for one in content["rows"] if one["arm"] == "captions")
    assert captions["differences"]["random"]["all"]["low"] > 0
    assert captions["result"]["importances"][0]["feature"] == "pc1"
    for kind in ("gain", "split"):
        assert sum(one[kind] for one in captions["result"]["importances"]) == pytest.approx(1, abs=1e-4)
    features = [one["feature"] for one in content["rows"][-1]["result"]["importances"]]
    assert content["rows"][-1]["bestseller_rank"] is False
    assert '"has":few' in features and "bestseller_rank" not in features


def test_random_numbers_are_not_said_to_help(shop: Path, table: Path, tmp_path: Path) -> None:
    shutil.copytree(table / "rows", tmp_path / "out" / "rows")
    done("rank", recipe(shop, tmp_path / "out", captions="random", against=["nothing", "captions"]))
    content = content_of(tmp_path / "out")
    found = [
        one["differences"][name][part]
        for one in content["rows"]
        if one["arm"] == "random"
        for name in ("nothing", "captions")
        for part in ("all", "with a history")
    ]
    above, below = sum(one["low"] > 0 for one in found), sum(one["high"] < 0 for one in found)
    assert content["sentence"].endswith(f"the interval is above 0 in {above}, below in {below}.")
    assert below >= 2 and content["sentence"].startswith("Random numbers h")
    assert not content["sentence"].startswith("Random numbers helped:")


def test_customers_with_and_without_a_history_are_counted_apart(table: Path) -> None:
    content = content_of(table)
    assert content["test"] | {"reachable": 0} == {
        "customers": 40, "with_history": 30, "labels": 120, "reachable": 0, "candidates": 40 * 24, "articles": 24,
    }  # fmt: skip
    found = content["rows"][0]["result"]["estimates"]
    assert {part: one["MAP@12 (Kaggle)"]["customers"] for part, one in found.items()} == {
        "all": 40, "with a history": 30, "without a history": 10,
    }  # fmt: skip
    assert "|test:history 2020-09-04 to 2020-09-05, labels 2020-09-06 to 2020-09-06|" in content["signature"]


def test_the_baseline_is_as_counted_by_hand(shop: Path, table: Path) -> None:
    """Bestsellers of the fourth and fifth day, and Kaggle's MAP@12, from the CSV."""
    purchases = pd.read_csv(shop / "csv" / "transactions_train.csv", dtype=str)
    sold = purchases[purchases["t_dat"].between("2020-09-04", "2020-09-05")]["article_id"].value_counts()
    best = sorted(sold.index, key=lambda key: (-sold[key], key))[:12]
    values = []
    for _, one in purchases[purchases["t_dat"] == "2020-09-06"].groupby("customer_id"):
        wanted, hits, total = set(one["article_id"]), 0, 0.0
        for place, key in enumerate(best, 1):
            if key in wanted:
                hits += 1
                total += hits / place
        values.append(total / min(len(wanted), 12))
    assert means(content_of(table))["bestsellers"] == pytest.approx(np.mean(values))


def test_pages_are_escaped_and_show_the_papers_scores(table: Path) -> None:
    html, text = ((table / f"rank.{form}").read_text(encoding="utf-8") for form in ("html", "md"))
    assert "<b>trees" not in html and "&lt;b&gt;trees" in html
    for kind in ("Gain", "Splits"):
        assert [f"<h3>{kind}: {arm}," in html for arm in ("nothing", "captions", "bestsellers&#39; captions", "random")] == [
            True, True, True, False,
        ]  # fmt: skip
    for page in (html, text):
        assert "0.01175" in page and "0.01417" in page and "Captions helped" in page
        assert "less nothing, with a history" in page


def test_the_submission_has_twelve_articles_for_every_customer(table: Path) -> None:
    [path] = table.glob("rows/submission-*/submission.csv")
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["customer_id"] for line in lines] == [*(f"c{place:02d}" for place in range(CUSTOMERS)), "c99"]
    for line in lines:
        named = line["prediction"].split(" ")
        assert len(set(named)) == len(named) == 12
        assert set(named) <= set(ARTICLES[24:])
    hot = [ARTICLES.index(key) for line in lines for key in line["prediction"].split(" ")[:6]]
    assert HOT[hot].mean() > 0.8


def test_what_is_finished_stays_and_the_same_seed_gives_the_same_result(
    shop: Path, table: Path, tmp_path: Path
) -> None:
    again = done("rank", recipe(shop, shop / "out"))
    assert again.count("finished already") == 2 + 2 * 3
    done("rank", recipe(shop, tmp_path / "out"))
    assert means(content_of(tmp_path / "out")) == means(content_of(shop / "out"))
    changed = done("rank", recipe(shop, tmp_path / "out", seed=7))
    assert changed.count("finished already") == 2  # the baselines, which draw nothing


def test_purchases_after_the_history_change_no_list_of_the_test(shop: Path, table: Path, tmp_path: Path) -> None:
    """The lists of the test are the same when other articles were bought on its last day."""
    purchases = pd.read_csv(shop / "csv" / "transactions_train.csv", dtype=str)
    purchases.loc[purchases["t_dat"] == "2020-09-06", "article_id"] = ARTICLES[0]
    lines = list(purchases[["t_dat", "customer_id", "article_id"]].itertuples(index=False, name=None))
    kaggle_purchases(tmp_path / "csv", lines, ARTICLES)
    (tmp_path / "csv" / "customers.csv").write_bytes((shop / "csv" / "customers.csv").read_bytes())
    done("purchases", tmp_path / "csv", "--out", tmp_path / "bought")
    done("rank", recipe(shop, tmp_path / "out", purchases=str(tmp_path / "bought")))
    ours, others = ({one["title"]: one for one in content_of(place)["rows"]} for place in (tmp_path / "out", table))
    assert len(ours) == 2 + 2 * 3
    for title, one in ours.items():
        of_row = ((tmp_path / "out", one), (table, others[title]))
        lists = [pd.read_parquet(out / "rows" / row["folder"] / "customers-all.parquet") for out, row in of_row]
        np.testing.assert_array_equal(*(np.stack(one["articles"]) for one in lists))


def test_validate_names_what_is_missing_and_prints_what_rows_take(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from finetune.__main__ import app
    from finetune.config import other_recipes

    ours = EntryPoint("arms", "recommend.ranker.validate:validate", other_recipes.GROUP)
    monkeypatch.setattr(other_recipes, "entry_points", lambda group: [ours])
    whole = CliRunner().invoke(app, ["validate", str(recipe(shop, tmp_path / "out"))])
    assert whole.exit_code == 0, whole.output
    assert "ready; what is not finished takes about" in whole.stdout and not (tmp_path / "out").exists()
    arms = [{"name": "nothing"}, {"name": "captions", "features": str(tmp_path / "none")}]
    lacking = recipe(shop, tmp_path / "out", arms=arms, against=["nothing"])
    result = CliRunner().invoke(app, ["validate", str(lacking)])
    assert result.exit_code == 2
    assert f"{tmp_path / 'none'}: expected a feature store" in result.stderr


def test_bestsellers_with_captions_are_those_of_the_history_that_ends_first(shop: Path, tmp_path: Path) -> None:
    """Whether an article has components tells no period what will sell, in whatever order the periods are listed."""
    later = {"history": ["2020-09-03", "2020-09-04"], "labels": ["2020-09-05", "2020-09-05"]}
    arm = {"name": "few", "features": str(shop / "captions"), "bestsellers": 20}
    for order in ([*PERIODS["train"], later], [later, *PERIODS["train"]]):
        loaded = load_recipe(recipe(shop, tmp_path / "out", train=order, arms=[*values_of(shop, shop)["arms"], arm]))
        found = Arms(open_data(loaded)).of(Row(loaded.arms[-1], loaded.rankers[0], True))
        assert found is not None and found.known.sum() == 20 and not found.known[24:].any()


def test_files_of_others_stay(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "rank.md").write_text("mine", encoding="utf-8")
    assert "holds what Lookbook did not write there: rank.md; " in refused_by("rank", recipe(shop, tmp_path / "out"))
    assert (tmp_path / "out" / "rank.md").read_text(encoding="utf-8") == "mine"


@pytest.mark.processes
def test_the_process_that_ranks_imports_no_torch(shop: Path, tmp_path: Path) -> None:
    """LightGBM and PyTorch in one process end it on macOS; so do faiss and PyTorch."""
    code = "import sys\nfrom recommend.__main__ import app\ntry:\n    app()\nfinally:\n    print({'torch', 'faiss'} & {*sys.modules})"
    path = recipe(shop, tmp_path / "out")
    command = [sys.executable, "-c", code, "rank", str(path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == "set()"


def test_the_answer_says_what_the_arm_adds_and_where_it_is_from(tmp_path: Path) -> None:
    stores = {
        "Captions": About("m", "text", text="captions:0a1b"),
        "Descriptions": About("m", "text", text="description"),
        "Descriptions and captions": About("m", "text", text="description, else captions:0a1b"),
        "Texts": About("m", "text", text="columns:a,b"),
        "Photos": About("m", "photo"),
    }
    for number, (called, about) in enumerate(stores.items()):
        store = str(write_store(tmp_path / str(number), ["a"], np.ones((1, 2)), about))
        where = f"{store}: m of {about.text or 'photo'}"
        assert what_is_added(Arm(name="x", features=store)) == (called, where)
    assert what_is_added(Arm(name="x", features="random"))[0] == "Random numbers"
    assert what_is_added(Arm(name="x", flags={"has_text": tmp_path / "0"})) == ("Flags", "has_text")


def test_the_measured_recipe_is_the_shipped_one() -> None:
    """The rows of the documented tables, by their names; the answer is of a model's captions."""
    text = (ROOT / "docs" / "ranker.md").read_text(encoding="utf-8").split("## The real week")[1]
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")]
    shipped = load_recipe(RECIPES / "recommend" / "rank-hm-week.yaml")
    assert rows == ["arm", "---", *(arm.name for arm in shipped.arms)] * 2
    assert "captions" in str(shipped.asked.features)


@pytest.mark.parametrize("path", sorted((RECIPES / "recommend").glob("rank-*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_recipe_is_read_and_headed_by_its_command(path: Path) -> None:
    assert {"nothing", "descriptions", "photos"} <= {row.arm.name for row in load_recipe(path).rows()}
    head = path.read_text(encoding="utf-8").split("output:")[0]
    assert f"lookbook rank recipes/recommend/{path.name}" in head
