"""`lookbook rank`: what is learnt and from what, resumed, repeated, the submission, what is refused."""

import csv
import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from feature_stores import write_store
from places import RECIPES
from purchase_files import Line, kaggle_purchases
from recommending import done, refused_by
from typer.testing import CliRunner

from finetune.data.feature_files import About
from recommend.ranker.periods import open_data
from recommend.ranker.recipe import load_recipe
from recommend.ranker.rows import Arms

ARTICLES = [f"01{place:08d}" for place in range(48)]
CUSTOMERS = 40
HOT = np.random.default_rng(5).permutation(np.arange(48) % 2)
PERIODS: dict[str, Any] = {
    "train": [{"history": ["2020-09-01", "2020-09-02"], "labels": ["2020-09-03", "2020-09-03"]}],
    "test": {"history": ["2020-09-04", "2020-09-05"], "labels": ["2020-09-06", "2020-09-06"]},
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Customers buy whatever there is, then what their `captions` call hot; from the fourth day on new articles alone.

    Nothing but the captions tells which of the new articles are hot. `c99` has never bought anything.
    """
    folder = tmp_path_factory.mktemp("shop")
    draw = np.random.default_rng(0)
    lines: list[Line] = []
    for first, on_sale in ((1, np.arange(24)), (4, np.arange(24, 48))):
        for customer in range(CUSTOMERS):
            name = f"c{customer:02d}"
            known = draw.choice(on_sale, 3, replace=False) if customer % 4 else []
            lines += [(f"2020-09-0{first + n % 2}", name, ARTICLES[place]) for n, place in enumerate(known)]
            hot = draw.choice(on_sale[HOT[on_sale] == 1], 3, replace=False)
            lines += [(f"2020-09-0{first + 2}", name, ARTICLES[place]) for place in hot]
    kaggle_purchases(folder / "csv", sorted(lines), ARTICLES)
    ids = [f"c{customer:02d}" for customer in [*range(CUSTOMERS), 99]]
    ages = "\n".join(f"{key},1.0,,ACTIVE,NONE,{20 + place}" for place, key in enumerate(ids))
    head = "customer_id,FN,Active,club_member_status,fashion_news_frequency,age\n"
    (folder / "csv" / "customers.csv").write_text(f"{head}{ages}\n", encoding="utf-8")
    table = {"id": ARTICLES, "product_id": [key[:-1] for key in ARTICLES], "source.department_no": ["7", ""] * 24}
    pd.DataFrame(table).to_parquet(folder / "items.parquet")
    done("purchases", folder / "csv", "--out", folder / "bought")
    vectors = np.column_stack([6 * HOT, draw.normal(0, 0.5, (48, 3))])
    write_store(folder / "captions", ARTICLES, vectors, About("tfidf", "text", text="description"))
    write_store(folder / "few", ARTICLES[:2], vectors[:2])
    return folder


def values_of(shop: Path, output: Path) -> dict[str, Any]:
    return {
        "output": str(output),
        "purchases": str(shop / "bought"),
        "items": str(shop / "items.parquet"),
        "codes": ["department_no"],
        **PERIODS,
        "candidates": {"purchases": 5, "bestsellers": 24},
        "components": 2,
        "rankers": [{"name": "<b>trees</b>", "trees": 20, "learning_rate": 0.2, "leaves": 4, "least_in_leaf": 5}],
        "arms": [
            {"name": "nothing"},
            {"name": "captions", "features": str(shop / "captions")},
            {"name": "random", "features": "random"},
        ],
        "against": ["nothing", "random"],
        "captions": "captions",
    }


def recipe(shop: Path, output: Path, **others: Any) -> Path:
    output.parent.mkdir(parents=True, exist_ok=True)
    path = output.parent / f"{output.name}.yaml"
    path.write_text(yaml.safe_dump(values_of(shop, output) | others, sort_keys=False), encoding="utf-8")
    return path


def content_of(output: Path) -> Any:
    return json.loads((output / "rank.json").read_text(encoding="utf-8"))


def means(content: Any) -> dict[str, float]:
    rows = (one for one in content["rows"] if one["bestseller_rank"] is not False)
    return {one["arm"]: one["result"]["estimates"]["all"]["MAP@12 (Kaggle)"]["value"] for one in rows}


@pytest.fixture(scope="module")
def table(shop: Path) -> Path:
    submission = {"history": ["2020-09-05", "2020-09-06"], "arm": "captions"}
    flags = {"name": "flag", "flags": {'"has":few': str(shop / "few")}}
    arms = [*values_of(shop, shop)["arms"], flags]
    done("rank", recipe(shop, shop / "out", submission=submission, arms=arms))
    return shop / "out"


def test_what_captions_tell_is_learnt_and_random_numbers_teach_nothing(table: Path) -> None:
    content = content_of(table)
    found = means(content)
    assert found["captions"] > 1.5 * max(found["nothing"], found["random"], found["bestsellers"])
    assert content["sentence"].startswith("Captions helped: MAP@12 (Kaggle) of “captions” less that of “nothing” is +")
    assert ", of 40 customers, and +" in content["sentence"] and ", of the 30 with a history (" in content["sentence"]
    assert (
        "“captions” is of the catalogue’s own texts (description by tfidf), not of a model’s captions."
        in content["sentence"]
    )
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
        one["differences"][name]["all"]
        for one in content["rows"]
        if one["arm"] == "random"
        for name in ("nothing", "captions")
    ]
    above, below = sum(one["low"] > 0 for one in found), sum(one["high"] < 0 for one in found)
    assert content["sentence"].endswith(f"the interval is above 0 in {above}, below in {below}.")
    assert below >= 2 and not content["sentence"].startswith("Captions helped:")


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
    for page in (html, text):
        assert "0.01175" in page and "0.01417" in page and "Captions helped" in page
    assert html.count("<h3>Gain: ") == html.count("<h3>Splits: ") == 4  # two arms, with and without the bestseller rank


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


def test_bestsellers_of_an_arm_are_those_of_the_first_history(shop: Path, tmp_path: Path) -> None:
    """A later one would tell an earlier period what sold in its labels."""
    later = {"history": ["2020-09-04", "2020-09-04"], "labels": ["2020-09-05", "2020-09-05"]}
    arms = [{"name": "nothing"}, {"name": "captions", "features": str(shop / "captions"), "bestsellers": 5}]
    others = {"train": [later, *PERIODS["train"]], "arms": arms, "against": ["nothing"]}
    loaded = load_recipe(recipe(shop, tmp_path / "out", **others))
    found = Arms(open_data(loaded)).of(next(row for row in loaded.rows() if row.arm.name == "captions"))
    assert found is not None and found.known[:24].sum() == 5 == found.known.sum()


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


LATER = {"history": ["2021-01-01", "2021-01-02"], "labels": ["2021-01-03", "2021-01-04"]}


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"test": LATER}, "test.labels: no purchase from 2021-01-03 to 2021-01-04; there are purchases from 2020-09-01"),
        ({"train": [LATER]}, "train: labels of 2021-01-03 to 2021-01-04 are not before those of the test"),
        ({"test": LATER | {"labels": ["2021-01-02", "2021-01-04"]}}, "expected history and labels as first and last"),
        ({"components": 48, "arms": [{"name": "nothing"}, {"name": "captions", "features": "random"}], "against": ["nothing"]},
         "captions: expected more than 48 articles with features for 48 components, found 48"),
        ({"candidates": {"similar": 3}}, "candidates.similar and neighbours belong together"),
        ({"captions": "captons"}, "captions: expected one of nothing, captions, random; did you mean 'captions'?"),
        ({"arms": [{"name": "a"}] * 2}, "arms: two entries are called a"),
        ({"arms": [{"name": "a", "likeness": True}]}, "bestsellers and likeness are of features"),
        ({"arms": [{"name": "bestsellers"}]}, "arms: bestsellers is the name of a baseline"),
        ({"against": ["captions"]}, "against: expected first the arm without captions, found captions"),
        ({"codes": ["garment"]}, "items.parquet: no column garment; found"),
        ({"customers": "none.csv"}, "cannot read none.csv"),
        ({"train": []}, "train: "),
        ({"rankers": [{"name": "x", "preset": "papers"}]}, "rankers.0.preset: expected"),
        ({"submission": {"history": ["2021-01-01", "2021-01-02"], "arm": "nothing"}}, "submission.history: no purchase"),
        ({"submission": {"history": ["2021-01-02", "2021-01-01"], "arm": "nothing"}}, "submission: expected history as"),
        ({"submission": {"history": ["2020-09-01", "2020-09-05"], "arm": "nothing"}}, "before the labels of the test"),
        ({"candidates": {"purchases": 0, "similar": 3}, "neighbours": "x"}, "similar to the customer's last purchases"),
        ({"components": 5}, "arms: captions: expected vectors of at least 5 numbers for 5 components, found rows of shape (4,)"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_message(shop: Path, tmp_path: Path, others: dict[str, Any], message: str) -> None:
    assert message in refused_by("rank", recipe(shop, tmp_path / "out", **others))


def test_articles_that_are_all_unknown(shop: Path, tmp_path: Path) -> None:
    other = pd.DataFrame({"id": ["x"], "product_id": ["x"], "source.department_no": ["1"]})
    other.to_parquet(tmp_path / "items.parquet")
    path = recipe(shop, tmp_path / "out", items=str(tmp_path / "items.parquet"))
    assert "48 of 48 items are not in it, such as 0100000000" in refused_by("rank", path)
    table = pd.DataFrame({"id": ["x"], "rank": [1], "neighbour": ["y"], "cosine": [0.5]})
    table.to_parquet(tmp_path / "near.parquet")
    near = {"neighbours": str(tmp_path / "near.parquet"), "candidates": {"similar": 2}}
    assert "expected articles that were bought" in refused_by("rank", recipe(shop, tmp_path / "out", **near))
    write_store(tmp_path / "others", ["x", "y"], np.eye(2))
    arms = [{"name": "nothing"}, {"name": "captions", "features": str(tmp_path / "others")}]
    path = recipe(shop, tmp_path / "out", arms=arms, against=["nothing"])
    assert "captions: expected more than 2 articles with features for 2 components, found 0" in refused_by("rank", path)


def test_what_customers_and_neighbours_lack_is_said(shop: Path, tmp_path: Path) -> None:
    lines = (shop / "csv" / "customers.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "customers.csv").write_text("\n".join([lines[0], *lines[2:], ""]), encoding="utf-8")
    near = {"id": [ARTICLES[24], "x"], "rank": [1, 1], "neighbour": [ARTICLES[47], "y"], "cosine": [0.5, 0.5]}
    pd.DataFrame(near).to_parquet(tmp_path / "near.parquet")
    others = {"customers": str(tmp_path / "customers.csv"), "neighbours": str(tmp_path / "near.parquet")}
    counts = {"purchases": 5, "bestsellers": 24, "similar": 1}
    done("rank", recipe(shop, tmp_path / "out", candidates=counts, **others))
    content = content_of(tmp_path / "out")
    assert [one.split(": ")[1] for one in content["left_out"]] == [
        "1 rows are not of two articles of these purchases",
        "1 of 41 customers are not in it",
    ]
    features = {one["feature"] for one in content["rows"][2]["result"]["importances"]}
    assert features >= {"customer_age", "customer_club_member_status", "similar_to_bought"}
    assert "1 of 41 customers are not in it." in (tmp_path / "out" / "rank.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("column", "last", "message"),
    [
        ("postal_code", "x", "expected some of the columns FN, Active, age"),
        ("age", "forty", "column age: expected numbers or nothing, found 'forty' in 1 rows"),
    ],
)
def test_customers_of_whom_nothing_can_be_read(
    shop: Path, tmp_path: Path, column: str, last: str, message: str
) -> None:
    ids = pd.read_csv(shop / "csv" / "customers.csv", dtype=str)[["customer_id"]]
    table = ids.assign(**{column: [*["1"] * (len(ids) - 2), "", last]})
    table.to_csv(tmp_path / "customers.csv", index=False)
    path = recipe(shop, tmp_path / "out", customers=str(tmp_path / "customers.csv"))
    assert message in refused_by("rank", path)


def test_a_flag_has_a_name_of_its_own(shop: Path, tmp_path: Path) -> None:
    for name in ("department_no", "pc2"):
        arm = {"name": "both", "features": str(shop / "captions"), "flags": {name: str(shop / "few")}}
        path = recipe(shop, tmp_path / "out", arms=[*values_of(shop, shop)["arms"], arm])
        assert f"arms: both: there is another feature called {name}; rename the flag" in refused_by("rank", path)


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


@pytest.mark.parametrize("path", sorted((RECIPES / "recommend").glob("rank-*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_recipe_is_read_and_headed_by_its_command(path: Path) -> None:
    assert {"nothing", "captions", "photos"} <= {row.arm.name for row in load_recipe(path).rows()}
    head = path.read_text(encoding="utf-8").split("output:")[0]
    assert f"lookbook rank recipes/recommend/{path.name}" in head
