"""What goes wrong as reports and comparisons count it: rates, slices, words, examples, copies of training captions."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from caption_files import row, write_system
from given_measure import Given
from typer.testing import CliRunner, Result

from metrics import CaptionRecord, score_captions
from metrics.__main__ import app
from metrics.reports.findings.counting import count_findings

EVIL = "<script>alert(1)</script>|"
PROMPT = "Please write a coat's caption."
CAPTIONS = [
    ("a black coat", "a dark blue coat"),
    ("a black polyester coat", "a black coat"),
    ("a blue coat", "a navy coat in organic cotton"),
    (f"USER: {EVIL} a coat", f"{EVIL} a coat"),
    ("", "a red coat"),
    ("a striped coat", "a red coat"),
]


def records(**more: Any) -> list[CaptionRecord]:
    return [
        CaptionRecord(str(place), caption, references=(reference,), seen=place % 2 == 0, **more)
        for place, (caption, reference) in enumerate(CAPTIONS)
    ]


def counted(found: list[CaptionRecord], **training: Any) -> dict[str, Any]:
    values = [0.0] * len(found)
    predicted = {"predicted": [None if not one.caption else "Coat" for one in found]}
    acc = Given("Acc", {"accuracy_of_references": {"all": 0.75}}, values, predicted)
    return count_findings(score_captions(found, measures=[acc], clusters=["item"]), **training)


def test_rates_are_of_the_captions_that_a_kind_applies_to() -> None:
    made = counted(records(category="Jacket"))
    (system,) = made["systems"]
    rates = {name: found["rates"]["all"] for name, found in system.items()}
    # Both name a colour in the first three alone; the empty caption is left out everywhere.
    assert {name: (rate["count"], rate["n"]) for name, rate in rates.items()} == {
        "colour_confused": (1, 3),
        "material_confused": (0, 0),
        "material_invented": (1, 5),
        "category_confused": (5, 5),
        "number_invented": (0, 5),
        "claim": (0, 5),
        "claim_invented": (0, 5),
        "runs_on": (0, 5),
        "echo": (0, 5),
        "repeated": (0, 5),
        "left_over": (1, 5),
        "sales_tone": (0, 5),
    }
    assert rates["colour_confused"]["rate"] == 1 / 3
    assert rates["material_confused"] == {"n": 0, "count": 0, "rate": None, "interval": None}
    assert system["colour_confused"]["rates"]["unseen"]["n"] == 1
    assert system["colour_confused"]["most_frequent"] == [{"words": ["dark blue", "black"], "count": 1}]
    (example,) = system["colour_confused"]["examples"]
    assert example == {
        "id": "0",
        "caption": "a black coat",
        "references": ["a dark blue coat"],
        "words": [["dark blue", "black"]],
    }
    assert made["references"]["claim"]["all"]["rate"] == 1 / 6
    assert made["references"]["category_confused"]["all"]["rate"] == 0.25
    assert "colour_confused" not in made["references"]
    assert made["longest"] == 6
    assert list(made["absent"]) == ["Copy of a training caption"]


def test_copies_of_training_captions_by_slice() -> None:
    made = counted(
        records(), training=["a  black coat", "a striped coat", "a dark blue coat", "a navy coat in organic cotton"]
    )
    copied = {name: (rate["count"], rate["n"]) for name, rate in made["systems"][0]["copied"]["rates"].items()}
    assert copied == {"all": (2, 5), "seen": (1, 2), "unseen": (1, 3)}
    assert {name: rate["rate"] for name, rate in made["references"]["copied"].items()} == {
        "all": 3 / 6,
        "seen": 2 / 3,
        "unseen": 1 / 3,
    }


def test_no_more_than_one_reference_in_a_hundred_runs_on() -> None:
    items = [CaptionRecord(str(words), "x " * words, references=("x " * words,)) for words in range(1, 201)]
    made = count_findings(score_captions(items, measures=[Given("BLEU-4", {}, [0.0] * 200)], clusters=["item"]))
    assert made["longest"] == 198
    assert made["references"]["runs_on"]["all"]["rate"] == 2 / 200
    assert made["systems"][0]["runs_on"]["rates"]["all"]["count"] == 2


def test_clusters_and_several_references_count() -> None:
    # Four colourways of one product are one piece of evidence; an item's references share its weight.
    pairs = [("1", "x sold by Nike")] * 4 + [("2", "x"), ("3", "x")]
    items = [
        CaptionRecord(str(place), caption, product_id=product, references=(caption, f"y {place}"))
        for place, (product, caption) in enumerate(pairs)
    ]
    measure = Given("BLEU-4", {}, [0.0] * 6)
    of = {by: count_findings(score_captions(items, measures=[measure], clusters=[by])) for by in ("product", "item")}
    widths = {}
    for by, made in of.items():
        rate = made["systems"][0]["claim"]["rates"]["all"]
        assert (rate["count"], rate["n"]) == (4, 6)
        widths[by] = rate["interval"][1] - rate["interval"][0]
        assert made["references"]["claim"]["all"]["rate"] == pytest.approx(4 * 0.5 / 6)
    assert widths["product"] > widths["item"]


def text_of(page: str) -> str:
    return " ".join(re.sub(r"<style.*?</style>|<[^>]*>", " ", page, flags=re.S).split())


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    rows = [
        {**row(place, caption, reference), "id": f"{place}{EVIL}", "seen": place % 2 == 0}
        for place, (caption, reference) in enumerate([*CAPTIONS, (PROMPT, "a coat")])
    ]
    return write_system(tmp_path / "system", rows, system=EVIL, prompt=f"{PROMPT}\nASSISTANT:")


@pytest.mark.java
def test_the_report_shows_them(score: Callable[..., Result], captions: Path, tmp_path: Path) -> None:
    training = write_system(tmp_path / "training", [row(0, "unused", "a striped coat")])
    result = score(captions, "--out", tmp_path / "out", "--clusters", "reference", "--training", training)
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    found = report["systems"][0]["findings"]
    assert found["copied"]["rates"]["unseen"]["count"] == 1
    assert "Category confused" in report["findings"]["absent"]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    low, high = found["colour_confused"]["rates"]["all"]["interval"]
    for part in (
        f"Colour confused – 33.3% 1 of 3 {100 * low:.1f}–{100 * high:.1f}",
        "dark blue → black (1)",
        "Copy of a training caption, unseen items 0.0%",
        "Category confused is missing: Acc was not measured.",
        "user:",
    ):
        assert part in text_of(page)
    assert "<script" not in page
    markdown = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    table = [line for line in markdown.splitlines() if line.startswith("| Colour confused")]
    assert table == [f"| Colour confused | – | 33.3% (1 of 3) [{100 * low:.1f}–{100 * high:.1f}] |"]
    assert "<script" not in markdown.replace("\\<", "")


@pytest.mark.java
def test_the_comparison_has_the_rates(captions: Path, tmp_path: Path) -> None:
    arguments = ["compare", str(captions), str(captions), "--measure", "BLEU-4", "--clusters", "reference"]
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    made = json.loads((tmp_path / "out" / "comparison.json").read_text())["findings"]
    assert [system["name"] for system in made["systems"]] == [EVIL, f"{EVIL} (2)"]
    assert made["systems"][1]["left_over"]["rates"]["all"]["count"] == 2
    page = (tmp_path / "out" / "comparison.html").read_text(encoding="utf-8")
    assert "Prompt or token left in 0.0% " in text_of(page)
    assert "| Prompt or token left in | 0.0%" in (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8")


def test_training_captions_that_are_none(score: Callable[..., Result], captions: Path, tmp_path: Path) -> None:
    training = tmp_path / "training.jsonl"
    training.write_text('{"id": "1", "caption": "a coat"}\n')
    result = score(captions, "--out", tmp_path / "out", "--training", training)
    assert (result.exit_code, (tmp_path / "out").exists()) == (2, False)
    assert 'no record has "references"' in result.output


def test_items_without_references_are_compared_with_none() -> None:
    """Measures that need no references score such items, which `score_captions` alone refuses."""
    evaluation = score_captions(records(), measures=[Given("BLEU-4", {}, [0.0] * 6)], clusters=["item"])
    bare = [replace(item, references=()) for item in evaluation.items]
    made = count_findings(replace(evaluation, items=bare))
    rates = {name: found["rates"]["all"] for name, found in made["systems"][0].items()}
    assert {rates[name]["n"] for name in ("colour_confused", "material_invented", "claim_invented")} == {0}
    assert (rates["left_over"]["count"], rates["left_over"]["n"]) == (1, 5)
    assert (made["longest"], rates["runs_on"]["count"], made["references"]["claim"]["all"]["n"]) == (None, 0, 0)
