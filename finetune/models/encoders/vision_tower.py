"""The vision tower of a captioner as an encoder of photos."""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from finetune.data.feature_files import About
from finetune.models.encoders.base import Encoder, Reads
from finetune.models.families.base import Captioner
from metrics.encoders.pretrained import weights_digest


class VisionTower(Encoder):
    """The mean of the tower's last hidden states, class token included: (width,) a photo.

    It belongs to a captioner that is loaded already, adapters included if some are on; `load_encoder` does not know it.
    """

    reads: Reads = "photo"

    def __init__(self, captioner: Captioner, base: str) -> None:
        self.name = f"vision tower of {base}"
        self._captioner = captioner
        self.shape = self.encode_photos([Image.new("RGB", (8, 8))]).shape[1:]

    def about(self) -> About:
        """Known by its weights alone: equal towers have equal features, of whatever model they are."""
        settings = self._captioner.processor.image_processor.to_json_string()
        processor = hashlib.sha256(settings.encode()).hexdigest()[:8]
        weights = weights_digest(self._captioner.vision_tower)
        return About("vision tower", self.reads, weights=weights, pooling="mean", processor=processor)

    def pixels(self, photo: Image.Image) -> Image.Image:
        """The photo: the captioner prepares whole batches."""
        return photo

    def encode_pixels(self, pixels: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Rows (n, width) of n photos."""
        with torch.inference_mode():
            states = self._captioner.vision_states(pixels).float().mean(dim=1)
        return np.asarray(states.cpu().numpy(), dtype=np.float32)
