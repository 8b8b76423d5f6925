"""Tables on the screen: whole rows at any width of the terminal, text as it is."""

import pytest
from rich.text import Text

from metrics.common.tables import WideTable, print_tables

LONG = "a caption of [many] words [red]that no terminal of twenty columns has room for[/red]"


@pytest.fixture(autouse=True)
def narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")


def printed(capsys: pytest.CaptureFixture[str], *parts: WideTable | str) -> list[str]:
    print_tables(*parts)
    return [line.rstrip() for line in capsys.readouterr().out.splitlines() if line.strip()]


def test_rows_are_printed_whole_and_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    table = WideTable(["system", "[setting]"], ["BLEU-4", "CIDEr"], title="scores [of] all", caption="x100")
    table.add_row(LONG, "[FT]", "4.1", "281.3")
    table.add_row(Text("other", style="bold"), "", "10.0", "0.3", style="dim")
    title, head, _, first, second, caption = printed(capsys, table)
    assert (title.strip(), caption.strip()) == ("scores [of] all", "x100")
    assert head.split() == ["system", "[setting]", "BLEU-4", "CIDEr"]
    assert first.strip() == f"{LONG}  [FT]          4.1  281.3"
    assert len(first) == len(second) == len(head)
    assert second.split() == ["other", "10.0", "0.3"]


def test_lines_of_text_between_tables_are_not_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    table = WideTable(["name"])
    table.add_row("value")
    lines = printed(capsys, LONG, table, LONG)
    assert (lines[0], lines[-1]) == (LONG, LONG)


def test_a_table_of_facts_has_no_headings(capsys: pytest.CaptureFixture[str]) -> None:
    table = WideTable(["", ""])
    table.add_row("caption", LONG)
    table.add_row("peak memory", "0.1 GiB")
    assert printed(capsys, table) == [f" caption      {LONG}", " peak memory  0.1 GiB"]


def test_each_table_has_the_width_that_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    small, large = WideTable(["name"]), WideTable(["name"])
    small.add_row("value")
    large.add_row(LONG)
    lines = printed(capsys, small, large)
    assert lines[2].strip() == "value"
    assert lines[-1].strip() == LONG
