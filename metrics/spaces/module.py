"""Turns a measure into a module of Hugging Face `evaluate`; the modules are in the folders of `metrics/spaces`."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import evaluate
from evaluate.module import Features, Value
from evaluate.module import Sequence as ListOf

from metrics.measures.base import Measure
from metrics.records.captions import CaptionRecord
from metrics.scoring.suite import score_captions

TEXT = Features({"predictions": Value("string"), "references": Value("string")})
TEXTS = Features({"predictions": Value("string"), "references": ListOf(Value("string"))})
_RETURNS = """
Returns, for each measure, its value (0..1, CIDEr 0..10) under its name, the bounds of its 95% bootstrap interval under
NAME_low and NAME_high, and under NAME_signature the signature to quote with it.
"""


class CaptionMetric(evaluate.Metric, ABC):  # type: ignore[misc]
    """A measure as a module of `evaluate`; `evaluate.load` skips this class, as it is abstract.

    Attributes:
        about: what it measures, in one or two sentences.
        source: its paper, as BibTeX.
        inputs: what `predictions` and `references` are.
        forms: the features that the inputs may have.
        clusters: what joins items for the intervals (`find_clusters`); they have no ids and no photos here.
    """

    about: str
    source: str
    inputs = (
        "predictions: the caption of each item.\n"
        "references: the reference caption of each item, or the list of its reference captions.\n"
    )
    forms: Sequence[Features] = (TEXTS, TEXT)
    clusters: Sequence[str] = ("reference",)

    @abstractmethod
    def measure(self) -> Measure:
        """Return the measure; raises `UserError` if it cannot be made."""

    def record(self, item: int, caption: str, reference: str | Sequence[str]) -> CaptionRecord:
        """Return an item as a record for our measures."""
        references = (reference,) if isinstance(reference, str) else tuple(reference)
        return CaptionRecord(str(item), caption, references=references)

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=self.about,
            citation=self.source,
            inputs_description=self.inputs + _RETURNS,
            features=[*self.forms],
        )

    def _compute(self, predictions: Sequence[str], references: Sequence[str | Sequence[str]]) -> dict[str, Any]:
        pairs = zip(predictions, references, strict=True)
        records = [self.record(item, *pair) for item, pair in enumerate(pairs)]
        results: dict[str, Any] = {}
        evaluation = score_captions(records, measures=[self.measure()], clusters=self.clusters)
        for name, score in evaluation.results[0].scores["all"].items():
            key = name.lower().replace("-", "_")
            low, high = score.interval
            results |= {key: score.value, f"{key}_low": low, f"{key}_high": high, f"{key}_signature": score.signature}
        return results


def launch(module: evaluate.EvaluationModule) -> None:
    """Show the module on the page of a Space; `evaluate`'s own widget needs a gradio before 4."""
    import gradio  # type: ignore[import-not-found]  # noqa: PLC0415

    def compute(captions: str, references: str) -> dict[str, Any]:
        given = module.compute(predictions=captions.splitlines(), references=references.splitlines())
        return dict(given)

    boxes = [gradio.Textbox(lines=6, label=f"{name}, one a line") for name in ("predictions", "references")]
    about = f"{module.description}\n\n{module.inputs_description}"
    gradio.Interface(compute, boxes, gradio.JSON(), title=module.name, description=about).launch()
