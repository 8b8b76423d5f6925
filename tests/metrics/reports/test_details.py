"""What the report shows beside the numbers: intervals, what is absent, sub-scores, attributes, confusion."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from given_measure import Given

from metrics import CaptionRecord, UserError, score_captions, write_report
from metrics.measures.rouge import RougeL
from metrics.reports.measure_charts import OTHERS, attribute_axes, attribute_dots, confusion

EVIL = "<script>alert(1)</script>|`"
SPICE = {"cut": 2, "uncached": 1, "subscores": {"object": {"f": 0.5, "n": 3}, EVIL: {"f": None, "n": 0}}}
ATTRIBUTES = {
    "vocabulary": 1014,
    "left_out": 1,
    "per_attribute": [
        {"attribute": "cotton", "support": 4, "generated": 2, "precision": 1.0, "recall": 0.5},
        {"attribute": EVIL, "support": 1, "generated": 0, "precision": None, "recall": 0.0},
        {"attribute": "zip", "support": 0, "generated": 3, "precision": 0.0, "recall": None},
    ],
    "never_produced": [EVIL],
    "hallucinated": [{"attribute": EVIL, "count": 3}],
}
CATEGORY = {
    "accuracy_of_references": {"all": 0.947},
    "top_3": 0.8,
    "macro_f1": 0.6,
    "confusion": {"labels": ["dress", EVIL], "counts": [[0, 0, 3], [0, 1, 1], [1, 0, 2]]},
    "classifier": {"base": EVIL, "categories": 89, "test_accuracy": {"all": 0.885}},
    "without_category": 2,
    "cut_captions": 3,
}


class Absent(Given):
    def absent(self) -> str:
        return f"not installed, run {EVIL}"


MEASURES = [
    RougeL(),
    Given("MAP", ATTRIBUTES, [1.0, np.nan, 0.5, 0.0]),
    Given("Acc", CATEGORY, [1.0, 0.0, 1.0, 1.0]),
    Given("SPICE", SPICE, [0.0] * 4),
    Absent("METEOR", {}, [0.0] * 4),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    records = [CaptionRecord(str(number), "a dress", references=("a dress",)) for number in range(4)]
    out = tmp_path_factory.mktemp("report")
    write_report(score_captions(records, measures=MEASURES, clusters=["item"]), out)
    return out


@pytest.mark.java
def test_the_values_and_what_is_left_out(folder: Path) -> None:
    report = json.loads((folder / "report.json").read_text())
    scores = report["systems"][0]["scores"]["all"]
    assert report["measures"] == ["ROUGE-L", "SPICE", "MAP", "Acc"]
    assert report["absent"] == {"METEOR": f"not installed, run {EVIL}"}
    assert (scores["MAP"]["value"], scores["Acc"]["value"]) == (0.5, 0.75)
    assert "|n:3|unit:item|clusters:3|" in scores["MAP"]["signature"]
    assert "|n:4|unit:item|clusters:4|" in scores["Acc"]["signature"]
    assert scores["SPICE"]["interval"] == [0, 0]
    low, high = scores["Acc"]["interval"]
    assert 0 <= low < 0.75 < high <= 1
    items = [json.loads(line) for line in (folder / "items.jsonl").read_text().splitlines()]
    assert [item["MAP"] for item in items] == [1.0, None, 0.5, 0.0]


def test_the_page_shows_them_and_nothing_is_markup(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    text = " ".join(re.sub(r"<style.*?</style>|<[^>]*>", " ", page, flags=re.S).split())
    for part in (
        "1,014 attributes",
        "cotton 4 2 100.0 50.0",
        "Hallucinated most: &lt;script&gt;",
        "right in 88.5% of all",
        "the references: the ceiling 94.7 – –",
        "2 are longer than SPICE reads",
        "1 are too long for its cache",
        "3 captions of captions are longer than it reads",
        "METEOR : not installed, run &lt;script&gt;",
    ):
        assert part in text
    assert "<script" not in page
    assert page.count("<circle") == 2
    markdown = (folder / "report.md").read_text(encoding="utf-8")
    assert "<script" not in markdown.replace("\\<", "")
    assert all(line.endswith("|") for line in markdown.splitlines() if line.startswith("|"))
    assert "| dress | 3 | 1 |" in markdown


def test_dots_stand_where_precision_and_recall_are() -> None:
    axes, (cotton, never) = attribute_axes(), attribute_dots(ATTRIBUTES)
    assert (cotton.x, cotton.y) == ((axes.left + axes.right) / 2, axes.top)
    assert (never.x, never.y) == (axes.left, axes.bottom)
    assert cotton.radius > never.radius


def test_the_confusion_matrix_folds_rare_categories() -> None:
    counts = [[number, number, 20 - number] for number in range(17)] + [[0, 16, 5]]
    matrix = confusion({"confusion": {"labels": [f"type {number}" for number in range(17)], "counts": counts}})
    assert matrix.labels == [*(f"type {number}" for number in range(15)), OTHERS]
    assert (matrix.counts[0][0], matrix.counts[0][-1], matrix.counts[-1][-1]) == (20, 5, 5 + 4)
    assert (matrix.shares[0][0], matrix.shares[0][-1]) == (0.8, 0.2)
    small = confusion(CATEGORY)
    assert (small.labels, small.counts) == (["dress", EVIL], [[3, 1], [2, 0]])


def test_nothing_that_can_run_is_an_error() -> None:
    with pytest.raises(UserError, match="METEOR: not installed"):
        score_captions([CaptionRecord("1", "a", references=("a",))], measures=MEASURES[-1:])
