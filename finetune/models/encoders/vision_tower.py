"""The vision tower of a captioner as an encoder of photos."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

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
        self.name, self._captioner = f"vision tower of {base}", captioner
        example = self.pixels(Image.new("RGB", (8, 8)))
        self.side, self.shape = int(example.shape[-1]), self.encode_pixels([example]).shape[1:]

    def about(self) -> About:
        """Known by its weights alone: equal towers have equal features, of whatever model they are."""
        settings = self._captioner.processor.image_processor.to_json_string()
        return replace(
            super().about(),
            encoder="vision tower",
            weights=weights_digest(self._captioner.vision_tower.state_dict()),
            pooling="mean",
            processor=hashlib.sha256(settings.encode()).hexdigest()[:8],
        )

    def pixels(self, photo: Image.Image) -> torch.Tensor:
        """(3, side, side), as the captioner's processor makes them."""
        made = self._captioner.processor.image_processor(images=[photo], return_tensors="pt")
        pixels: torch.Tensor = made["pixel_values"][0]
        return pixels

    @torch.inference_mode()
    def encode_pixels(self, pixels: Sequence[torch.Tensor]) -> NDArray[np.float32]:
        """Rows (n, width) of n photos."""
        states = self._captioner.vision_states(torch.stack(list(pixels)))
        return np.asarray(states.float().mean(dim=1).cpu().numpy())
