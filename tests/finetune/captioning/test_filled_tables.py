"""Tables with new descriptions: every other byte, or value, stays."""

import csv
import json
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.captioning.filling.csv_cells import with_cells
from finetune.captioning.filling.json_values import with_values
from finetune.captioning.filling.rules import sentence_case
from finetune.captioning.filling.tables import write_filled_table
from metrics.common.errors import UserError
from metrics.records.spreadsheets import is_empty

CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8) | st.sampled_from(
    ['"', ",", "\n", "\r\n", 'a "b", c', '5" tall', "\ufeff"]
)


@given(
    rows=st.integers(1, 4).flatmap(
        lambda n: st.lists(
            st.lists(CELLS, min_size=n, max_size=n).filter(lambda row: not is_empty(row)), min_size=1, max_size=5
        )
    ),
    place=st.integers(0, 3),
    numbers=st.sets(st.integers(0, 4)),
    text=CELLS,
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_one_cell_changes_and_every_other_byte_stays(
    rows: list[list[str]], place: int, numbers: set[int], text: str, end: str, quoting: int
) -> None:
    header = [f"column {number}" for number in range(len(rows[0]))]
    place %= len(header)
    lines = []
    for row in (header, *rows):
        buffer = StringIO(newline="")
        csv.writer(buffer, lineterminator=end, quoting=quoting).writerow(row)  # type: ignore[arg-type]
        lines.append(buffer.getvalue())
    texts = {number: text for number in numbers if number < len(rows)}
    written = list(with_cells(StringIO("".join(lines), newline=""), header[place], texts))
    assert [line for number, line in enumerate(written) if number - 1 not in texts] == [
        line for number, line in enumerate(lines) if number - 1 not in texts
    ]
    expected = [[*row[:place], texts.get(number, row[place]), *row[place + 1 :]] for number, row in enumerate(rows)]
    assert list(csv.reader(StringIO("".join(written), newline=""))) == [header, *expected]


def test_blank_lines_and_odd_quotes_stay() -> None:
    source = 'id,text,note\r\n\r\na,,5" tall\r\n\nb,"",x'
    written = "".join(with_cells(StringIO(source, newline=""), "text", {0: 'He said "hi"', 1: "plain"}))
    assert written == 'id,text,note\r\n\r\na,"He said ""hi""",5" tall\r\n\nb,"plain",x'


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        (
            "a.csv",
            '"SKU, size","photo","caption","price"\r\n"1, M",a.png,,"9,50"\r\n',
            '"SKU, size","photo","caption","price"\r\n"1, M",a.png,New.,"9,50"\r\n',
        ),
        ("a.csv", '"caption","photo"\n"",a.png\n', '"caption","photo"\n"New.",a.png\n'),
        ("a.csv", "id\n1\n", "id,caption\n1,New.\n"),
        ("a.jsonl", '{"caption": null}\n', '{"caption": "New."}\n'),
        ("a.jsonl", '\n{"caption": null}\n', '\n{"caption": "New."}\n'),
    ],
)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_byte_order_mark_stays_and_hides_no_quote(
    tmp_path: Path, mark: str, name: str, source: str, expected: str
) -> None:
    (tmp_path / name).write_bytes((mark + source).encode())
    write_filled_table(tmp_path / name, tmp_path / "new", "caption", {0: "New."})
    assert (tmp_path / "new").read_bytes().decode() == mark + expected


def test_a_csv_whose_columns_changed_meanwhile_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,stock,caption\n1,2,\n")
    with pytest.raises(UserError, match=r"a.csv: the header is id, stock, caption; it was id, caption when"):
        write_filled_table(tmp_path / "a.csv", tmp_path / "new", "caption", {0: "New."}, ["id", "caption"])
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_a_missing_column_is_added_last() -> None:
    written = "".join(with_cells(StringIO("id,a\n1,2\n3,4\n", newline=""), "caption", {1: "New, and good"}))
    assert written == 'id,a,caption\n1,2,\n3,4,"New, and good"\n'


NUMBERS = '"price": 19.90, "ean":12345678901234567.89 , "big": 1e400, "n": -0, "x": "é \\u00e9 , }"'
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f'{{{NUMBERS}, "text" : null }}', f'{{{NUMBERS}, "text" : "New \\"é\\"." }}'),
        (f'{{"text":["a", 1], {NUMBERS}}}', f'{{"text":"New \\"é\\".", {NUMBERS}}}'),
        (f" {{ {NUMBERS} }}", f' {{ {NUMBERS}, "text": "New \\"é\\"." }}'),
        ('{"in": {"text": 1}}', '{"in": {"text": 1}, "text": "New \\"é\\"."}'),
        ('{"text": 1, "text": 2}', '{"text": 1, "text": "New \\"é\\"."}'),
        ("{ }", '{ "text": "New \\"é\\"."}'),
    ],
)
def test_json_lines_keep_every_other_byte(tmp_path: Path, line: str, expected: str) -> None:
    source, others = tmp_path / "items.jsonl", '\r\n{"text":  "as it is", "n": 1.0}\n'
    source.write_bytes(f"{line}\r\n{others}{line}".encode())
    write_filled_table(source, tmp_path / "new.jsonl", "text", {0: 'New "é".', 2: 'New "é".'})
    assert (tmp_path / "new.jsonl").read_bytes().decode() == f"{expected}\r\n{others}{expected}"


@given(st.dictionaries(st.text(), JSON, max_size=4), st.text(), st.text(), st.sampled_from([None, (" ,", " :")]))
def test_one_value_of_json_changes(
    values: dict[str, Any], key: str, text: str, separators: tuple[str, str] | None
) -> None:
    [line] = with_values([json.dumps(values, separators=separators)], key, {0: text})
    assert json.dumps(json.loads(line)) == json.dumps(values | {key: text})


def test_a_line_that_is_no_object_is_refused() -> None:
    with pytest.raises(UserError, match="expected a JSON object"):
        list(with_values(["[1]"], "text", {0: "New."}))


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    table = pd.DataFrame({"n": [1, 2], "text": [None, "old"], "price": [1.5, None]})
    table.to_parquet(tmp_path / "items.parquet", index=False)
    write_filled_table(tmp_path / "items.parquet", tmp_path / "new.parquet", "text", {0: "New."})
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "new.parquet"), table.assign(text=["New.", "old"]))


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("short dress. lined.", "Short dress. Lined."),
        ("t-shirt with H&M print", "T-shirt with H&M print"),
        (" approx. 33 cm.  élan! is it? yes", "Approx. 33 cm. Élan! Is it? Yes"),
        ("height approx. three inches", "Height approx. three inches"),
        ("3/4-length sleeves", "3/4-length sleeves"),
        ("", ""),
    ],
)
def test_sentences_begin_with_a_capital(caption: str, expected: str) -> None:
    assert sentence_case(caption) == expected


def test_bare_quotes_in_a_table_that_is_filled_are_named() -> None:
    source = StringIO('id\ttext\n1\t"Bold" dress\n', newline="")
    with pytest.raises(UserError, match=r'row \'1\\t"Bold" dress\\n\': .*; quote its values as CSV asks'):
        list(with_cells(source, "text", {0: "a"}, separator="\t"))
