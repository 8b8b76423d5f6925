"""The features of a catalogue's photos, from Lookbook's cache or encoded now."""

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from finetune.config.catalogues import SPLITS
from finetune.data.feature_cache import FeatureStore
from finetune.data.feature_files import ABOUT, IDS, ROWS, About
from finetune.data.feature_writer import FeatureWriter
from finetune.data.photos import Photo
from finetune.data.preparation import Prepared
from finetune.embedding.encoding import encoded
from finetune.embedding.items import Source, StoredPhoto
from finetune.models.encoders.base import Encoder
from metrics.common.cache import cache_folder
from metrics.common.errors import UserError

_BATCH = 32


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


def _photos(prepared: Prepared) -> dict[str, Source]:
    """By its digest, the photo of the first item that has it."""
    photos: dict[str, Source] = {}
    for data in (prepared.splits[split] for split in SPLITS):
        stored = data.select_columns(["image"]).cast_column("image", Photo(decode=False))
        for row, digest in enumerate(data["photo_digest"][:]):
            photos.setdefault(digest, StoredPhoto(stored, row, digest))
    return photos


def _whole(path: Path) -> FeatureStore | None:
    """The store in the cache, every row of which is read; None, and removed, if it is damaged."""
    try:
        return FeatureStore.open(path, "it is not used").check()
    except UserError as error:
        print(f"note: {error}; these cached features are made again", file=sys.stderr)
    try:
        for name in (ABOUT, IDS, ROWS):
            (path / name).unlink(missing_ok=True)
        path.rmdir()
    except OSError as error:
        raise UserError(f"{path}: is damaged and cannot be removed: {error.strerror or error}; remove it") from error
    return None


def _encode(photos: Mapping[str, Source], encoder: Encoder, path: Path, about: About) -> None:
    with FeatureWriter(path, about, encoder.shape, "float32") as writer:
        missing = {digest: photo for digest, photo in photos.items() if digest not in writer}
        with tqdm(total=len(missing), desc=f"encoding photos by {encoder.name}", leave=False, unit="photo") as bar:
            for digests, rows in encoded(encoder, missing, _BATCH):
                writer.append(digests, rows)
                bar.update(len(digests))
        writer.finish()
