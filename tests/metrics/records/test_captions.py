"""The caption record: what is written is read back, what is wrong is named."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrics import CaptionRecord, UserError, load_systems, read_captions, read_records, to_json, write_records

texts = st.text(st.characters(codec=None), max_size=20)
records = st.builds(
    CaptionRecord,
    id=texts,
    caption=st.none() | texts,
    product_id=st.none() | texts,
    image=st.none() | texts,
    references=st.lists(texts, max_size=3).map(tuple),
    category=st.none() | texts,
    attributes=st.dictionaries(texts, texts, max_size=2),
    split=st.none() | texts,
    seen=st.none() | st.booleans(),
    logprob=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    tokens=st.none() | st.integers(0, 10**6),
    finished=st.none() | st.booleans(),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(records, min_size=1, max_size=4, unique_by=lambda record: record.id))
def test_what_is_written_is_read_back(tmp_path: Path, some: list[CaptionRecord]) -> None:
    path = tmp_path / "captions.jsonl"
    write_records(path, some)
    assert read_records(path) == some
    assert len(path.read_text(encoding="utf-8").splitlines()) == len(some)
    assert [json.loads(to_json(record))["id"] for record in some] == [record.id for record in some]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b'{"id": "1", "caption": "a"}\nnonsense\n', ":2: not JSON"),
        (b'{"id": "1", "caption": "a"', ":1: not JSON"),
        (b"[" * 100_000, ": not JSON"),
        (b'["id"]\n', ": [0]: expected a JSON object"),
        (b'{"caption": "a"}\n', ':1: "id" must be a string or a whole number, it is missing; every item needs one'),
        (b'{"id": 1.5, "caption": "a"}\n', ':1: "id" must be a string or a whole number, found 1.5'),
        (b'{"id": true, "caption": "a"}\n', ':1: "id" must be a string or a whole number, found true'),
        (b'{"id": "1", "references": ["a"]}\n', 'id "1" has no "caption"'),
        (b'{"id": "1", "caption": 7}\n', ':1: "caption" must be a string, found 7'),
        (b'{"id": "1", "caption": "a", "references": "a"}\n', '"references" must be a list of strings, found "a"'),
        (b'{"id": "1", "caption": "a", "logprob": NaN}\n', '"logprob" must be a finite number'),
        (b'{"id": "1", "caption": "a", "tokens": true}\n', '"tokens" must be a whole number'),
        (b'{"id": "1", "caption": "a", "seen": "yes"}\n', '"seen" must be true or false'),
        (b'{"id": "1", "caption": "a"}\n\n{"id": "1", "caption": "b"}\n', ':3: id "1" is already in line 1'),
        (b'{"id": "1", "caption": "caf\xe9"}\n', ":1: not UTF-8"),
        ('{"id": "1", "caption": "a"}\n'.encode("utf-16"), ":1: not UTF-8"),
    ],
)
def test_bad_files_are_named_with_their_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "captions.jsonl"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_captions(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"references": "a long red dress"}, '"references" must be a list of strings, found "a long red dress"'),
        ({"references": ("a", None)}, '"references" must be a list of strings, found ["a", null]'),
        ({"references": None}, '"references" must be a list of strings, found null'),
        ({"references": {"a"}}, '"references" must be a list of strings, found'),
        ({"id": 7}, '"id" must be a string, found 7'),
        ({"caption": ["a red dress"]}, '"caption" must be a string, found ["a red dress"]'),
        ({"attributes": ["colour"]}, '"attributes" must be an object of strings'),
        ({"seen": "yes"}, '"seen" must be true or false, found "yes"'),
        ({"logprob": float("nan")}, '"logprob" must be a finite number'),
        ({"tokens": 1.5}, '"tokens" must be a whole number, found 1.5'),
    ],
)
def test_values_of_other_types_are_refused(values: dict[str, Any], message: str) -> None:
    """References in a string would be scored letter by letter."""
    with pytest.raises(UserError, match=re.escape(message)):
        CaptionRecord(**({"id": "1"} | values))


def test_references_may_be_a_list() -> None:
    assert CaptionRecord("1", references=["a", "b"]) == CaptionRecord("1", references=("a", "b"))  # type: ignore[arg-type]


def test_a_path_may_be_text(tmp_path: Path) -> None:
    path = str(tmp_path / "captions.jsonl")
    write_records(path, [CaptionRecord("1", "a")])
    assert read_captions(path) == read_records(path) == list(load_systems([path])[0].captions.values())


def test_windows_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "captions.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"id": "1", "caption": "a"}\r\n{"id": "2", "caption": ""}\r\n')
    assert [record.caption for record in read_captions(path)] == ["a", ""]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "captions.jsonl"
    write_records(path, [CaptionRecord("1", "old")])

    def broken():  # type: ignore[no-untyped-def]
        yield CaptionRecord("1", "new")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_records(path, broken())
    assert [record.caption for record in read_captions(path)] == ["old"]
    assert list(tmp_path.iterdir()) == [path]
