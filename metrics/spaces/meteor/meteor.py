"""METEOR as a module of `evaluate`."""

from metrics.measures.meteor.measure import Meteor as Measured
from metrics.spaces.module import CaptionMetric


class Meteor(CaptionMetric):
    """METEOR."""

    about = (
        "METEOR 1.5 of the COCO caption tools after PTB tokenisation: words aligned exactly, by stem, synonym or "
        "paraphrase."
    )
    source = """@inproceedings{denkowski2014meteor,
  title={Meteor Universal: Language Specific Translation Evaluation for Any Target Language},
  author={Denkowski, Michael and Lavie, Alon},
  booktitle={WMT}, year={2014}}"""

    def measure(self) -> Measured:
        """Return the measure."""
        return Measured()
