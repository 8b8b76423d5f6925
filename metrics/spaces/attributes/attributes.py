"""Attributes as a module of `evaluate`: `evaluate.load(path, vocabulary=FILE)`, or also `stanza=FOLDER`."""

from pathlib import Path
from typing import Any

from metrics.measures.attributes.measure import Attributes as Measured
from metrics.spaces.module import CaptionMetric


class Attributes(CaptionMetric):
    """Precision, recall and F1 of attributes, by a vocabulary of them."""

    about = (
        "Precision (map), recall (mar) and F1 of the attributes of a caption: the nouns and adjectives of a "
        "vocabulary that it shares with its references."
    )
    source = """@inproceedings{rippberger2026comparative,
  title={Comparative Analysis of Fashion Captioning for Multimodal Fashion Recommendation},
  author={Rippberger and Neidhardt},
  booktitle={CEUR Workshop Proceedings 4188}, year={2026}}"""

    def __init__(self, *, vocabulary: str, stanza: str = "en", **given: Any) -> None:
        self.vocabulary, self.stanza = Path(vocabulary), stanza
        super().__init__(**given)

    def measure(self) -> Measured:
        """Return the measure."""
        return Measured(self.vocabulary, self.stanza)
