"""Purchases from CSV to a folder: what is read, left out and named, the settings of Table 1, what is refused."""

import csv
import hashlib
import json
from datetime import date
from pathlib import Path

import pytest
from purchase_files import HEADER, Line, items_file, kaggle_purchases
from recommending import done, refused_by

from metrics.common.errors import UserError
from recommend.interactions.purchases import PurchasesFolder, open_purchases

ARTICLES = ("0100000002", "0100000001", "0100000003", "0100000004")
LINES: list[Line] = [
    ("2020-09-01", "bea", "0100000003"),
    ("2020-09-01", "ann", "0100000001"),
    ("2020-09-02", "ann", "0100000001"),
    ("2020-09-03", "ann", "0100000002"),
    ("2020-09-03", "ann", "0100000002"),
    ("2020-09-04", "ann", "0100000003"),
]
DAY = (date(2020, 9, 1) - date(1970, 1, 1)).days


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return kaggle_purchases(tmp_path / "data", LINES, ARTICLES)


@pytest.fixture
def items(tmp_path: Path) -> Path:
    """Two articles of the caption data set; one more with a photo, described by a model; one without."""
    rows = [
        ("0100000001", "a.jpg", "A top.", "train"),
        ("0100000002", "b.jpg", "A hat.", "test"),
        ("0100000003", "c.jpg", "Made up.", "undescribed"),
        ("0100000004", None, "", "dropped: no description"),
    ]
    return items_file(tmp_path / "items.parquet", rows)


def figures(printed: str, setting: str) -> dict[str, str]:
    """The figures here that `purchases` printed of a setting."""
    rows = [words for line in printed.splitlines() if (words := line.split()) and words[0] == setting]
    return {" ".join(words[1:-2]): words[-2] for words in rows}


def test_purchases_keep_their_order_and_ids_their_zeros(data: Path, tmp_path: Path) -> None:
    printed = done("purchases", data, "--out", tmp_path / "out")
    assert printed.startswith("6 rows, 6 purchases\n1 rows repeat customer, article and day of another")
    folder = PurchasesFolder.open(tmp_path / "out")
    read = folder.purchases("original")
    assert folder.customer_ids() == ["ann", "bea"]
    assert read.article_ids == sorted(ARTICLES)
    assert read.customers.tolist() == [1, 0, 0, 0, 0, 0]
    assert read.articles.tolist() == [2, 0, 0, 1, 1, 2]
    assert (read.days - DAY).tolist() == [0, 0, 1, 2, 2, 3]
    with pytest.raises(UserError, match="make the folder again with --items"):
        folder.purchases("filtered")


def test_settings_and_table_1(data: Path, items: Path, tmp_path: Path) -> None:
    printed = done("purchases", data, "--items", items, "--out", tmp_path / "out")
    filtered = open_purchases(tmp_path / "out", "filtered")
    assert filtered.article_ids == ["0100000001", "0100000002"]
    assert (filtered.customer_count, filtered.articles.tolist()) == (2, [0, 0, 1, 1])
    assert len(open_purchases(tmp_path / "out", "augmented").article_ids) == 3
    # floor(0.8 x 4) = 3 of Ann's four; Bea's only one is test
    assert figures(printed, "filtered") == {
        "customers": "1",
        "articles": "2",
        "articles bought": "2",
        "purchases": "4",
        "80/20: training": "3",
        "80/20: test": "1",
    }
    assert figures(printed, "augmented")["80/20: test"] == "2"
    assert "a model described 1; 0 still have none" in printed
    for published in ("1,372,980", "104,547", "31,788,324", "24,516,873", "6,934,378", "9,699", "1,371,980"):
        assert published in printed


def test_customers_without_purchase_are_counted(data: Path, tmp_path: Path) -> None:
    (data / "customers.csv").write_text("customer_id,age\naaron,31\nann,\nbea,20\n")
    done("purchases", data, "--out", tmp_path / "out")
    folder = PurchasesFolder.open(tmp_path / "out")
    assert folder.customer_ids() == ["aaron", "ann", "bea"]
    assert folder.purchases("original").customers.tolist() == [2, 1, 1, 1, 1, 1]
    assert folder.about["counts"]["customers_without_purchase"] == 1


def test_the_same_bytes_each_time(data: Path, items: Path, tmp_path: Path) -> None:
    digests = []
    for name in ("one", "two"):
        done("purchases", data, "--items", items, "--out", tmp_path / name)
        digests.append({p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in (tmp_path / name).iterdir()})
    assert digests[0] == digests[1]
    assert len(digests[0]) == 4


def test_what_is_left_out_or_noteworthy_is_counted_and_named(tmp_path: Path) -> None:
    lines = [("2020-09-05", "ann", "0100000001"), ("2020-09-04", "", "0100000001"), ("2020-09-04", "bea", "0999999999")]
    data = kaggle_purchases(tmp_path / "data", [*lines, *LINES], ARTICLES)
    with (data / "transactions_train.csv").open("a") as file:
        file.write("2020-09-04,bea,0100000001,,2\n")
    printed = done("purchases", data, "--out", tmp_path / "out")
    assert "10 rows, 8 purchases" in printed
    assert "left out: 1 rows of 1 articles that the catalogue does not have: 0999999999" in printed
    assert "left out: 1 rows without a customer" in printed
    assert "1 purchases have no price" in printed
    assert "1 rows are dated before the row above" in printed
    about = json.loads((tmp_path / "out" / "purchases.json").read_text())
    assert about["unknown_articles"] == {"0999999999": 1}
    assert len(open_purchases(tmp_path / "out")) == 8


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (("2020-09-05", "ann", "100000001"), "'100000001' is '0100000001' in the catalogue: its zeros are lost"),
        (("05/09/2020", "ann", "0100000001"), "row 8: expected a date like 2020-09-22 in t_dat, found '05/09/2020'"),
        (("", "ann", "0100000001"), "row 8: expected a date like 2020-09-22 in t_dat, found None"),
        (("2020-09-05", "ann", ""), "row 8: has no article_id"),
    ],
)
def test_bad_rows_are_refused(line: Line, message: str, tmp_path: Path) -> None:
    data = kaggle_purchases(tmp_path / "data", [*LINES, line], ARTICLES)
    assert message in refused_by("purchases", data, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_bad_files_are_refused(data: Path, tmp_path: Path) -> None:
    out, table = tmp_path / "out", data / "transactions_train.csv"
    whole = table.read_text()
    table.write_text(whole[:-5])
    assert "is the file cut short?" in refused_by("purchases", data, "--out", out)
    table.write_text(whole.replace("article_id", "item"))
    assert "row 1: column(s) article_id missing, found t_dat, customer_id, item" in refused_by(
        "purchases", data, "--out", out
    )
    table.write_text(whole.splitlines()[0] + "\n")
    assert "no purchase of a customer and an article of this catalogue" in refused_by("purchases", data, "--out", out)
    table.write_text("")
    assert "column(s) t_dat, customer_id, article_id missing" in refused_by("purchases", data, "--out", out)
    table.write_bytes(whole.replace("bea", "b\xe9a").encode("latin-1"))
    assert "cannot read the table" in refused_by("purchases", data, "--out", out)
    table.write_text(whole.replace("bea", '"bea'))
    assert "cannot read the table" in refused_by("purchases", data, "--out", out)
    table.unlink()
    assert f"cannot read {table}: No such file" in refused_by("purchases", data, "--out", out)
    kaggle_purchases(data, LINES, ARTICLES)
    for name, text in (("customers.csv", "customer_id\nann\nbe"), ("articles.csv", "article_id\n0100")):
        (data / name).write_text(text)
        assert f"{name}: the last line does not end" in refused_by("purchases", data, "--out", out)
    (data / "customers.csv").write_text("id\nann\n")
    kaggle_purchases(data, LINES, ARTICLES)
    assert "customers.csv: cannot read the table (" in refused_by("purchases", data, "--out", out)
    (data / "customers.csv").unlink()
    (data / "articles.csv").write_text("id\n0100\n")
    assert "articles.csv: cannot read the column article_id" in refused_by("purchases", data, "--out", out)
    kaggle_purchases(data, LINES, ["7"])
    assert "found articles 0100000001, 0100000002, 0100000003" in refused_by("purchases", data, "--out", out)
    assert not out.exists()


def test_other_folders_are_kept_and_damage_is_noticed(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done("purchases", data, "--out", out)
    first = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    assert "6 rows, 6 purchases" in done("purchases", data, "--out", out)
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == first
    (data / "customers.csv").write_text("customer_id\nann\nbea\n")
    assert "was made of other files; give another --out" in refused_by("purchases", data, "--out", out)
    (tmp_path / "empty").mkdir()
    for other in (data, tmp_path / "empty"):
        assert "made; give another --out" in refused_by("purchases", data, "--out", other)
    with pytest.raises(UserError, match="expected one of original, filtered, augmented"):
        open_purchases(out, "all")
    with (out / "purchases.parquet").open("ab") as file:
        file.write(b"more")
    with pytest.raises(UserError, match=r"purchases.parquet: is not as it was written"):
        open_purchases(out)
    with pytest.raises(UserError, match="name a folder that `lookbook purchases` made"):
        open_purchases(data)


def test_a_key_missing_from_what_is_read_back_is_one_message(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done("purchases", data, "--out", out)
    whole = json.loads((out / "purchases.json").read_text())
    lacking = {key: {name: value for name, value in whole.items() if name != key} for key in whole}
    lacking |= {
        "counts.rows": {**whole, "counts": {**whole["counts"], "rows": None}},
        "settings": whole | {"settings": 1},
    }
    for key, values in lacking.items():
        (out / "purchases.json").write_text(json.dumps(values))
        message = refused_by("purchases", data, "--out", out)
        assert f"purchases.json: {key}" in message or key == "format"
        assert "make it again by `lookbook purchases`" in message


@pytest.mark.parametrize("columns", [3, 4, 5])
def test_a_row_of_too_many_fields_stops_the_run(data: Path, tmp_path: Path, columns: int) -> None:
    header, row = ([*HEADER][:5], ["2020-09-01", "ann", "0100000001", "0.05", "2"])
    lines = [",".join(header[:columns]), ",".join(row[:columns]), ",".join([*row[:columns], "more"])]
    (data / "transactions_train.csv").write_text("\n".join([*lines, ""]))
    message = refused_by("purchases", data, "--out", tmp_path / "out")
    assert "transactions_train.csv: cannot read the table (found more fields than" in message


def test_a_demo_of_an_earlier_version_is_said_to_be_one(data: Path, tmp_path: Path) -> None:
    (data / "demo.json").write_text('{"articles": 4, "seed": 0, "version": 1}')
    assert "an earlier version drew this demo" in done("purchases", data, "--out", tmp_path / "out")


def test_rows_are_read_as_csv(tmp_path: Path) -> None:
    """A column more, in another order, with quotes and a byte order mark."""
    data = kaggle_purchases(tmp_path / "data", [], ARTICLES)
    with (data / "transactions_train.csv").open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
        writer.writerows([["note", *reversed(HEADER)], ["one, or two", "2", "0.05", "0100000002", "ann", "2020-09-01"]])
    done("purchases", data, "--out", tmp_path / "out")
    read = open_purchases(tmp_path / "out")
    assert (read.articles.tolist(), read.days.tolist()) == ([1], [DAY])
