"""The two sides of the model: what ids of photos and texts become before the projection. Imports PyTorch.

A frozen encoder's features are stored or computed once; a tuned encoder reads pixels or tokens in every batch.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from finetune.data.feature_cache import FeatureStore
from finetune.data.feature_files import About
from finetune.embedding.embed import about_of, embed
from finetune.embedding.items import PhotoFile, Source, Work
from finetune.embedding.named import named_encoder
from finetune.models.encoders import KNOWN
from finetune.models.encoders.base import Encoder
from metrics.common.errors import UserError
from metrics.photos.reading import load_photo
from recommend.retrieval.recipe import PhotoEncoder, TextEncoder
from recommend.retrieval.tuned import TunedPhotos, TunedTexts

_TEXTS = 256  # encoded at once


@dataclass(frozen=True)
class Side:
    """One side.

    Attributes:
        width: of its features.
        about: what its encoder is; of a tuned one, from what it began.
        inputs: of ids of photos or of texts, what the model's `photos` or `texts` takes.
        encoder: the module to tune, None if the inputs are features.
    """

    width: int
    about: About
    inputs: Callable[[Sequence[str]], Any]
    encoder: nn.Module | None = None


@dataclass(frozen=True, kw_only=True)
class PhotoSide(Side):
    """The side of photos; `read`: the inputs of photos in files."""

    read: Callable[[Sequence[Path]], Any]


def photo_side(section: PhotoEncoder, photos: Mapping[str, Path], store: Path) -> PhotoSide:
    """The side of `photos`, files by id; features by a frozen encoder are in the folder `store`, or are written there.

    Raises `UserError` if the encoder reads no photos, cannot be loaded, or a photo is broken.
    """
    if section.tune:
        tuned = TunedPhotos(KNOWN.get(section.encoder, section.encoder), photos)
        return PhotoSide(tuned.width, About(tuned.name, "photo"), tuned.inputs, tuned, read=tuned.read)
    encoder = named_encoder(section.encoder, section.resolution)
    if encoder.reads == "text":
        raise UserError(f"photo.encoder: {section.encoder} reads texts; name an encoder of photos")
    sources: dict[str, Source] = {key: PhotoFile(path) for key, path in photos.items()}
    work = Work(sources)
    features = embed(encoder, work, about_of(encoder, work, "FashionIQ", None, None), store, dtype="float32")
    return PhotoSide(_width(features), features.about, _Stored(features), read=_reader(encoder))


def opened_photo_side(section: PhotoEncoder, photos: Mapping[str, Path], store: Path) -> PhotoSide:
    """The same of a trained model; the store of a frozen encoder must be there, and is only read.

    Raises `UserError` if it is damaged, or the encoder is another than the model was trained with.
    """
    if section.tune:
        return photo_side(section, photos, store)
    features = FeatureStore.open(store, "remove the folder of the run, and train again")
    encoder = named_encoder(section.encoder, section.resolution)
    _refuse_changed(encoder, features.about, "photo.encoder")
    return PhotoSide(_width(features), features.about, _Stored(features), read=_reader(encoder))


def text_side(section: TextEncoder, texts: Sequence[str], folder: Path, about: About | None = None) -> Side:
    """The side of texts; what the encoder learns of the `texts` of training is written into `folder`.

    With `about`, that of a trained model, it is read from there. Raises `UserError` if the encoder reads no texts,
    cannot be loaded, or is another than the model was trained with.
    """
    if section.tune:
        tuned = TunedTexts(KNOWN.get(section.encoder, section.encoder))
        return Side(tuned.width, About(tuned.name, "text"), tuned.inputs, tuned)
    encoder = named_encoder(section.encoder)
    if encoder.reads == "photo":
        raise UserError(f"text.encoder: {section.encoder} reads photos; name an encoder of texts")
    if about is not None:
        encoder.restore(folder)
        _refuse_changed(encoder, about, "text.encoder")
    else:
        encoder.fit(texts)
        encoder.save(folder)
    return Side(encoder.shape[0], encoder.about(), _Encoded(encoder))


def standardise(side: Side, ids: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (width,) of the features of these photos; 0 and 1 of a side that is tuned."""
    if side.encoder is not None:
        return torch.zeros(side.width), torch.ones(side.width)
    total, squares = np.zeros(side.width), np.zeros(side.width)
    for start in range(0, len(ids), _TEXTS):
        rows = side.inputs(ids[start : start + _TEXTS]).numpy().astype(np.float64)
        total += rows.sum(axis=0)
        squares += (rows**2).sum(axis=0)
    mean = total / len(ids)
    scale = np.sqrt(np.maximum(squares / len(ids) - mean**2, 0))
    scale = np.maximum(scale, 1e-3 * max(float(scale.max()), 1e-6))  # a number that never varies says nothing
    return torch.from_numpy(mean).float(), torch.from_numpy(scale).float()


class _Stored:
    """Features of photos by id."""

    def __init__(self, store: FeatureStore) -> None:
        self.store = store

    def __call__(self, ids: Sequence[str]) -> Tensor:
        return torch.from_numpy(self.store.rows(self.store.places(ids)))


class _Encoded:
    """Features of texts, each text encoded once."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self.known: dict[str, NDArray[np.float32]] = {}

    def __call__(self, texts: Sequence[str]) -> Tensor:
        missing = sorted({text for text in texts if text not in self.known})
        for start in range(0, len(missing), _TEXTS):
            batch = missing[start : start + _TEXTS]
            self.known.update(zip(batch, self.encoder.encode_texts(batch), strict=True))
        return torch.from_numpy(np.stack([self.known[text] for text in texts]))


def _reader(encoder: Encoder) -> Callable[[Sequence[Path]], Tensor]:
    return lambda paths: torch.from_numpy(encoder.encode_photos([load_photo(path) for path in paths]))


def _width(features: FeatureStore) -> int:
    if len(features.shape) != 1:
        raise UserError(f"{features.path}: expected a vector a photo, found rows of shape {features.shape}")
    return features.shape[0]


def _refuse_changed(encoder: Encoder, about: About, key: str) -> None:
    if encoder.about().weights != about.weights:
        raise UserError(f"{key}: the weights of {encoder.name} have changed since the model was trained; train again")
