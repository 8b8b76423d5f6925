"""The shared readers of JSON: any text is a value or a `ValueError`, any file a value or a `UserError`."""

import json
import math

import pytest
from fuzzing import DEEP, NESTED, VALUES, as_json, damaged, folder, fuzz, put, reads_or_refuses
from hypothesis import strategies as st

from metrics.common.files import json_lines, read_json_object
from metrics.common.json_text import DEEPEST, parse_json

CONTENTS = (
    st.binary(max_size=60)
    | st.builds(as_json, VALUES)
    | st.builds(as_json, VALUES).flatmap(damaged)
    | st.sampled_from([DEEP, NESTED, '{"a":' * 100_000, '{"a": 1e400}', '"\ufeff"']).map(str.encode)
)


@fuzz("metrics.common.json_text", content=CONTENTS)
def test_a_text_is_a_value_that_can_be_walked_or_refused(content: bytes) -> None:
    try:
        value = parse_json(content)
    except ValueError:
        return
    json.dumps([[[value]]])  # some levels more than were read
    repr(value)


@fuzz("metrics.common.files", content=CONTENTS)
def test_files(content: bytes) -> None:
    path = put(folder("json") / "file.json", content)
    reads_or_refuses(read_json_object, path, "make it again")
    reads_or_refuses(json_lines, path)


@pytest.mark.parametrize("text", ["1e400", "9" * 400, "9" * 5000])
def test_a_number_that_no_float_holds_is_infinite(text: str) -> None:
    assert parse_json(text) == math.inf
    assert parse_json(f"[-{text}]", lambda name: name) == ["-Infinity"]


def test_whole_numbers_that_a_float_holds_stay_exact() -> None:
    assert parse_json("12345678901234567890123") == 12345678901234567890123


def test_the_deepest_value_that_is_read() -> None:
    assert parse_json("[" * DEEPEST + "]" * DEEPEST)
    for deeper in ("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), '{"a":' * DEEPEST + "[0]" + "}" * DEEPEST):
        with pytest.raises(ValueError, match="nested too deeply, over 100 levels"):
            parse_json(deeper)
