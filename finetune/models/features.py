"""What a frozen photo encoder makes of a catalogue's photos, computed once: an epoch then takes seconds."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from tqdm import tqdm

from finetune.data.feature_cache import FeatureStore
from finetune.data.feature_files import About
from finetune.data.feature_writer import FeatureWriter
from finetune.models.adapters import PEFT_PREFIX
from finetune.models.families.base import Captioner
from metrics.common.errors import UserError
from metrics.common.files import make_folder
from metrics.common.images import to_rgb

BATCH = 32


class FeatureRows:
    """A split's rows with `features` in the place of `image`, which `Captioner.encode` takes as it takes photos."""

    def __init__(self, split: Any, store: FeatureStore) -> None:
        self.rows, self.store = split.remove_columns("image"), store
        self.places = store.places(split["photo_digest"][:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> dict[str, Any]:
        features = self.store.rows([self.places[row]])[0]
        return {**self.rows[row], "features": torch.from_numpy(features)}


def stored_features(captioner: Captioner, splits: Sequence[Any], folder: Path) -> FeatureStore:
    """The features of the splits' photos, a row for each `photo_digest`, in a folder of `folder`.

    It is named by the encoder, by how photos are prepared and by the photos; one that is there is only read, an
    unfinished one is continued. Raises `UserError` if it is damaged or cannot be written.
    """
    photos = {digest: (split, row) for split in splits for row, digest in enumerate(split["photo_digest"][:])}
    about = _about(captioner, sorted(photos))
    path = folder / _digest(about.to_json())[:16]
    if not path.exists():
        make_folder(folder)
        _write(captioner, photos, about, path)
    try:
        return FeatureStore.open(path)
    except UserError as error:
        raise UserError(f"{error}; here: remove {path}, and start again") from error


def _write(captioner: Captioner, photos: dict[str, tuple[Any, int]], about: About, path: Path) -> None:
    captioner.model.eval()
    shape = tuple(captioner.frozen_features([Image.new("RGB", (8, 8))]).shape[1:])
    with FeatureWriter(path, about, shape) as writer:
        missing = sorted(photos.keys() - set(writer.ids))
        with tqdm(total=len(missing), desc="features of photos", unit="photo") as bar:
            for start in range(0, len(missing), BATCH):
                digests = missing[start : start + BATCH]
                images = [to_rgb(split[row]["image"]) for split, row in map(photos.__getitem__, digests)]
                writer.append(digests, captioner.frozen_features(images).cpu().numpy())
                bar.update(len(digests))
        writer.finish()


def _about(captioner: Captioner, digests: Sequence[str]) -> About:
    vision = captioner.model.config.vision_config
    return About(
        encoder=str(vision.model_type),
        reads="photo",
        weights=_weights(captioner),
        pooling=str(captioner.pooling),
        resolution=vision.image_size,
        processor=_digest(captioner.processor.image_processor.to_json_string()),
        source=_digest(digests),
        items=len(digests),
    )


def _weights(captioner: Captioner) -> str:
    """Hash of the encoder's weights and statistics, and of the type that they are in."""
    digest = hashlib.sha256()
    for name, weight in captioner.model.state_dict().items():
        if captioner.tower_of(name.removeprefix(PEFT_PREFIX)) == "vision":
            digest.update(f"{name} {weight.dtype}".encode())
            digest.update(weight.float().cpu().numpy().tobytes())
    return digest.hexdigest()


def _digest(state: Any) -> str:
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()
