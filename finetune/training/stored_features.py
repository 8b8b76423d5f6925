"""What a frozen photo encoder makes of the photos, computed once: an epoch of training then takes seconds."""

import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from finetune.data.feature_cache import FeatureStore
from finetune.data.feature_files import About
from finetune.data.preparation import Prepared
from finetune.embedding.captioner import TowerEncoder
from finetune.embedding.photo_features import photo_features
from finetune.models.families.base import Captioner
from metrics.common.cache import cache_folder
from metrics.common.files import check_folder
from metrics.common.screen import say


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


class _Tokens(TowerEncoder):
    """A tower's tokens, how many being part of what they are: a prefix captioner's grid decides it, no weight does."""

    def about(self) -> About:
        """As of any tower, with the shape of a row."""
        return replace(super().about(), pooling=f"grid {' x '.join(map(str, self.shape))}")


def store_features(captioner: Captioner, splits: Sequence[Any], folder: Path | None = None) -> FeatureStore:
    """The captioner's `stored_features` of the splits' photos, as `photo_features` keeps them.

    Photos are decoded as for captions, not at a fraction of their size.
    """
    captioner.model.eval()
    vision = captioner.model.config.vision_config
    encoder = _Tokens(vision.model_type, captioner, str(captioner.stored_features), "grid")
    encoder.side = None
    return photo_features(splits, encoder, "float16", folder)


def photos_to_store(prepared: Prepared) -> int:
    """How many different photos training and validation have."""
    return len({digest for split in ("train", "validation") for digest in prepared.splits[split]["photo_digest"][:]})


def show_disk(a_photo: int, prepared: Prepared) -> None:
    """Print what stored features of `a_photo` bytes take on the cache's disk, and a warning if it has less."""
    if not a_photo:
        return
    photos, folder = photos_to_store(prepared), cache_folder("features")
    needed = a_photo * photos
    say(f"features of {photos:,} photos, stored once: {a_photo / 1e3:.1f} kB each, {needed / 1e9:.2f} GB in {folder}")
    free = shutil.disk_usage(check_folder(folder, "choose another cache by the variable LOOKBOOK_CACHE")).free
    if free < needed:
        print(
            f"WARNING: {folder}: {free / 1e9:.2f} GB free on its disk; unless they are stored already, free some",
            file=sys.stderr,
        )
