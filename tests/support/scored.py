"""Folders of `score` and their viewer, without Java: ROUGE-L of words as they are, and a category for each caption."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from metrics import CaptionRecord
from metrics.measures.base import Measure, Measured
from metrics.measures.rouge import rouge_per_item
from metrics.measures.statistics import mean_of
from metrics.records.caption_sets import CaptionSet
from metrics.reports.report import write_report
from metrics.scoring.suite import score_systems
from metrics.text.corpus import Corpus


class Words(Measure):
    names = ("ROUGE-L",)
    tokenizer = "blanks"

    def measure(self, corpus: Corpus) -> Sequence[Measured]:
        references = [item.references for item in corpus.items]
        measured = []
        for system in corpus.systems:
            captions = [system.captions[item.id].caption or "" for item in corpus.items]
            predicted = [f"predicted of {system.name}" for _ in captions]
            per_item = mean_of(rouge_per_item(captions, references))
            measured.append(Measured({"ROUGE-L": per_item}, per_item={"predicted": predicted}))
        return measured


def scored_folder(folder: Path, items: Sequence[CaptionRecord], captions: Mapping[str, Sequence[str]]) -> Path:
    """Score each system's captions of the items and write the folder."""
    systems = [
        CaptionSet(name, {item.id: CaptionRecord(item.id, text) for item, text in zip(items, texts, strict=True)})
        for name, texts in captions.items()
    ]
    return write_report(score_systems(systems, items, [Words()]), folder).parent
