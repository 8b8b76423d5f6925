"""BLEU-1 to BLEU-4 as a module of `evaluate`."""

from metrics.measures.bleu import Bleu as Measured
from metrics.spaces.module import CaptionMetric


class Bleu(CaptionMetric):
    """BLEU-1 to BLEU-4."""

    about = (
        "BLEU-1 to BLEU-4 of the COCO caption tools after PTB tokenisation: n-gram precision with a penalty for "
        "short captions."
    )
    source = """@inproceedings{papineni2002bleu,
  title={{BLEU}: a Method for Automatic Evaluation of Machine Translation},
  author={Papineni, Kishore and Roukos, Salim and Ward, Todd and Zhu, Wei-Jing},
  booktitle={ACL}, year={2002}}"""

    def measure(self) -> Measured:
        """Return the measure."""
        return Measured()
