"""The rows of a catalogue's own table on the pages of items."""

from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import pytest
from test_view_command import refusal
from viewer_pages import Pages, write_shop

pytest.importorskip("starlette", reason="the extra `view` is not installed")
pyarrow = pytest.importorskip("pyarrow", reason="the extra `view` is not installed")


def write_items(path: Path, ids: list[str]) -> None:
    from pyarrow import parquet

    columns = {"id": ids, "role": ["test"] * len(ids), "description": ["x"] * len(ids)}
    columns |= {"source.shelf": ["<b>7</b>", *[None] * (len(ids) - 1)]}
    parquet.write_table(pyarrow.table(columns), path)


def test_an_item_shows_every_column_of_its_row(tmp_path: Path, open_pages: Callable[..., Pages]) -> None:
    folder = write_shop(tmp_path)
    (tmp_path / "recipe.json").write_text("{}")
    assert "Its row of the catalogue" not in open_pages(folder).get("/item?id=003")
    write_items(tmp_path / "items.parquet", ["not scored", "003", "004"])
    assert "Its row of the catalogue Role test Reference" in open_pages(folder).text("/item?id=003")
    write_items(tmp_path / "items.parquet", ["003", "004"])
    pages = open_pages(folder)  # another table is another index
    assert "<dt>shelf</dt><dd>&lt;b&gt;7&lt;/b&gt;</dd>" in pages.get("/item?id=003")
    assert "Its row of the catalogue" not in pages.get("/item?id=005")


def test_tables_that_do_not_fit_are_refused(tmp_path: Path, open_pages: Callable[..., Pages]) -> None:
    scores = copytree(write_shop(tmp_path), tmp_path / "run" / "report")
    table = scores.parent / "items.parquet"
    write_items(table, ["another"])
    open_pages(scores)  # not the table of a run
    (scores.parent / "recipe.json").write_text("{}")
    assert f"{table}: has none of the items that were scored" in refusal(scores)
    table.write_bytes(table.read_bytes()[:100])
    assert f"{table}: cannot be read: " in refusal(scores)
