"""The contract of an encoder: photos or texts to rows of numbers. Importing it does not import PyTorch."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from finetune.data.feature_files import About
from metrics.common.errors import UserError

Reads = Literal["photo", "text", "both"]
STRETCHED = "stretched"  # begins what is recorded of an image processor whose resolution was chosen
LEARNT = "vocabulary.json"  # in a store: what its encoder has learnt of its texts


class Encoder:
    """Maps photos, texts, or both into one space, to rows of `shape`. The same input gives the same row in any batch.

    A subclass has `pixels` and `encode_pixels`, or `encode_texts`, or all of them, as `reads` says.

    Attributes:
        name: by which `load_encoder` loads it again.
        reads: what it encodes.
        shape: of one row.
        side: pixels of a side as it sees a photo; a JPEG may be decoded at a fraction that leaves both sides as long.
    """

    name: str
    reads: Reads
    shape: tuple[int, ...]
    side: int | None = None

    def about(self) -> About:
        """What its rows are, as far as the encoder decides that."""
        return About(encoder=self.name, reads=self.reads, resolution=self.side)

    def fit(self, texts: Iterable[str]) -> None:
        """Learn what it needs of all texts before the first is encoded; most encoders need nothing."""

    def save(self, folder: Path) -> None:
        """Write what it has learnt of the texts into a store's folder, as `LEARNT`; most encoders write nothing."""

    def restore(self, folder: Path) -> None:
        """Read what `save` wrote. Raises `UserError` if it is missing or damaged."""

    def too_long(self, texts: Sequence[str]) -> int:
        """How many of the texts it reads only the beginning of."""
        return 0

    def without_row(self, texts: Sequence[str]) -> list[int]:
        """The places of texts in which it knows nothing, so that their rows would be zeros; most encoders have none."""
        return []

    def pixels(self, photo: Image.Image) -> Any:
        """What it takes of one RGB photo; threads may call this. Raises `UserError` if it reads texts alone."""
        raise UserError(f"encoder {self.name} reads {self.reads}s; name an encoder of photos")

    def encode_pixels(self, pixels: Sequence[Any]) -> NDArray[np.float32]:
        """Rows (n, *shape) of what `pixels` made of n photos."""
        raise NotImplementedError

    def encode_photos(self, photos: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Rows (n, *shape) of n RGB photos. Raises `UserError` if it reads texts alone."""
        return self.encode_pixels([self.pixels(photo) for photo in photos])

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Rows (n, *shape) of n texts. Raises `UserError` if it reads photos alone."""
        raise UserError(f"encoder {self.name} reads {self.reads}s; name an encoder of texts")
