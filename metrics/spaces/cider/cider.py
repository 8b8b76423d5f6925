"""CIDEr-D as a module of `evaluate`."""

from metrics.measures.cider import Cider as Measured
from metrics.spaces.module import CaptionMetric


class Cider(CaptionMetric):
    """CIDEr-D."""

    about = (
        "CIDEr-D (sigma 6) of the COCO caption tools after PTB tokenisation: likeness of n-grams weighed by how "
        "rare they are among the references given."
    )
    source = """@inproceedings{vedantam2015cider,
  title={{CIDEr}: Consensus-based Image Description Evaluation},
  author={Vedantam, Ramakrishna and Zitnick, C. Lawrence and Parikh, Devi},
  booktitle={CVPR}, year={2015}}"""

    def measure(self) -> Measured:
        """Return the measure."""
        return Measured()
