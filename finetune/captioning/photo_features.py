"""The features of a catalogue's photos, from Lookbook's cache or encoded now."""

import hashlib
import json
import shutil
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from finetune.config.catalogues import SPLITS
from finetune.data.feature_cache import FeatureStore
from finetune.data.feature_files import About
from finetune.data.feature_writer import FeatureWriter
from finetune.data.preparation import Prepared
from finetune.models.encoders.base import Encoder
from metrics.common.cache import cache_folder
from metrics.common.errors import UserError
from metrics.common.images import to_rgb

_BATCH = 32
Photos = Mapping[str, tuple[Any, int]]


def photo_features(prepared: Prepared, encoder: Encoder) -> FeatureStore:
    """A store with one row for each different photo that has a caption, by its digest, as float32.

    It is in the cache under the hash of what the encoder is and of all photos' digests, so that runs share it, those on
    another split of the catalogue too. An interrupted one is continued.
    """
    photos = _photos(prepared)
    source = hashlib.sha256("\n".join(sorted(photos)).encode()).hexdigest()
    about = replace(encoder.about(), source=source, items=len(photos))
    path = cache_folder("features", features_digest(about))
    found = _whole(path) if path.exists() else None
    if found is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        _encode(photos, encoder, path, about)
        found = FeatureStore.open(path)
    return found


def features_digest(about: About) -> str:
    """A short hash of what features are."""
    return hashlib.sha256(json.dumps(about.to_json(), sort_keys=True).encode()).hexdigest()[:16]


def _photos(prepared: Prepared) -> dict[str, tuple[Any, int]]:
    """By its digest, where each photo is: the data set and the row of the first item that has it."""
    photos: dict[str, tuple[Any, int]] = {}
    for data in (prepared.splits[split] for split in SPLITS):
        for row, digest in enumerate(data["photo_digest"][:]):
            photos.setdefault(digest, (data, row))
    return photos


def _whole(path: Path) -> FeatureStore | None:
    """The store in the cache; None, and removed, if it is damaged."""
    try:
        return FeatureStore.open(path)
    except UserError as error:
        print(f"note: {error}; these cached features are made again", file=sys.stderr)
        shutil.rmtree(path)
        return None


def _encode(photos: Photos, encoder: Encoder, path: Path, about: About) -> None:
    def pixels(photo: tuple[Any, int]) -> Any:
        data, row = photo
        return encoder.pixels(to_rgb(data[row]["image"]))

    with FeatureWriter(path, about, encoder.shape, "float32") as writer, ThreadPoolExecutor() as pool:
        done = set(writer.ids)
        missing = [digest for digest in photos if digest not in done]
        with tqdm(total=len(missing), desc=f"encoding photos by {encoder.name}", unit="photo") as bar:
            for start in range(0, len(missing), _BATCH):
                batch = missing[start : start + _BATCH]
                read = list(pool.map(pixels, [photos[digest] for digest in batch]))
                writer.append(batch, encoder.encode_pixels(read))
                bar.update(len(batch))
        writer.finish()
