"""Photos and texts as unit vectors of one space, by a CLIP or SigLIP of transformers. Imports torch."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from metrics.common.errors import UserError
from metrics.common.parallel import cores
from metrics.common.screen import progress
from metrics.encoders.pretrained import quiet, settings_digest, tokenizer_settings
from metrics.photos.reading import load_photo
from metrics.text.spelling import with_utf_8

Vectors = NDArray[np.float32]
_BATCH = 64
_PATIENCE = 2.0  # seconds before the bar appears


class DualEncoder:
    """A model that maps photos and texts to unit vectors of d numbers, whose products are cosines; `load` makes it.

    Attributes:
        source: its Hub id or folder.
        revision: the Hub's commit that it was loaded from, None of a folder.
        weights: hash of its weights as they were loaded, 8 hexadecimal digits.
        processor: hash of how photos and texts are prepared.
        dtype: the type it computes in.
        width: d.
        side: pixels of a side of a photo as it sees it.
        reads: the number of tokens of a text that it reads, special tokens included.
    """

    def __init__(
        self,
        source: str,
        revision: str | None,
        weights: str,
        model: Any,
        tokenizer: Any,
        photos: Any,
        fixed_length: bool,
    ) -> None:
        """Take the loaded parts; `fixed_length`: pad every text to what it `reads`, without a mask."""
        self.source, self.revision, self.weights = source, revision, weights
        self.processor = settings_digest(photos.to_json_string(), tokenizer_settings(tokenizer))
        self.dtype = str(model.dtype).removeprefix("torch.")
        config = model.config
        self.width = int(getattr(config, "projection_dim", config.vision_config.hidden_size))
        self.reads = min(int(config.text_config.max_position_embeddings), int(tokenizer.model_max_length))
        self.side = int(config.vision_config.image_size)
        self._model, self._tokenizer, self._photos = model, tokenizer, photos
        self._fixed_length = fixed_length

    def encode_photos(
        self, paths: Sequence[str | Path], title: str = "photos", owners: Sequence[str] | None = None
    ) -> Vectors:
        """Return the unit vector of each of n photos, files or `FILE.hdf5/ROW`, (n, d).

        Decoded photos are in memory one a core, their pixels as the model takes them one batch. `owners`, n, are what
        an error calls the photos by besides their files.

        Raises:
            UserError: naming owner and file, when a photo is missing or broken, and when a vector is not finite.
        """
        with ThreadPoolExecutor(cores()) as pool:

            def encode(places: Sequence[int]) -> torch.Tensor:
                owned = [f"{owners[place]}: " if owners else "" for place in places]
                inputs = list(pool.map(self._read, [paths[place] for place in places], owned))
                return self._features(self._model.get_image_features, _stacked(inputs))

            return self._in_batches(range(len(paths)), encode, title, "photo")

    def encode_texts(self, texts: Sequence[str], title: str = "texts") -> Vectors:
        """Return the unit vector of each of n texts, (n, d); of a longer one than it reads, that of its beginning.

        Raises:
            UserError: when a vector is not finite.
        """

        def encode(places: Sequence[int]) -> torch.Tensor:
            return self._features(self._model.get_text_features, self._tokens([texts[place] for place in places]))

        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        return self._in_batches(order, encode, title, "text")

    def pixels(self, photo: Image.Image) -> dict[str, torch.Tensor]:
        """Return what the model takes of one photo; threads may call this."""
        return dict(self._photos(images=photo, return_tensors="pt"))

    def encode_pixels(self, pixels: Sequence[dict[str, torch.Tensor]]) -> Vectors:
        """Return the unit vector of each of n photos, as `pixels` made them, (n, d)."""
        vectors: Vectors = self._features(self._model.get_image_features, _stacked(pixels)).numpy()
        return vectors

    def too_long(self, texts: Sequence[str]) -> int:
        """Return the number of texts of which it reads only the beginning."""
        if not texts:
            return 0
        with quiet():
            encoded = self._tokenizer([*map(with_utf_8, texts)], return_attention_mask=False)
        return sum(len(ids) > self.reads for ids in encoded["input_ids"])

    def _read(self, path: str | Path, owner: str) -> dict[str, torch.Tensor]:
        try:
            return self.pixels(load_photo(path))
        except UserError as error:
            raise UserError(f"{owner}{error}") from error

    def _tokens(self, texts: Sequence[str]) -> dict[str, torch.Tensor]:
        padding = "max_length" if self._fixed_length else "longest"
        return dict(
            self._tokenizer(
                [*map(with_utf_8, texts)],
                padding=padding,
                truncation=True,
                max_length=self.reads,
                return_attention_mask=not self._fixed_length,
                return_tensors="pt",
            )
        )

    @torch.inference_mode()
    def _features(self, encode: Callable[..., Any], inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        moved = {name: value.to(self._model.device) for name, value in inputs.items()}
        if "pixel_values" in moved:
            moved["pixel_values"] = moved["pixel_values"].to(self._model.dtype)
        features = encode(**moved)
        pooled = features if isinstance(features, torch.Tensor) else features.pooler_output
        return torch.nn.functional.normalize(pooled.float(), dim=-1).cpu()

    def _in_batches(
        self, order: Sequence[int], encode: Callable[[Sequence[int]], torch.Tensor], title: str, unit: str
    ) -> Vectors:
        vectors = np.empty((len(order), self.width), dtype=np.float32)
        with progress(None, title, total=len(order), unit=unit, delay=_PATIENCE, leave=False) as bar:
            for start in range(0, len(order), _BATCH):
                places = list(order[start : start + _BATCH])
                vectors[places] = encode(places).numpy()
                bar.update(len(places))
        if not np.isfinite(vectors).all():
            raise UserError(f"{self.source}: its vectors of {title} are not finite numbers; are its weights damaged?")
        return vectors


def _stacked(inputs: Sequence[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {name: torch.cat([one[name] for one in inputs]) for name in inputs[0]}
