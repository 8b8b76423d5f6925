"""Text of other people's files on the terminal and in Markdown: nothing that moves the cursor or becomes markup."""

import json
import re
import unicodedata
from pathlib import Path

import pytest
from caption_files import row, write_system
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from metrics.__main__ import app
from metrics.common.formatting import cell, code, printable
from metrics.common.tables import WideTable, print_tables

EVIL = "\x1b]0;owned\x07\x9b2J\u202eevil\u2066[red]\r"


@given(st.text(st.characters(codec=None)))
def test_only_characters_that_stay_in_their_place_are_left(text: str) -> None:
    shown = printable(text)
    assert not any(unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") for one in shown if one not in "\t\n")
    assert not any(unicodedata.bidirectional(one) in ("RLO", "LRO", "RLE", "LRE", "PDF", "RLI", "LRI") for one in shown)
    assert printable(shown) == shown
    assert printable("é 綿 👗 [red]") == "é 綿 👗 [red]"


def test_tables_and_lines_are_printable(capsys: pytest.CaptureFixture[str]) -> None:
    table = WideTable([EVIL], [EVIL], title=EVIL, caption=EVIL)
    table.add_row(EVIL, EVIL)
    print_tables(table, EVIL)
    printed = capsys.readouterr().out
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", printed)
    assert printed.count(r"\x1b]0;owned") == 7
    assert printed.count("[red]") == 7


@pytest.mark.java
def test_names_and_ids_of_a_captions_file_do_not_reach_the_terminal(tmp_path: Path) -> None:
    good = write_system(tmp_path / "a", [row(1, "a dress", "a dress")], system=EVIL)
    result = CliRunner().invoke(app, ["score", str(good), "--measure", "CIDEr", "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    bad = write_system(tmp_path / "b", [{"id": EVIL, "caption": "a dress"}])
    refused = CliRunner().invoke(app, ["score", str(bad), "--measure", "CIDEr", "--out", str(tmp_path / "out")])
    assert refused.exit_code == 2
    markdown = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    for text in (result.output, refused.output, markdown):
        assert r"x1b" in text
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    assert json.loads((tmp_path / "out" / "report.json").read_text())["systems"][0]["name"] == EVIL


@given(st.text(st.sampled_from("`<ax |\n"), max_size=12))
def test_code_of_markdown_holds_all_of_a_text(text: str) -> None:
    written = code(text)
    fence = re.match("`+", written)
    assert fence
    inner = written[len(fence[0]) : -len(fence[0])]
    assert written.endswith(fence[0])
    assert fence[0] not in re.findall("`+", inner)
    assert inner.strip() == " ".join(text.split())


def test_a_cell_of_markdown_has_no_markup() -> None:
    assert cell("<img src=x>\n| *b* \x1b") == r"\<img src=x\> \| \*b\* \\x1b"
