"""The two baselines that look at no photo, against answers counted by hand."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import article, finetune, kaggle, photo, recipe, references, refused

from finetune.captioning.baselines import most_frequent_captions, sibling_captions
from metrics.records.captions import CaptionRecord, read_captions

LETTERS = st.sampled_from("abc")


def record(product: str, category: str | None, caption: str) -> CaptionRecord:
    return CaptionRecord(id="", product_id=product, category=category, references=(caption,))


TRAIN = [
    record("p1", "dress", "a red dress"),
    record("p2", "dress", "a blue dress"),
    record("p2", "dress", "a blue dress"),
    record("p3", "bag", "a bag"),
    record("p4", None, "a thing"),
    record("p4", "bag", "another bag"),
    record("p4", "bag", "another bag"),
    record("p5", "sock", "another bag"),
]


def test_most_frequent_caption_of_the_category() -> None:
    items = [record("", category, "") for category in ("dress", "bag", "sock", None, "hat")]
    # "another bag" is there three times over all categories: the answer for a category that training lacks.
    expected = ["a blue dress", "another bag", "another bag", "a thing", "another bag"]
    assert most_frequent_captions(TRAIN, items) == expected


def test_of_equally_frequent_captions_the_first_wins() -> None:
    train = [record("p", "dress", caption) for caption in ("b", "a", "a", "b", "c")]
    assert most_frequent_captions(train, [record("q", "dress", "")]) == ["b"]


def test_sibling_s_caption_or_else_the_other() -> None:
    items = [record(product, "dress", "") for product in ("p2", "p4", "p9")]
    assert sibling_captions(TRAIN, items, ["x", "y", "z"]) == ["a blue dress", "a thing", "z"]


@given(
    st.lists(st.builds(record, LETTERS, LETTERS | st.none(), LETTERS), min_size=1),
    st.lists(st.builds(record, LETTERS, LETTERS | st.none(), st.just("")), min_size=1),
)
def test_no_other_training_caption_of_the_category_is_more_frequent(
    train: list[CaptionRecord], items: list[CaptionRecord]
) -> None:
    for item, caption in zip(items, most_frequent_captions(train, items), strict=True):
        same = [r.references[0] for r in train if r.category == item.category] or [r.references[0] for r in train]
        assert same.count(caption) == max(map(same.count, same))


def write(tmp_path: Path, *options: Any) -> Path:
    """A shop, its references and its baselines."""
    rows = [article(number, product_type_name=("Dress", "Skirt")[number % 4 // 2]) for number in range(40)]
    path = recipe(tmp_path, {"catalogue": "hm", "folder": str(kaggle(tmp_path / "hm", rows))})
    assert finetune("prepare", path, *options).exit_code == 0
    result = finetune("baselines", path, tmp_path / "captions", "baselines.encoder=none", *options)
    assert result.exit_code == 0, result.output
    names = ("sibling", "category")
    files = [str(tmp_path / "captions" / name / "captions.jsonl") for name in names]
    assert result.stdout.split() == files
    return tmp_path / "captions"


@pytest.mark.parametrize("options", [[], ["--limit", 3]], ids=["whole", "limit"])
def test_baselines_are_ordinary_captions_files(tmp_path: Path, options: list[Any]) -> None:
    out = write(tmp_path, *options)
    train, test = references(tmp_path, "train"), references(tmp_path, "test")
    for name in ("sibling", "category"):
        captions = read_captions(out / name / "captions.jsonl")
        assert [c.id for c in captions] == [r["id"] for r in test]
        assert [list(c.references) for c in captions] == [r["references"] for r in test]
        assert [c.seen for c in captions] == [r["seen"] for r in test]
    for caption in read_captions(out / "sibling" / "captions.jsonl"):
        siblings = [r["references"][0] for r in train if r["product_id"] == caption.product_id]
        if siblings:
            assert caption.caption == siblings[0] == caption.references[0]
        else:
            assert caption.caption in {r["references"][0] for r in train if r["category"] == caption.category}


def test_run_json_describes_the_catalogue(tmp_path: Path) -> None:
    out = write(tmp_path)
    runs = [json.loads((out / name / "run.json").read_text()) for name in ("sibling", "category")]
    assert [run["system"] for run in runs] == ["sibling's caption", "category's most frequent caption"]
    for run in runs:
        assert run["kind"] == "baseline"
        assert run["catalogue"]["name"] == "hm"
        assert run["catalogue"]["folder"] == str(tmp_path / "hm")
        assert run["catalogue"]["counts"][0] == {"step": "articles", "articles": 40}
        assert run["catalogue"]["split"]["sizes"]["test"] == 4
        assert run["leak_audit"]["test_items"] == 4


def test_a_catalogue_without_captions_has_no_baselines(tmp_path: Path) -> None:
    photo(tmp_path / "photos" / "a.jpg")
    path = recipe(tmp_path, {"catalogue": "folder", "folder": str(tmp_path / "photos")})
    result = finetune("baselines", path, tmp_path / "captions")
    assert result.exit_code == 2
    assert "baselines need captions in training and test" in result.stderr
    assert not (tmp_path / "captions").exists()


def test_a_wrong_catalogue_writes_no_baselines(tmp_path: Path) -> None:
    path = recipe(tmp_path, {"catalogue": "hm", "folder": str(tmp_path / "gone")})
    assert "no such folder" in refused("baselines", path, tmp_path / "captions")
    assert not (tmp_path / "captions").exists()
