"""The vocabulary of attributes, precision and recall from sets, and the cache of lemmas: all that needs no Stanza."""

import json
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from metrics import UserError
from metrics.__main__ import app
from metrics.measures.attributes.lemma_cache import LemmaCache
from metrics.measures.attributes.lemmas import normalised
from metrics.measures.attributes.measure import attribute_table, precision_recall
from metrics.measures.attributes.vocabulary import (
    Vocabulary,
    count_attributes,
    listed_attributes,
    never_matching,
    read_vocabulary,
    write_vocabulary,
)

PATH = Path("references-train.jsonl")
sets = st.frozensets(st.sampled_from("abcdef"))
pairs = st.lists(st.tuples(sets, sets), min_size=1, max_size=12).filter(lambda some: any(one for one, _ in some))


def test_words_are_counted_over_every_caption_repeated_ones_too() -> None:
    captions = ["a red dress", "a red dress", "red on red", "a hem"]
    lemmas = {"a red dress": ["red", "dress"], "red on red": ["red", "red"], "a hem": ["hem"]}
    result = count_attributes(captions, lemmas, "1-x", PATH, minimum=2)
    assert dict(result.attributes) == {"red": 4, "dress": 2}
    assert result.source == {"file": "references-train.jsonl", "captions": 4, "distinct": 3, "minimum": 2}
    assert list(count_attributes(captions, lemmas, "1-x", PATH, minimum=4).attributes) == ["red"]
    with pytest.raises(UserError, match=r"references-train.jsonl: no lemma occurs 5 times in its 4 captions"):
        count_attributes(captions, lemmas, "1-x", PATH, minimum=5)


@pytest.mark.parametrize("content", ["Cotton\n\n v-neck \ncotton\n", '["cotton", "V-Neck"]', "\ufeffcotton\r\nv-neck"])
def test_a_given_list_is_used_as_it_is_in_lower_case(tmp_path: Path, content: str) -> None:
    path = tmp_path / "attributes.txt"
    path.write_text(content, encoding="utf-8", newline="")
    result = listed_attributes(path, "1-x")
    assert result.attributes == {"cotton": None, "v-neck": None}
    assert never_matching(result) == ["v-neck"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "contains no word"),
        (b"[1]", "word 1 must be a string, found 1"),
        (b"[oops", "JSON list"),
        (b"\xff", "UTF-8"),
    ],
)
def test_a_list_that_is_none_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "attributes.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        listed_attributes(path, "1-x")
    assert str(path) in str(caught.value)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "vocabulary.json"
    one = Vocabulary({"crêpe": 12, "top": None}, "1.15.0-abc", {"file": "x", "minimum": 10})
    odd = Vocabulary({"\ud800": 3}, "1.15.0-abc")
    for vocabulary in (one, odd):
        write_vocabulary(path, vocabulary)
        assert read_vocabulary(path) == vocabulary
    assert read_vocabulary(path).signature == odd.signature != one.signature
    assert (
        one.signature == Vocabulary({"top": 3, "crêpe": 4}, "other").signature != Vocabulary({"top": 1}, "").signature
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pipeline": None}, 'no attribute vocabulary: "pipeline" must be a string, found null'),
        ({"attributes": ["a"]}, '"attributes" must be an object'),
        ({"attributes": {}}, '"attributes" is empty'),
        ({"attributes": {"top": "many"}}, '"top" must be a count or null, found "many"'),
        ({"attributes": {"top": True}}, '"top" must be a count or null, found true'),
        ({"source": 3}, '"source" must be an object'),
    ],
)
def test_a_vocabulary_that_is_none_is_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = tmp_path / "vocabulary.json"
    path.write_text(json.dumps({"pipeline": "x", "source": {}, "attributes": {"top": 3}} | change))
    with pytest.raises(UserError) as caught:
        read_vocabulary(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)
    assert str(caught.value).endswith("; make it with `lookbook attributes`")


@pytest.mark.parametrize("content", ["", "nonsense", "[]", "[" * 100_000])
def test_a_vocabulary_that_is_no_json_object_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "vocabulary.json"
    path.write_text(content)
    with pytest.raises(UserError, match="lookbook attributes"):
        read_vocabulary(path)


def test_precision_and_recall_of_three_items() -> None:
    references = [frozenset({"red", "top", "hem"}), frozenset({"hem"}), frozenset()]
    captions = [frozenset({"red", "dress"}), frozenset(), frozenset({"red"})]
    result = precision_recall(references, captions)
    everywhere = np.arange(3)
    # Item 1: 1 of 2 right, 1 of 3 found. Item 2: nothing said, 0. Item 3 has no attribute and is left out.
    assert result["MAP"].per_item.tolist()[:2] == [1 / 2, 0.0]
    assert result["MAR"].per_item.tolist()[:2] == [1 / 3, 0.0]
    assert np.isnan([one.per_item[2] for one in result.values()]).all()
    precision, recall = (1 / 2) / 2, (1 / 3) / 2
    assert result["MAP"].value(everywhere) == pytest.approx(precision)
    assert result["MAR"].value(everywhere) == pytest.approx(recall)
    assert result["Attr-F1"].value(everywhere) == pytest.approx(2 * precision * recall / (precision + recall))
    assert result["Attr-F1"].value(np.array([2])) == 0.0


def test_the_table_says_what_is_never_said_and_what_is_made_up() -> None:
    references = [frozenset({"hem", "top"}), frozenset({"hem"}), frozenset()]
    captions = [frozenset({"red", "top"}), frozenset({"red"}), frozenset({"zip"})]
    assert attribute_table(references, captions) == {
        "left_out": 1,
        "per_attribute": [
            {"attribute": "hem", "support": 2, "generated": 0, "precision": None, "recall": 0.0},
            {"attribute": "top", "support": 1, "generated": 1, "precision": 1.0, "recall": 1.0},
            {"attribute": "red", "support": 0, "generated": 2, "precision": 0.0, "recall": None},
        ],
        "never_produced": ["hem"],
        "hallucinated": [{"attribute": "red", "count": 2}],
    }


@settings(max_examples=60, deadline=None)
@given(pairs)
def test_the_measures_are_means_over_items_with_attributes(items: list[tuple[frozenset[str], frozenset[str]]]) -> None:
    references, captions = zip(*items, strict=True)
    counted = [(one, other) for one, other in items if one]
    precisions = [len(one & other) / len(other) if other else 0.0 for one, other in counted]
    result = precision_recall(references, captions)
    everywhere = np.arange(len(items))
    assert result["MAP"].value(everywhere) == pytest.approx(sum(precisions) / len(counted))
    assert all(0 <= one.value(everywhere) <= 1 for one in result.values())
    same = precision_recall(references, references)
    assert [one.value(everywhere) for one in same.values()] == pytest.approx([1.0] * 3)


def test_captions_are_normalised_as_the_paper_does_it_and_lie_on_one_line() -> None:
    assert normalised("A-line T-SHIRT") == "a line t shirt"
    assert normalised(" a\n\nb\x00c\u2028d\x85e\t\ud800 ") == "a b c d e ?"
    assert normalised(" -\n") == ""


def test_lemmas_are_kept_and_damage_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "lemmas.sqlite"
    LemmaCache(path).add({"a red top": ["red", "top"], "": [], "שלום 🧥": ["x"]})
    assert LemmaCache(path).find(["a red top", "", "new"]) == {"a red top": ("red", "top"), "": ()}
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE lemmas SET kept = '[\"blue\"]' WHERE caption = 'a red top'")
    assert LemmaCache(path).find(["a red top", ""]) == {"": ()}
    whole = path.read_bytes()
    for damaged in (b"nonsense" * 1000, whole[:5000], whole[:4096] + bytes(4096) + whole[8192:]):
        path.write_bytes(damaged)
        assert LemmaCache(path).find([""]) == {}
        LemmaCache(path).add({"": []})
        assert LemmaCache(path).find([""]) == {"": ()}


def test_several_may_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "lemmas.sqlite"

    def write(start: int) -> None:
        for number in range(start, start + 20):
            LemmaCache(path).add({str(number): [str(number)], "all": ["all"]})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(0, 80, 20)))
    assert len(LemmaCache(path).find([*map(str, range(80)), "all"])) == 81


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"lemmas.sqlite: cannot keep lemmas there .* LOOKBOOK_CACHE"):
        LemmaCache(tmp_path / "file" / "lemmas.sqlite")


FEW_FILES = """
import os, resource, sys
from pathlib import Path
from metrics import UserError
from metrics.measures.attributes.lemma_cache import LemmaCache

free = os.dup(0)
os.close(free)
resource.setrlimit(resource.RLIMIT_NOFILE, (free, free))
try:
    LemmaCache(Path(sys.argv[1]))
except UserError as error:
    print(error)
"""


@pytest.mark.processes
@pytest.mark.skipif(sys.platform == "win32", reason="limits")
def test_a_cache_that_cannot_be_opened_is_not_taken_for_damaged(tmp_path: Path) -> None:
    path = tmp_path / "lemmas.sqlite"
    LemmaCache(path).add({"a red top": ["red", "top"]})
    done = subprocess.run([sys.executable, "-c", FEW_FILES, str(path)], capture_output=True, text=True, check=True)
    assert f"{path}: cannot keep lemmas there (unable to open database file)" in done.stdout
    assert "remove" not in done.stdout
    assert LemmaCache(path).find(["a red top"]) == {"a red top": ("red", "top")}


def test_without_stanza_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("metrics.measures.attributes.stanza_models.find_spec", lambda name: None)
    (tmp_path / "list.txt").write_text("cotton\n")
    arguments = ["attributes", "--list", str(tmp_path / "list.txt"), "--out", str(tmp_path / "vocabulary.json")]
    result = CliRunner().invoke(app, arguments)
    assert (result.exit_code, "run pip install '.[measures]'" in result.output) == (2, True), result.output


@pytest.mark.parametrize(
    "content",
    [
        '{"id": "1", "caption": "precious", "references": [], "attributes": {"kind": "top"}}\n',
        '[{"id": 1, "attributes": {"kind": "top"}}]',
        '{\n "pipeline": "ours",\n "stages": []\n}',
    ],
)
def test_only_a_vocabulary_is_replaced_by_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str) -> None:
    monkeypatch.setattr("metrics.measures.attributes.make_vocabulary.signature", lambda _: "1.15.0-abc")
    listed, out = tmp_path / "list.txt", tmp_path / "out.json"
    listed.write_text("cotton\n")
    out.write_text(content)
    arguments = ["attributes", "--list", str(listed), "--out", str(out)]
    result = CliRunner().invoke(app, arguments)
    assert (result.exit_code, out.read_text()) == (2, content)
    assert f"{out}: exists and is no vocabulary of attributes" in result.stderr
    for options in (["--overwrite"], []):
        assert CliRunner().invoke(app, arguments + options).exit_code == 0
    assert read_vocabulary(out).attributes == {"cotton": None}


@pytest.mark.processes
def test_the_measure_is_imported_without_torch_or_stanza() -> None:
    code = "import sys, metrics.measures.attributes.measure, metrics.__main__; assert not {'torch', 'stanza'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)
