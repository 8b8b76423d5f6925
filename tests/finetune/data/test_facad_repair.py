"""The repair of FACAD's test attributes, against the published loop over all captions and items; JSON read by and by."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finetune.data.catalogues import json_stream as json_lists
from finetune.data.catalogues.facad.repair import best_matches
from finetune.data.catalogues.json_stream import json_list
from metrics.common.errors import UserError

WORDS = st.sampled_from(["a", "A", "red", "Red", "dress", "hat", "ÉTÉ", "été", "of", "silk"])
TEXTS = st.lists(WORDS, max_size=9).map(" ".join) | st.lists(WORDS, max_size=4).map("  ".join)
SLOW = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])


def by_the_loop(captions: list[str], descriptions: list[str]) -> list[tuple[int, float]]:
    """Every caption against every description."""
    found = []
    for caption in captions:
        best, highest = -1, 0.0
        for item, description in enumerate(descriptions):
            words = set(caption.lower().split())
            first = set(description.lower().split()[: len(caption.lower().split())])
            overlap = len(first & words) / len(words) if words else 0.0
            if overlap > highest:
                best, highest = item, overlap
        found.append((best, highest))
    return found


@SLOW
@given(st.lists(TEXTS, max_size=8), st.lists(TEXTS, max_size=12))
def test_the_index_finds_what_the_loop_finds(captions: list[str], descriptions: list[str]) -> None:
    found = best_matches(captions, descriptions)
    assert list(zip(found.items.tolist(), found.overlaps.tolist(), strict=True)) == by_the_loop(captions, descriptions)


def test_only_as_many_words_of_a_description_count_as_the_caption_has() -> None:
    found = best_matches(["red silk hat"], ["a new red silk hat", "a red hat of silk", "Red Silk Hat for all"])
    assert (found.items.tolist(), found.overlaps.tolist()) == ([2], [1.0])
    found = best_matches(["red silk hat"], ["a new red silk hat", "a red hat of silk"])
    assert (found.items.tolist(), found.overlaps.tolist()) == ([1], [2 / 3])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@SLOW
@given(st.lists(VALUES, max_size=6), st.sampled_from([None, 0, 2]), st.integers(2, 12), st.booleans())
def test_any_list_is_read_whatever_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: list[Any], indent: int | None, chunk: int, ascii_: bool
) -> None:
    path = tmp_path / "list.json"
    path.write_bytes(json.dumps(values, indent=indent, ensure_ascii=ascii_).encode("utf-8", "surrogatepass"))
    monkeypatch.setattr(json_lists, "_CHUNK", chunk)
    assert list(json_list(path)) == values


@SLOW
@given(st.lists(VALUES, min_size=1, max_size=4), st.data(), st.integers(1, 12))
def test_a_list_cut_off_anywhere_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: list[Any], data: st.DataObject, chunk: int
) -> None:
    whole = json.dumps(values)
    path = tmp_path / "list.json"
    path.write_text(whole[: data.draw(st.integers(0, len(whole) - 1))])
    monkeypatch.setattr(json_lists, "_CHUNK", chunk)
    with pytest.raises(UserError, match=r"list\.json: row \d+: "):
        list(json_list(path))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"a": 1}', "row 0: not a JSON list; is the file truncated there?"),
        (b"[1, 2] [3]", "row 2: the list has ended, but the file continues"),
        (b"[1, 2,, 3]", "row 2: not JSON; is the file truncated there?"),
        (b'[1, "\xff"]', "not UTF-8 text"),
        (b"[" * 100_000, "row 0: "),
    ],
)
def test_what_is_no_list_is_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "list.json").write_bytes(content)
    with pytest.raises(UserError) as caught:
        list(json_list(tmp_path / "list.json"))
    assert str(caught.value).startswith(f"{tmp_path / 'list.json'}: {expected}")
