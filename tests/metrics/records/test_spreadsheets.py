"""Tables as spreadsheets write them: separators, encodings, empty rows and columns, workbooks; and no formulas."""

import zipfile
from datetime import date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.common.errors import UserError
from metrics.records import workbooks
from metrics.records.spreadsheets import guarded, is_formula, read_sheet, unguarded

openpyxl = pytest.importorskip("openpyxl", reason="the extra `train` is not installed")

ROWS = [["001", "A dress, long", "9,50"], ["002", 'The "other"', ""]]
COLUMNS = ["id", "text", "price"]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("declared", [False, True])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_separators_and_byte_order_marks_are_recognised(
    tmp_path: Path, name: str, separator: str, declared: bool, encoding: str
) -> None:
    quoted = [['"' + cell.replace('"', '""') + '"' for cell in row] for row in [COLUMNS, *ROWS]]
    text = (f"sep={separator}\r\n" if declared else "") + "".join(separator.join(row) + "\r\n" for row in quoted)
    (tmp_path / name).write_bytes(text.encode(encoding))
    sheet = read_sheet(tmp_path / name)
    assert (sheet.columns, sheet.rows, sheet.notes) == (COLUMNS, ROWS, [])
    assert sheet.lines == ([3, 4] if declared else [2, 3])


def test_another_encoding_is_read_if_it_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("id;text\n1;Café – 9 €\n".encode("cp1252"))
    with pytest.raises(UserError, match=r"a.csv: not UTF-8 text .* at byte \d+\); save it as UTF-8"):
        read_sheet(path)
    assert read_sheet(path, encoding="cp1252").rows == [["1", "Café – 9 €"]]


def test_empty_rows_and_columns_are_ignored_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(";;;\nid;;text;\n1;;a;\n;; ;\n2;;b;\n\n;;;\n")
    sheet = read_sheet(path)
    assert (sheet.columns, sheet.rows, sheet.lines) == (["id", "text"], [["1", "a"], ["2", "b"]], [3, 5])
    assert sheet.notes == ["3 empty row(s) ignored", "2 empty column(s) without a name ignored"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,,text\n1,x,a\n", "a.csv: column 2 has values, but no name"),
        ("id,text,id\n1,a,2\n", "id appear twice"),
        ("id,text\n1,a\n2\n", "a.csv: line 3: 1 values where the header names 2"),
        ('id,text\n1,"a\n', "a.csv: line 2: unexpected end of data; is the file truncated"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(UserError, match=message.replace(".", r"\.")):
        read_sheet(tmp_path / "a.csv")


def workbook(path: Path, rows: list[list[object]], zeros: str | None = None) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    if zeros:
        book.active["A2"].number_format = zeros
    book.create_sheet("notes")
    book.save(path)
    return path


def test_a_workbook_is_read_as_it_is_shown(tmp_path: Path) -> None:
    rows = [["id", None, "text", "n", "day", "sold"], [], [108775015, None, "a", 1.5, datetime(2020, 1, 2), True]]
    sheet = read_sheet(
        workbook(tmp_path / "a.xlsx", [*rows, [2, None, "=1+1", 3.0, date(2021, 1, 2), None], [None] * 9])
    )
    assert sheet.columns == ["id", "text", "n", "day", "sold"]
    assert sheet.rows[0] == ["108775015", "a", "1.5", "2020-01-02", "TRUE"]
    assert sheet.rows[1][::4] == ["2", ""]
    assert sheet.lines == [3, 4]
    assert sheet.notes[0] == "read is the sheet 'Sheet', not 'notes'"
    assert "1 empty column(s) without a name ignored" in sheet.notes


def test_a_workbook_keeps_the_zeros_of_its_format(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", [["id"], [108775015]], "0000000000")
    assert read_sheet(path).rows == [["0108775015"]]


def test_a_small_workbook_that_unpacks_to_gigabytes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sharedStrings.xml", b"0" * 2_000_000)
    monkeypatch.setattr(workbooks, "_MOST_BYTES", 1_000_000)
    with pytest.raises(UserError, match="unpacks to 2 MB, more than 1 MB"):
        read_sheet(tmp_path / "a.xlsx")
    monkeypatch.setattr(workbooks, "_MOST_BYTES", 1 << 29)
    monkeypatch.setattr(workbooks, "_MOST_CELLS", 100)
    with pytest.raises(UserError, match=r"more than .* cells"):
        read_sheet(workbook(tmp_path / "b.xlsx", [["id"], [*[None] * 200, 1]]))


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_workbook_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.xlsx").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.xlsx: not an Excel workbook"):
        read_sheet(tmp_path / "a.xlsx")


texts = st.text(st.sampled_from("='+-@\t\r\na ＝"), max_size=4)


@given(texts)
def test_a_guarded_text_is_no_formula_and_comes_back(text: str) -> None:
    assert not is_formula(guarded(text))
    assert unguarded(guarded(text)) == text


@pytest.mark.parametrize("text", ["'90s jeans", "a dress", "'", "5'"])
def test_an_apostrophe_of_somebody_else_stays(text: str) -> None:
    assert unguarded(text) == text


def test_quotes_in_tab_separated_texts_are_text_unless_they_enclose_a_cell(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text('id\ttext\n1\t"Bold" red dress\n2\t"a ""red"" dress"\n3\t5" heels\n')
    assert read_sheet(path).rows == [["1", '"Bold" red dress'], ["2", 'a "red" dress'], ["3", '5" heels']]
    path.write_text('id\ttext\n1\t"a red dr')
    with pytest.raises(UserError, match="unexpected end of data; is the file truncated"):
        read_sheet(path)


@pytest.mark.parametrize("quote", ["", '"'])
def test_the_separator_is_one_that_splits_the_next_row_too(tmp_path: Path, quote: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"id,caption (with ; or ; between)\n{quote}1{quote},a; b\n")
    sheet = read_sheet(path)
    assert (sheet.columns, sheet.rows) == (["id", "caption (with ; or ; between)"], [["1", "a; b"]])
    path.write_text("id;caption, in words, of two\n1;a, b\n")
    assert read_sheet(path).columns == ["id", "caption, in words, of two"]
