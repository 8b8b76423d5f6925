"""What a frozen photo encoder makes of a catalogue's photos, computed once: an epoch then takes seconds."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from finetune.data.feature_cache import FeatureStore
from finetune.data.feature_files import About
from finetune.data.feature_writer import FeatureWriter
from finetune.models.families.base import Captioner
from metrics.common.files import make_folder
from metrics.common.images import to_rgb
from metrics.encoders.pretrained import weights_digest

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


def store_features(captioner: Captioner, splits: Sequence[Any], folder: Path) -> FeatureStore:
    """The captioner's `stored_features` of the splits' photos, a row for each `photo_digest`, in a folder of `folder`.

    It is named by the encoder, by how photos are prepared and by the photos; one that is there is only read, an
    unfinished one is continued. Raises `UserError` if it is damaged or cannot be written.
    """
    photos = {digest: (split, row) for split in splits for row, digest in enumerate(split["photo_digest"][:])}
    captioner.model.eval()
    shape = _features(captioner, [Image.new("RGB", (8, 8))]).shape[1:]
    about = _about(captioner, shape, sorted(photos))
    path = folder / _digest(repr(about))
    if not path.exists():
        make_folder(folder)
        _write(captioner, photos, FeatureWriter(path, about, shape))
    return FeatureStore.open(path, f"remove {path}, and start again: it is made anew").check()


def _write(captioner: Captioner, photos: Mapping[str, tuple[Any, int]], store: FeatureWriter) -> None:
    with store as writer:
        missing = sorted(photos.keys() - set(writer.ids))
        with tqdm(total=len(missing), desc="features of photos", unit="photo") as bar:
            for start in range(0, len(missing), BATCH):
                digests = missing[start : start + BATCH]
                images = [to_rgb(split[row]["image"]) for split, row in map(photos.__getitem__, digests)]
                writer.append(digests, _features(captioner, images))
                bar.update(len(digests))
        writer.finish()


@torch.no_grad()
def _features(captioner: Captioner, images: Sequence[Image.Image]) -> NDArray[np.float32]:
    pixels = captioner.processor.image_processor(images=list(images), return_tensors="pt")["pixel_values"]
    pixels = pixels.to(captioner.model.device, captioner.model.dtype)
    features = captioner.photo_features(str(captioner.stored_features), pixels)
    return np.asarray(features.float().cpu().numpy())


def _about(captioner: Captioner, shape: tuple[int, ...], digests: Sequence[str]) -> About:
    vision, modules = captioner.model.config.vision_config, captioner.features[str(captioner.stored_features)]
    state = captioner.bare_model.state_dict()
    return About(
        encoder=str(vision.model_type),
        reads="photo",
        weights=weights_digest({name: weight for name, weight in state.items() if name.startswith(modules)}),
        pooling=" x ".join(map(str, shape)),
        resolution=vision.image_size,
        processor=_digest(captioner.processor.image_processor.to_json_string()),
        source=_digest("\n".join(digests)),
        items=len(digests),
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
