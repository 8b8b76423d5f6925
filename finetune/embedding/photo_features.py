"""The features of the photos that have a caption, from Lookbook's cache or encoded now: for training and look-ups."""

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from finetune.data.feature_cache import FeatureStore
from finetune.data.feature_files import ABOUT, IDS, ROWS, About, Dtype
from finetune.data.feature_writer import FeatureWriter
from finetune.data.photos import Photo
from finetune.embedding.encoding import default_batch, encoded
from finetune.embedding.items import Source, StoredPhoto
from finetune.models.encoders.base import Encoder
from finetune.models.loading import default_device
from metrics.common.cache import cache_folder
from metrics.common.errors import UserError
from metrics.common.files import make_folder
from metrics.common.locks import alone
from metrics.common.screen import progress


def photo_features(
    splits: Iterable[Any], encoder: Encoder, dtype: Dtype = "float32", folder: Path | None = None
) -> FeatureStore:
    """A store with one row for each different photo of the splits (`Prepared.splits`), by its digest.

    It is in `folder` (default: in the cache), named by the hash of what the encoder is and of all photos' digests, so
    that runs share it, those on another split of the catalogue too. An interrupted one is continued, a damaged one made
    again. Raises `UserError` if it cannot be written.
    """
    photos = _photos(splits)
    source = hashlib.sha256("\n".join(sorted(photos)).encode()).hexdigest()
    about = replace(encoder.about(), source=source, items=len(photos))
    path = (folder or cache_folder("features")) / f"{features_digest(about)}-{dtype}"
    with alone(path, f"waiting for another process that uses {path}"):
        found = _whole(path) if path.exists() else None
        if found is None:
            make_folder(path.parent)
            _encode(photos, encoder, FeatureWriter(path, about, encoder.shape, dtype))
            found = FeatureStore.open(path).check()  # here, or each epoch's workers would compare the hashes anew
    return found


def features_digest(about: About) -> str:
    """A short hash of what features are."""
    return hashlib.sha256(json.dumps(about.to_json(), sort_keys=True).encode()).hexdigest()[:16]


def _photos(splits: Iterable[Any]) -> dict[str, Source]:
    """By its digest, the photo of the first item that has it."""
    photos: dict[str, Source] = {}
    for data in splits:
        stored = data.select_columns(["image"]).cast_column("image", Photo(decode=False))
        for row, digest in enumerate(data["photo_digest"][:]):
            photos.setdefault(digest, StoredPhoto(stored, row, digest))
    return photos


def _whole(path: Path) -> FeatureStore | None:
    """The store at `path`, every row of which is read once; None, and removed, if it is damaged."""
    try:
        return FeatureStore.open(path, "nothing is to be done").check()
    except UserError as error:
        print(f"note: {error}; here: these stored features are made again", file=sys.stderr)
    try:
        for name in (ABOUT, IDS, ROWS):
            (path / name).unlink(missing_ok=True)
        path.rmdir()
    except OSError as error:
        raise UserError(f"{path}: is damaged and cannot be removed: {error.strerror or error}; remove it") from error
    return None


def _encode(photos: Mapping[str, Source], encoder: Encoder, store: FeatureWriter) -> None:
    with store as writer:
        missing = {digest: photo for digest, photo in photos.items() if digest not in writer}
        with progress(None, f"encoding photos by {encoder.name}", total=len(missing), leave=False, unit="photo") as bar:
            for digests, rows in encoded(encoder, missing, default_batch(default_device())):
                writer.append(digests, rows)
                bar.update(len(digests))
        writer.finish()
