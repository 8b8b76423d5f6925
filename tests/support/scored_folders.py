"""Folders of `score` whose scores, attributes and categories the test gives."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from metrics.measures.base import Measure, Measured
from metrics.measures.statistics import mean_of
from metrics.records.caption_sets import CaptionSet
from metrics.records.captions import CaptionRecord
from metrics.records.run import CatalogueInfo, RunRecord
from metrics.reports.report import write_report
from metrics.scoring.suite import score_systems
from metrics.text.corpus import Corpus


class Given(Measure):
    """Values of items by measure, and what else is known of them, both by system."""

    tokenizer = "none"

    def __init__(self, scores: Mapping[str, Sequence[Any]], per_item: Mapping[str, Sequence[Any]]) -> None:
        self.names = tuple(scores)
        self.scores, self.per_item = scores, per_item

    def measure(self, corpus: Corpus) -> list[Measured]:
        return [
            Measured(
                {name: mean_of(np.array(values[system], dtype=np.float64)) for name, values in self.scores.items()},
                per_item={name: values[system] for name, values in self.per_item.items()},
            )
            for system in range(len(corpus.captions))
        ]


def write_scored(
    folder: Path,
    items: Sequence[Mapping[str, Any]],
    captions: Mapping[str, Sequence[str]],
    scores: Mapping[str, Sequence[Any]],
    images: Path | None = None,
    **per_item: Sequence[Any],
) -> Path:
    """Write what `score` writes; scores and `per_item` have a list of items' values for each system."""
    run = RunRecord(catalogue=CatalogueInfo("shop", folder=images), kind="finetuned") if images else None
    run = run and replace(run, raw=run.to_json())
    systems = [
        CaptionSet(
            name,
            {
                item["id"]: CaptionRecord(**{**item, "caption": caption, "logprob": -0.5})
                for item, caption in zip(items, texts, strict=True)
            },
            run,
        )
        for name, texts in captions.items()
    ]
    write_report(score_systems(systems, None, [Given(scores, per_item)]), folder)
    return folder
