"""Tables with new descriptions: every other byte, or value, stays."""

import csv
import json
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.captioning.filling.csv_cells import with_cells
from finetune.captioning.filling.rules import sentence_case
from finetune.captioning.filling.tables import write_filled_table

CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8) | st.sampled_from(
    ['"', ",", "\n", "\r\n", 'a "b", c', '5" tall', "\ufeff"]
)


@given(
    rows=st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(CELLS, min_size=n, max_size=n), min_size=1, max_size=5)),
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


def test_a_byte_order_mark_blank_lines_and_odd_quotes_stay() -> None:
    source = '\ufeffid,text,note\r\n\r\na,,5" tall\r\n\nb,"",x'
    written = "".join(with_cells(StringIO(source, newline=""), "text", {0: 'He said "hi"', 1: "plain"}))
    assert written == '\ufeffid,text,note\r\n\r\na,"He said ""hi""",5" tall\r\n\nb,"plain",x'


def test_a_missing_column_is_added_last() -> None:
    written = "".join(with_cells(StringIO("id,a\n1,2\n3,4\n", newline=""), "caption", {1: "New, and good"}))
    assert written == 'id,a,caption\n1,2,\n3,4,"New, and good"\n'


def test_json_lines_keep_the_other_lines_and_keys(tmp_path: Path) -> None:
    source = tmp_path / "items.jsonl"
    lines = ['{"a": 1.50, "text": null}', "", '{"text":  "as it is"}', '{"b": [1, {"c": "é"}]}']
    source.write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_filled_table(source, tmp_path / "new.jsonl", "text", {0: "First.", 2: "Third."})
    written = (tmp_path / "new.jsonl").read_text(encoding="utf-8").splitlines()
    assert written[1:3] == lines[1:3]
    assert json.loads(written[0]) == {"a": 1.5, "text": "First."}
    assert json.loads(written[3]) == {"b": [1, {"c": "é"}], "text": "Third."}


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
