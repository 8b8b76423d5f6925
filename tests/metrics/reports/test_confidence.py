"""The report's section on confidence, by `lookbook score` and from Python."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from caption_files import reference, row, write_system
from typer.testing import Result

from metrics import CaptionRecord, write_report
from metrics.measures.base import Measure, Measured
from metrics.measures.statistics import mean_of
from metrics.records.caption_sets import CaptionSet
from metrics.scoring.suite import score_systems
from metrics.text.corpus import Corpus

pytestmark = pytest.mark.java
EVIL = "<script>|`"


class Precision(Measure):
    """Attribute precisions that are known, the same for all systems."""

    names, tokenizer = ("MAP",), "none"

    def __init__(self, values: Sequence[float]) -> None:
        self._values = np.array(values)

    def measure(self, corpus: Corpus) -> list[Measured]:
        return [Measured({"MAP": mean_of(self._values)}) for _ in corpus.systems]


def write_pair(folder: Path) -> list[Path]:
    """A fine-tuned system that says more where it is surer, and a surer one that says something else."""
    tuned = [
        row(n, " ".join(reference(n).split()[: 4 + n // 10]), reference(n), logprob=math.log(0.5 + n / 100))
        for n in range(40)
    ]
    other = [row(n, "what a bargain", reference(n), logprob=math.log(0.95)) for n in range(40)]
    return [
        write_system(folder / "pt", other, system="pretrained", kind="pretrained"),
        write_system(folder / "ft", tuned, system=EVIL, kind="finetuned"),
    ]


def confidence_of(out: Path) -> dict[str, Any]:
    return json.loads((out / "report.json").read_text())["confidence"]


def test_systems_with_log_probabilities_are_held_against_cider(score: Callable[..., Result], tmp_path: Path) -> None:
    silent = write_system(tmp_path / "b", [row(n, "a", reference(n)) for n in range(40)], system="b", kind="baseline")
    assert score(*write_pair(tmp_path), silent, "--out", tmp_path / "out").exit_code == 0
    found = confidence_of(tmp_path / "out")
    assert [(one["name"], one["n"], one["without"]) for one in found["systems"]] == [
        ("pretrained", 40, 0),
        (EVIL, 40, 0),
    ]
    tuned = found["systems"][1]
    assert tuned["quartiles"] == pytest.approx([0.5, 0.5975, 0.695, 0.7925, 0.89])
    assert tuned["measures"]["CIDEr"]["rank_correlation"]["value"] > 0.7
    assert tuned["measures"]["CIDEr"]["curve"][0]["n"] == 1
    assert [note.split(" (")[0] for note in found["notes"]] == [f"pretrained is more confident than {EVIL}"]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    section = page.split('<section id="confidence">')[1].split("</section>")[0]
    assert "a threshold needs attribute precision" in section
    # 40 clusters are one bin, which is no curve.
    assert section.count("<svg") == 1
    assert section.count("&lt;script&gt;|`") >= 3
    assert "<script" not in section
    assert "pretrained is more confident than" in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")


def test_thresholds_keep_the_wanted_precision(tmp_path: Path) -> None:
    """The 60 surest captions of 100 are right, the 40 others wrong; ten items have no value, three no log-probability."""
    numbers = range(113)
    precision = [1.0 if n < 60 else 0.0 if n < 100 else math.nan if n < 110 else 1.0 for n in numbers]
    records = [
        CaptionRecord(
            str(n), "a dress", references=("a dress",), logprob=None if n >= 110 else math.log(0.91 - n / 1000)
        )
        for n in numbers
    ]
    system = CaptionSet("mine", {record.id: record for record in records})
    write_report(score_systems([system], None, [Precision(precision)], ["item"]), tmp_path)
    [one] = confidence_of(tmp_path)["systems"]
    assert (one["n"], one["without"], one["measures"]["MAP"]["n"]) == (110, 3, 100)
    for threshold in one["measures"]["MAP"]["thresholds"]:
        kept = threshold["kept"]
        surest = math.floor(60 / threshold["wanted"])  # with so many more the mean is still the wanted one
        assert 60 <= kept["n"] <= surest
        assert kept["interval"][0] >= threshold["wanted"]
        assert kept["n"] == sum(math.exp(record.logprob) >= kept["threshold"] for record in records[:100])
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert f"| mine | 95.0 | {kept['threshold']} | {kept['n']}.0% | {kept['n']} |" in text
    assert "for a precision of 95" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_what_is_no_log_probability_is_counted_and_left_out(score: Callable[..., Result], tmp_path: Path) -> None:
    rows = [row(n, reference(n), reference(n), logprob=(-0.1, 0.0, 1e9)[n]) for n in range(3)]
    assert score(write_system(tmp_path, rows), "--out", tmp_path / "out").exit_code == 0
    found = confidence_of(tmp_path / "out")
    [one] = found["systems"]
    assert (one["n"], one["impossible"], one["quartiles"][4]) == (2, 1, 1.0)
    assert "no log-probability: 1; they are left out" in found["notes"][0]
