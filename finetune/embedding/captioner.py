"""Features of a captioner's own towers, its adapter on."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from finetune.data.feature_files import About
from finetune.models.adapter_files import WEIGHTS, tuned_parameters
from finetune.models.encoders.base import Encoder, Reads
from finetune.models.families.base import Captioner
from finetune.runs.captioning_system import CaptioningSystem, load_system
from metrics.common.errors import UserError
from metrics.common.files import sha256
from metrics.encoders.pretrained import settings_digest, weights_digest

POOLINGS = ("mean", "flat", "grid")
UNCHANGED = "its training changes nothing that these features come from: they equal the untuned model's"


class TowerEncoder(Encoder):
    """One of a captioner's `features` of photos: pooled to their `mean`, laid end to end (`flat`), or a `grid`."""

    reads: Reads = "photo"

    def __init__(self, name: str, captioner: Captioner, features: str, pooling: str) -> None:
        """`features`: a name of `captioner.features`."""
        self.name, self._captioner, self._features, self._pooling = name, captioner, features, pooling
        example = self.pixels(Image.new("RGB", (8, 8)))
        self.side, self.shape = int(example.shape[-1]), self.encode_pixels([example]).shape[1:]

    def about(self) -> About:
        """As every encoder, with the hashes of the weights that the features come from and of the image processor."""
        state = self._captioner.bare_model.state_dict()
        return replace(
            super().about(),
            pooling=self._pooling,
            weights=weights_digest({key: one for key, one in state.items() if key.startswith(self._modules)}),
            processor=settings_digest(self._captioner.processor.image_processor.to_json_string()),
        )

    @property
    def _modules(self) -> tuple[str, ...]:
        return self._captioner.features[self._features]

    def pixels(self, photo: Image.Image) -> torch.Tensor:
        """What the model's own image processor makes of a photo."""
        inputs = self._captioner.processor.image_processor(images=[photo], return_tensors="pt")
        pixels: torch.Tensor = inputs["pixel_values"][0]
        return pixels

    @torch.inference_mode()
    def encode_pixels(self, pixels: Sequence[torch.Tensor]) -> NDArray[np.float32]:
        """Rows (n, d), (n, tokens * d) or (n, tokens, d)."""
        batch = torch.stack(list(pixels)).to(self._captioner.bare_model.device)
        tokens = self._captioner.photo_features(self._features, batch).float()
        rows = {"mean": tokens.mean(1), "flat": tokens.flatten(1), "grid": tokens}[self._pooling]
        return np.asarray(rows.cpu().numpy())


class CaptionerEncoder(TowerEncoder):
    """`queries`: a BLIP-2's Q-Former behind the ViT (32 x 768 a photo); `vision`: its ViT (257 x 1408), LLaVA's CLIP.

    Of a run or a base model, as `lookbook embed` names them.
    """

    def __init__(self, name: str, pooling: str | None = None, system: CaptioningSystem | None = None) -> None:
        """Load `MODEL:queries` or `MODEL:vision`, MODEL as `load_system` takes it, unless it is the `system` given.

        Raises `UserError` as `load_system` does.
        """
        source, _, features = name.rpartition(":")
        if pooling and pooling not in POOLINGS:
            raise UserError(f"--pooling {pooling}: expected {', '.join(POOLINGS[:-1])} or {POOLINGS[-1]} with {name}")
        self._system = system or load_system(source, None, None)
        captioner = self._system.captioner
        if features not in captioner.features:
            known = ", ".join(captioner.features) or "none"
            raise UserError(f"--encoder {name}: a {captioner.model_type} has no {features}; it has {known}")
        super().__init__(name, captioner, features, pooling or "mean")

    def about(self) -> About:
        """As of any tower, with the base's revision and the hash of the adapter."""
        return replace(
            super().about(),
            revision=self._system.model.revision,
            adapter=sha256(self._adapter / WEIGHTS)[:16] if self._adapter else None,
            note=UNCHANGED if self._is_unchanged() else None,
        )

    @property
    def _adapter(self) -> Path | None:
        return Path(self._system.adapter) if self._system.adapter else None

    def _is_unchanged(self) -> bool:
        """Whether a training, whose adapter or tuned towers we know, left alone what the features come from."""
        if self._adapter:
            return not any(name.startswith(self._modules) for name in tuned_parameters(self._adapter))
        if self._system.training is None:
            return False
        tuned = self._system.training.recipe.get("tune", {})
        prefixes = self._captioner.towers
        reached = [one for tower, how in tuned.items() if how != "frozen" for one in prefixes[tower]]
        return not set(reached) & set(self._modules)
