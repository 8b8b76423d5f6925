"""Photos and texts by a CLIP or SigLIP of transformers (FashionCLIP among them), into one space."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from finetune.data.feature_files import About
from finetune.models.encoders.base import Encoder, Reads
from metrics.encoders.load import load_dual_encoder


class DualTowers(Encoder):
    """Unit vectors, by the loader that CLIPScore uses."""

    reads: Reads = "both"

    def __init__(self, name: str, device: str) -> None:
        self.name = name
        self._encoder = load_dual_encoder(name, device)
        self.shape, self.side = (self._encoder.width,), self._encoder.side

    def about(self) -> About:
        """As every encoder, with its revision, weights and processor."""
        encoder = self._encoder
        return replace(super().about(), revision=encoder.revision, weights=encoder.weights, processor=encoder.processor)

    def too_long(self, texts: Sequence[str]) -> int:
        """How many of the texts it reads only the beginning of."""
        return self._encoder.too_long(texts)

    def pixels(self, photo: Image.Image) -> Any:
        """What the model takes of one photo."""
        return self._encoder.pixels(photo)

    def encode_pixels(self, pixels: Sequence[Any]) -> NDArray[np.float32]:
        """Unit vectors (n, d)."""
        return self._encoder.encode_pixels(pixels)

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors (n, d)."""
        return self._encoder.encode_texts(texts)
