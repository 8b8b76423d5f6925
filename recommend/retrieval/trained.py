"""A composer with its sides, made, saved and loaded, and the vectors of all photos. Imports PyTorch."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import set_seed

from finetune.data.feature_cache import FeatureStore
from finetune.data.feature_files import About
from finetune.data.feature_writer import FeatureWriter
from finetune.models.loading import default_device
from metrics.common.errors import UserError
from metrics.common.files import all_or_none, atomic_file, read_json_object, sha256, write_text
from metrics.common.screen import progress
from metrics.records.json_reader import JsonReader
from recommend.retrieval.composer import Composer
from recommend.retrieval.recipe import Recipe
from recommend.retrieval.run_folder import ComposedRun
from recommend.retrieval.sides import PhotoSide, Side, opened_photo_side, standardise, text_side
from recommend.retrieval.training import on_device

Vectors = NDArray[np.float32]
_BATCH = 64
_DAMAGED = "train again, with another output"


@dataclass(frozen=True)
class Trained:
    """A composer, and what its inputs are made by."""

    composer: Composer
    photo: PhotoSide
    text: Side

    @torch.inference_mode()
    def texts(self, texts: Sequence[str]) -> Vectors:
        """Vectors (n, d) of texts, as long as the model makes them."""
        self.composer.eval()
        batches = (texts[start : start + _BATCH] for start in range(0, len(texts), _BATCH))
        rows = [self.composer.texts(on_device(self.text.inputs(batch), self._device)) for batch in batches]
        return np.asarray(torch.cat(rows).float().cpu().numpy())

    @torch.inference_mode()
    def photo_file(self, path: Path) -> Vectors:
        """The vector (d,) of a photo in a file. Raises `UserError` if it cannot be read."""
        self.composer.eval()
        projected: Vectors = self._projected(self.photo.read([path]))[0]
        return projected

    @torch.inference_mode()
    def write_vectors(self, run: ComposedRun, ids: Sequence[str]) -> FeatureStore:
        """The store of the vectors of these photos, which is kept if it is there."""
        if not run.vectors.exists():
            self.composer.eval()
            about = About("composer", "photo", weights=sha256(run.weights)[:8], items=len(ids))
            width = (self.composer.photo_projection.out_features,)
            with FeatureWriter(run.vectors, about, width, "float32") as writer:
                missing = [key for key in ids if key not in writer]
                for start in progress(range(0, len(missing), _BATCH), "photos to vectors", leave=False):
                    batch = missing[start : start + _BATCH]
                    writer.append(batch, self._projected(self.photo.inputs(batch)))
                writer.finish()
        return FeatureStore.open(run.vectors, f"remove {run.vectors}, and run compose-train again")

    def _projected(self, inputs: Tensor) -> Vectors:
        return np.asarray(self.composer.photos(inputs.to(self._device)).float().cpu().numpy())

    @property
    def _device(self) -> torch.device:
        return self.composer.log_scale.device


def untrained(recipe: Recipe, photo: PhotoSide, text: Side, ids: Sequence[str]) -> Trained:
    """A composer that has learnt nothing but what the features of the photos `ids` are like."""
    set_seed(recipe.training.seed)
    composer = _composer(recipe, photo, text)
    composer.photo_mean[:], composer.photo_scale[:] = standardise(photo, ids)
    return Trained(composer, photo, text)


def save(trained: Trained, run: ComposedRun) -> None:
    """Write the weights and what the encoders are, both or none."""
    state = {name: tensor.contiguous().cpu() for name, tensor in trained.composer.state_dict().items()}
    about = {"photo": trained.photo.about.to_json(), "text": trained.text.about.to_json()}
    with all_or_none():
        with atomic_file(run.weights) as path:
            save_file(state, path)
        write_text(run.about, json.dumps(about, indent=1) + "\n")


def load(run: ComposedRun, recipe: Recipe, photos: Mapping[str, Path] | None = None) -> Trained:
    """The trained composer of a run, on this machine's accelerator; `photos` are files by id, for a tuned encoder.

    Raises `UserError` if files are missing or damaged, or the encoders are not those that it was trained with.
    """
    values = JsonReader(read_json_object(run.about, _DAMAGED), str(run.about), _DAMAGED)
    photo = opened_photo_side(recipe.photo, photos or {}, run.features)
    text = text_side(recipe.text, [], run.text, About.from_json(values.inside("text")))
    composer = _composer(recipe, photo, text)
    try:
        composer.load_state_dict(load_file(run.weights))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise UserError(f"{run.weights}: cannot be read as the recipe's model ({error!s:.200}); {_DAMAGED}") from error
    return Trained(composer, photo, text)


def _composer(recipe: Recipe, photo: Side, text: Side) -> Composer:
    widths = (photo.width, text.width)
    return Composer(widths, recipe.model, recipe.loss, photo.encoder, text.encoder).to(default_device())
