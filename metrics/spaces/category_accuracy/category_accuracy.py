"""Category accuracy as a module of `evaluate`: `evaluate.load(path, classifier=FOLDER)`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from metrics.measures.category.measure import Category
from metrics.records.captions import CaptionRecord
from metrics.spaces.module import TEXT, CaptionMetric


class CategoryAccuracy(CaptionMetric):
    """Category accuracy, by the classifier in a folder."""

    about = (
        "Share of captions from which a text classifier, trained on reference captions, predicts the item's own "
        "category."
    )
    source = """@inproceedings{rippberger2026comparative,
  title={Comparative Analysis of Fashion Captioning for Multimodal Fashion Recommendation},
  author={Rippberger and Neidhardt},
  booktitle={CEUR Workshop Proceedings 4188}, year={2026}}"""
    inputs = "predictions: the caption of each item.\nreferences: the category of each item.\n"
    forms = (TEXT,)
    clusters = ("item",)

    def __init__(self, *, classifier: str, **given: Any) -> None:
        self.classifier = Path(classifier)
        super().__init__(**given)

    def measure(self) -> Category:
        """Return the measure."""
        return Category(self.classifier)

    def record(self, item: int, caption: str, reference: str | Sequence[str]) -> CaptionRecord:
        """Return an item of the category `reference`."""
        return CaptionRecord(str(item), caption, references=(str(reference),), category=str(reference))
