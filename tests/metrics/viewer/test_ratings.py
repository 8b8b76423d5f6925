"""The file of ratings: what is kept, whose file it is, and its table for spreadsheets."""

import csv
import io
import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from metrics import UserError
from metrics.__main__ import app
from metrics.viewer.ratings.export import HEADINGS, to_csv, write_csv
from metrics.viewer.ratings.store import Rating, RatingStore

ONE = Rating("0001", "fine-tuned", "Ann", 4, "good", False, "2026-01-02T03:04:05+00:00")


@pytest.fixture
def store(tmp_path: Path) -> RatingStore:
    return RatingStore(tmp_path / "ratings.sqlite")


def test_the_last_of_a_rater_is_kept_blind_and_open_ones_apart(store: RatingStore) -> None:
    blind = replace(ONE, rating=1, note="<b>", blind=True)
    other = replace(ONE, rater="Bob", rating=None, note="a note alone")
    later = replace(ONE, rating=5, time="2026-01-03T00:00:00+00:00")
    store.save([ONE, blind, other])
    store.save([later])
    assert store.all() == store.of_item("0001") == [later, blind, other]
    assert store.of_item("0002") == []
    assert store.by_rater("Ann", True) == [blind]
    assert RatingStore(store.path).by_rater("Ann", False) == [later]


def test_the_time_is_that_of_the_last_change_and_an_empty_rating_removes(store: RatingStore) -> None:
    store.save([ONE])
    store.save([replace(ONE, time="2027-01-01T00:00:00+00:00")])
    assert store.all() == [ONE]
    store.save([replace(ONE, rating=None, note="")])
    assert store.all() == []


def test_a_save_is_all_or_nothing(store: RatingStore) -> None:
    store.save([ONE])
    with pytest.raises(UserError, match="cannot read or write ratings"):
        store.save([replace(ONE, rater="Bob"), replace(ONE, rater="Cem", rating=9)])
    assert store.all() == [ONE]


def make_sqlite(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.executescript("CREATE TABLE accounts (owner); INSERT INTO accounts VALUES ('me')")


@pytest.mark.parametrize(
    ("content", "found"),
    [(b"", "another program's file"), (b"rating;5\n", "no SQLite file"), (None, "another program's file")],
)
def test_a_file_that_is_not_ours_is_refused_and_stays_as_it_is(
    store: RatingStore, content: bytes | None, found: str
) -> None:
    if content is None:
        make_sqlite(store.path)
    else:
        store.path.write_bytes(content)
    before = store.path.read_bytes()
    for attempt in (store.check, store.all, lambda: store.save([ONE])):
        with pytest.raises(UserError, match=f"ratings.sqlite: expected ratings .* found {found}"):
            attempt()
    assert store.path.read_bytes() == before
    assert [path.name for path in store.path.parent.iterdir()] == ["ratings.sqlite"]


def test_a_file_that_cannot_be_written_is_refused_at_the_start(
    store: RatingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save([ONE])
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK or Path(path) != store.path)
    with pytest.raises(UserError, match=r"ratings.sqlite: cannot be written to; give another --ratings"):
        store.check()


def test_a_damaged_file_or_one_that_cannot_be_made_is_one_message(store: RatingStore) -> None:
    store.save([ONE])
    store.path.write_bytes(store.path.read_bytes()[:4096] + b"\0" * 4096)
    with pytest.raises(UserError, match="cannot read or write ratings"):
        store.all()
    (store.path.parent / "file").write_text("")
    inside = RatingStore(store.path.parent / "file" / "ratings.sqlite")
    for attempt in (inside.check, lambda: inside.save([ONE]), lambda: RatingStore(Path("/proc/r.sqlite")).save([ONE])):
        with pytest.raises(UserError, match="give another --ratings"):
            attempt()


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'", "'=1", 'a,"b"\r\nc', "\0", '=HYPERLINK("http://x")']
)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.builds(
            Rating, texts, texts, texts, st.none() | st.integers(1, 5), texts, st.booleans(), st.just("t"), st.none()
        )
    )
)
def test_the_table_is_harmless_and_gives_all_back(ratings: list[Rating]) -> None:
    rows = list(csv.reader(io.StringIO(to_csv(ratings), newline=""), strict=True))
    assert rows.pop(0) == list(HEADINGS)
    for row, one in zip(rows, ratings, strict=True):
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row)
        item, system, rater, note = (row[place].removeprefix("'") for place in (0, 1, 2, 4))
        assert (item, system, rater, note) == (one.item, one.system, one.rater, one.note)
        assert (row[3], row[5]) == (str(one.rating or ""), str(int(one.blind)))


def test_only_an_earlier_export_is_replaced(tmp_path: Path) -> None:
    out = tmp_path / "ratings.csv"
    out.write_text("item,system,rater,rating,note,blind,time\n")  # of the version before
    write_csv([], out)
    write_csv([ONE], out)
    assert out.read_bytes() == (
        b"item,system,rater,rating,note,blind,time,caption_sha256\r\n"
        b"0001,fine-tuned,Ann,4,good,0,2026-01-02T03:04:05+00:00,\r\n"
    )
    out.write_text("item,system,rater,rating,note,blind,time,mine\n")
    with pytest.raises(UserError, match=r"ratings.csv: exists, and its first line is not item,system"):
        write_csv([ONE], out)
    assert out.read_text() == "item,system,rater,rating,note,blind,time,mine\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to do: give --out"),
        (["--json"], "nothing to do: give --out"),
        (["--out", "r.csv"], "no such file; expected ratings that `lookbook view` has saved"),
    ],
)
def test_what_the_command_refuses(tmp_path: Path, arguments: list[str], message: str) -> None:
    run = CliRunner().invoke(app, ["ratings", str(tmp_path / "none.sqlite"), *arguments])
    assert (run.exit_code, message in run.stderr) == (2, True)
    assert not list(tmp_path.iterdir())
