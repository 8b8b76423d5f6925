"""CLIPScore as a module of `evaluate`: `evaluate.load(path, images=FOLDER)`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from metrics.measures.clip_score import PUBLISHED
from metrics.measures.clip_score import ClipScore as Measured
from metrics.records.captions import CaptionRecord
from metrics.spaces.module import TEXT, CaptionMetric


class ClipScore(CaptionMetric):
    """CLIPScore by the CLIP or SigLIP `clip`, of captions of the photos in the folder `images`."""

    about = (
        "2.5 times the cosine of caption and photo in the space of CLIP, 0 if it is negative; no reference is needed."
    )
    source = """@inproceedings{hessel2021clipscore,
  title={{CLIPScore}: A Reference-free Evaluation Metric for Image Captioning},
  author={Hessel, Jack and Holtzman, Ari and Forbes, Maxwell and Le Bras, Ronan and Choi, Yejin},
  booktitle={EMNLP}, year={2021}}"""
    inputs = "predictions: the caption of each item.\nreferences: the photo of each item, relative to the folder.\n"
    forms = (TEXT,)
    clusters = ("photo",)

    def __init__(self, *, images: str, clip: str = PUBLISHED, **given: Any) -> None:
        self.images, self.clip = Path(images), clip
        super().__init__(**given)

    def measure(self) -> Measured:
        """Return the measure."""
        return Measured(self.clip, self.images, references=False)

    def record(self, item: int, caption: str, reference: str | Sequence[str]) -> CaptionRecord:
        """Return an item of the photo `reference`."""
        return CaptionRecord(str(item), caption, image=str(reference))
