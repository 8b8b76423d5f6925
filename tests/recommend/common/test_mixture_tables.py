"""Stores of several catalogues, whose ids are `NAME/id`, with the tables that `prepare` writes into `NAME/`."""

from pathlib import Path

import pandas as pd
import pytest
from feature_stores import write_store
from PIL import Image
from recommending import clustered, done, items_table, refused_by

from recommend.common.columns import column_names, read_columns
from recommend.items.similar import SimilarItems

COUNT = 24


@pytest.fixture
def mixture(tmp_path: Path) -> Path:
    """A store of the catalogues a and b, whose items have the same ids there; `run` has their tables."""
    ids, rows, groups = clustered(2 * COUNT)
    own = ids[:COUNT]
    write_store(tmp_path / "store", [*(f"a/{key}" for key in own), *(f"b/{key}" for key in own)], rows)
    products = [f"p{place // 2}" for place in range(COUNT)]
    for number, name in enumerate(("a", "b")):
        (tmp_path / "run" / name).mkdir(parents=True)
        columns = {"kind": groups[number * COUNT :][:COUNT]} | ({"season": ["Fall"] * COUNT} if name == "b" else {})
        items_table(tmp_path / "run" / name / "items.parquet", own, products, **columns)
    return tmp_path


def test_tables_are_joined_under_the_names_of_their_catalogues(mixture: Path) -> None:
    run = mixture / "run"
    assert set(column_names(run)) == {"id", "product_id", "source.kind", "source.season"}
    columns = read_columns(run, ["b/i001", "a/i001", "a/i000", "b/i000"], ["season"])
    assert columns.values == {"season": ["Fall", "", "", "Fall"]}
    assert columns.products.tolist() == [1, 0, 0, 1]  # p0 of a is another product than p0 of b


def test_a_folder_with_one_table_is_that_table(mixture: Path) -> None:
    assert read_columns(mixture / "run" / "a", ["i001"], ["kind"]).values == {"kind": ["g1"]}


def test_every_command_takes_them(mixture: Path) -> None:
    """Groups lie far apart, so that all that is found is of the query's own group, whatever its catalogue."""
    store, table, kind = mixture / "store", ("--items", mixture / "run"), ("--attribute", "kind")
    found = done("similar", store, "--id", "a/i000", "--k", 3, *table, "--category", "g0", "--category-column", "kind")
    assert "b/i0" in found or "a/i0" in found
    assert "no item has hat; found g0, g1, g2, g3" in refused_by(
        "similar", store, "--id", "a/i000", *table, "--category", "hat", "--category-column", "kind"
    )
    measured = done("attribute-precision", store, *table, *kind, "--siblings", "out", "--k", 3)
    assert "100.0" in measured and "have no" not in measured
    assert "24 items of a have no season" in done("attribute-precision", store, *table, "--attribute", "season")
    done("map-photos", store, *table, "--colour-by", "kind", "--method", "pca", "--out", mixture / "map.html")
    few = ("--dimensions", 4, "--queries", 5)
    done("clusters", store, *table, *kind, *few, "--try", "2,4", "--out", mixture / "clusters")
    done("compare-methods", store, *table, *kind, *few, "--method", "exact", "--out", mixture / "methods")


def test_each_table_has_its_own_layout(mixture: Path) -> None:
    """Neither catalogue's categories are lost, though their columns differ."""
    for name, column in (("a", "product_type_name"), ("b", "category")):
        path = mixture / "run" / name / "items.parquet"
        pd.read_parquet(path).rename(columns={"source.kind": f"source.{column}"}).to_parquet(path)
    catalogue = SimilarItems([mixture / "store"], mixture / "run").catalogue
    assert catalogue is not None
    assert list(catalogue.categories) == clustered(2 * COUNT)[2]
    assert catalogue.category_column == "product_type_name, category"
    assert catalogue.colour_column is None and set(catalogue.colours) == {""}


def test_photos_lie_under_the_names_of_their_catalogues(mixture: Path) -> None:
    for name in ("a", "b"):
        path = mixture / "run" / name / "items.parquet"
        table = pd.read_parquet(path)
        table["image"] = ["one.png", None, *[""] * (COUNT - 2)]
        table.to_parquet(path)
        (mixture / "photos" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(mixture / "photos" / name / "one.png")
    catalogue = SimilarItems([mixture / "store"], mixture / "run").catalogue
    assert catalogue is not None
    assert [catalogue.images[place] for place in (0, 1, 2, COUNT)] == ["a/one.png", "", "", "b/one.png"]


def test_what_does_not_fit_is_refused(mixture: Path) -> None:
    def message(table: Path) -> str:
        return refused_by("attribute-precision", mixture / "store", "--items", table, "--attribute", "kind")

    one = message(mixture / "run" / "a" / "items.parquet")
    assert "48 of 48 items are not in it, such as a/i000" in one
    assert one.endswith(f"so give {mixture / 'run'}, the folder with each one's table")
    assert message(mixture / "run" / "b") == one.replace(
        str(mixture / "run" / "a" / "items.parquet"), str(mixture / "run" / "b")
    )
    (mixture / "empty").mkdir()
    assert "no items.parquet in it, nor in the folders in it" in message(mixture / "empty")
    broken = mixture / "run" / "b" / "items.parquet"
    pd.DataFrame({"id": ["x"]}).to_parquet(broken)
    assert f"{broken}: column(s) product_id missing" in message(mixture / "run")
    broken.unlink()
    assert "24 of 48 items are not in it, such as b/i000" in message(mixture / "run")
