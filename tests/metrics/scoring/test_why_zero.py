"""Values that are 0 whatever the captions are: the terminal and the report say why."""

from pathlib import Path

import pytest
from caption_files import row, write_system
from typer.testing import CliRunner

from metrics.__main__ import app
from metrics.measures.cider import CiderScorer
from metrics.text.ngrams import NgramTable

CIDER = "CIDEr is 0 for 1 of 1 items whatever their captions are: each word of their references is in the references of"
BLEU = "BLEU-3, BLEU-4 of a: 0, since its longest caption has 2 word(s)."


@pytest.mark.java
def test_the_reason_is_given(tmp_path: Path) -> None:
    captions = write_system(tmp_path / "a", [row(1, "red dress", "red dress")])
    measures = ["--measure", "CIDEr", "--measure", "BLEU-4"]
    result = CliRunner().invoke(app, ["score", str(captions), *measures, "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    html, markdown = ((tmp_path / "out" / f"report.{form}").read_text() for form in ("html", "md"))
    for text in (result.output, html, markdown.replace("\\", "")):
        assert CIDER in " ".join(text.split())
        assert BLEU in " ".join(text.split())


@pytest.mark.parametrize(
    ("references", "weightless"),
    [
        ([["a red dress"]], 1),
        ([["a red dress"], ["a red dress"]], 2),
        ([["a red dress"], ["a red dress", "a top"]], 1),
        ([["a dress"], ["a red dress"]], 0),  # "a dress" is in one of them
        ([["a red dress"], [""]], 0),
        ([["dress"], ["a red dress"]], 1),
    ],
)
def test_items_without_a_rare_word_are_counted(references: list[list[str]], weightless: int) -> None:
    scorer = CiderScorer(references, NgramTable(text for texts in references for text in texts))
    assert scorer.weightless() == weightless
    zero = [place for place, value in enumerate(scorer.per_item([texts[0] for texts in references])) if value == 0]
    assert len(zero) >= weightless
