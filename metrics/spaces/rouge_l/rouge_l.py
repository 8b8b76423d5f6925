"""ROUGE-L as a module of `evaluate`."""

from metrics.measures.rouge import RougeL as Measured
from metrics.spaces.module import CaptionMetric


class RougeL(CaptionMetric):
    """ROUGE-L."""

    about = (
        "ROUGE-L of the COCO caption tools after PTB tokenisation: F (beta 1.2) of the longest common subsequence "
        "of words."
    )
    source = """@inproceedings{lin2004rouge,
  title={{ROUGE}: A Package for Automatic Evaluation of Summaries},
  author={Lin, Chin-Yew},
  booktitle={Text Summarization Branches Out}, year={2004}}"""

    def measure(self) -> Measured:
        """Return the measure."""
        return Measured()
