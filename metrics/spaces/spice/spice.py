"""SPICE as a module of `evaluate`."""

from metrics.measures.spice.measure import Spice as Measured
from metrics.spaces.module import CaptionMetric


class Spice(CaptionMetric):
    """SPICE."""

    about = (
        "SPICE 1.0 by its official jar after PTB tokenisation: F1 over the objects, attributes and relations of "
        "scene graphs."
    )
    source = """@inproceedings{anderson2016spice,
  title={{SPICE}: Semantic Propositional Image Caption Evaluation},
  author={Anderson, Peter and Fernando, Basura and Johnson, Mark and Gould, Stephen},
  booktitle={ECCV}, year={2016}}"""

    def measure(self) -> Measured:
        """Return the measure."""
        return Measured()
