"""Folders and files that a command may write to: empty ones, and those that Lookbook wrote."""

import os
from collections.abc import Callable
from dataclasses import replace
from itertools import chain, combinations
from pathlib import Path

import pytest

from metrics.common.errors import UserError
from metrics.common.files import write_text
from metrics.common.ownership import (
    MARK,
    Contents,
    check_page,
    claim_folder,
    refuse_foreign,
    refuse_inputs,
    refuse_other,
)

SCORES = Contents({"scores.json": '"lookbook": ', "items-*.jsonl": "", "plots": ""}, record="scores.json")
TABLES = Contents({"table.csv": "id,name"})
NAMES = ("scores.json", "items-1.jsonl", "plots", "table.csv", "notes.txt", "model")


def refusal(folder: Path, contents: Contents = SCORES) -> str:
    with pytest.raises(UserError) as raised:
        claim_folder(folder, contents)
    return str(raised.value)


def test_a_new_folder_is_marked_and_stays_ours_whatever_is_added(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    claim_folder(folder, SCORES)
    assert [path.name for path in folder.iterdir()] == [MARK]
    (folder / "notes.txt").touch()
    write_text(folder / "scores.json", '{"lookbook": "0.1"}')
    claim_folder(folder, SCORES)
    assert "holds what Lookbook did not write there: notes.txt; give another --out" in refusal(folder, TABLES)


def test_the_mark_vouches_for_nothing_in_the_place_of_ours(tmp_path: Path) -> None:
    claim_folder(tmp_path, SCORES)
    (tmp_path / "scores.json").write_text("theirs")
    assert "there: scores.json;" in refusal(tmp_path)


def test_a_mark_of_several_texts_needs_all(tmp_path: Path) -> None:
    path = tmp_path / "page"
    path.write_text("x" * (3 << 20) + "second")
    with pytest.raises(UserError, match="exists and is no page"):
        refuse_other(path, ("first", "second"), "page")
    path.write_text("first" + path.read_text())
    refuse_other(path, ("first", "second"), "page")


def test_two_commands_may_share_a_folder(tmp_path: Path) -> None:
    claim_folder(tmp_path, SCORES)
    (tmp_path / "plots").mkdir()
    claim_folder(tmp_path, TABLES)
    (tmp_path / "notes.txt").touch()
    for contents in (SCORES, TABLES):
        claim_folder(tmp_path, contents)


def test_a_folder_of_an_earlier_version_is_ours_by_its_names_or_its_record(tmp_path: Path) -> None:
    (tmp_path / "items-1.jsonl").touch()
    (tmp_path / "plots").mkdir()
    refuse_foreign(tmp_path, SCORES)
    (tmp_path / "notes.txt").touch()
    assert "notes.txt" in refusal(tmp_path)
    (tmp_path / "scores.json").write_text('{"lookbook": "0.1"}')
    claim_folder(tmp_path, SCORES)


@pytest.mark.parametrize("text", ["", "{}", "[]"])
def test_a_record_that_is_not_ours_counts_for_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "scores.json").write_text(text)
    (tmp_path / "notes.txt").touch()
    assert "there: notes.txt" + (", scores.json" if text else "") in refusal(tmp_path)


def test_the_first_names_are_shown_and_the_others_counted(tmp_path: Path) -> None:
    for number in range(8):
        (tmp_path / f"{number}.txt").touch()
    assert "there: 0.txt, 1.txt, 2.txt, 3.txt, 4.txt and 3 more; give" in refusal(tmp_path)


def test_nothing_of_others_is_taken_for_ours(tmp_path: Path) -> None:
    """In whatever company; a folder, and a file of ours without a text of its own, are known by their names alone."""
    for number, present in enumerate(chain.from_iterable(combinations(NAMES, count) for count in range(7))):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        for name in present:
            (folder / name).write_text("theirs")
        foreign = set(present) - {"items-1.jsonl", "plots"}
        if foreign:
            assert all(name in refusal(folder) for name in foreign)
            assert {path.name for path in folder.iterdir()} == set(present)
        else:
            claim_folder(folder, SCORES)


@pytest.mark.parametrize("make", [os.link, os.symlink], ids=["hard", "symbolic"])
def test_an_output_that_is_read_is_refused_by_whatever_name(tmp_path: Path, make: Callable[[Path, Path], None]) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    source.write_text("text")
    refuse_inputs([out, tmp_path / "none"], [source, None, tmp_path / "missing"])
    make(source, out)
    with pytest.raises(UserError, match=r"out: would replace .*source, which is read; give another --out"):
        refuse_inputs([out], [None, source])


def test_a_file_that_is_not_ours_is_refused_unless_told_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    check_page(path, "Lookbook", "page", overwrite=False)
    path.write_text("x" * (3 << 20))
    for overwrite, remedy in ((False, "or move it away, or replace it with --overwrite"), (None, "or move it away")):
        with pytest.raises(UserError) as raised:
            refuse_other(path, "Lookbook", "page", "--html", overwrite)
        assert str(raised.value) == f"{path}: exists and is no page; give another --html, {remedy}"
    refuse_other(path, "Lookbook", "page", overwrite=True)
    for text in ("Lookbook" + "x" * (3 << 20), "x" * (3 << 20) + "Lookbook", ""):
        path.write_text(text)
        refuse_other(path, "Lookbook", "page")
    path.unlink()
    path.mkdir()
    with pytest.raises(UserError, match="exists and is no page"):
        refuse_other(path, "Lookbook", "page")


def test_what_other_commands_wrote_before_may_be_there(tmp_path: Path) -> None:
    (tmp_path / "captions.jsonl").touch()
    assert "captions.jsonl" in refusal(tmp_path)
    claim_folder(tmp_path, replace(SCORES, beside=("captions.jsonl",)))
