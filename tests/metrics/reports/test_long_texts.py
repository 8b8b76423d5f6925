"""Captions and references of any length: pages show their beginning, and say how long they are."""

from pathlib import Path

import pytest
from scored_folders import write_scored

from metrics.common.formatting import each_shown, shown

LONG = "word " * 10_000


@pytest.fixture
def scored(tmp_path: Path) -> Path:
    items = [{"id": "a", "references": [LONG, *(f"reference {number}" for number in range(50))]}]
    return write_scored(tmp_path / "out", items, {"system": [LONG]}, {"CIDEr": [[1.0]]})


def test_reports_show_the_beginning(scored: Path) -> None:
    page = (scored / "report.html").read_text(encoding="utf-8")
    assert len(page) < 150_000
    assert len((scored / "report.md").read_text(encoding="utf-8")) < 50_000
    assert "… (50,000 characters)" in page
    assert "… and 31 more" in page


def test_short_texts_are_as_they_are() -> None:
    assert shown("a dress") == "a dress"
    assert each_shown(("a dress",) * 20) == ["a dress"] * 20
