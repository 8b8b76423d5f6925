"""A made-up catalogue of any number of photos, of which only the first batch is encoded."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from finetune.embedding.items import StoredPhoto
from finetune.models.encoders.base import Encoder, Reads
from finetune.models.encoders.efficientnet import EfficientNetLite0


@dataclass(frozen=True)
class RepeatedPhoto(StoredPhoto):
    """A photo that is in no file."""

    def read(self, key: str, side: int | None) -> Any:
        """Nothing: `Repeating` has the pixels."""


class Repeating(Encoder):
    """EfficientNet-Lite0, whose rows of the first batch are those of every other."""

    name = "repeated efficientnet-lite0"
    reads: Reads = "photo"

    def __init__(self) -> None:
        self._encoder = EfficientNetLite0("cpu")
        self.side, self.shape = self._encoder.side, self._encoder.shape
        self._pixels = self._encoder.pixels(Image.new("RGB", (360, 540), "grey"))
        self._rows: NDArray[np.float32] | None = None

    def pixels(self, photo: Image.Image) -> Any:
        """The same of every photo."""
        return self._pixels

    def encode_pixels(self, pixels: Sequence[Any]) -> NDArray[np.float32]:
        """Rows (n, 1280), n at most that of the first batch."""
        if self._rows is None:
            self._rows = self._encoder.encode_pixels(pixels)
        return self._rows[: len(pixels)]
