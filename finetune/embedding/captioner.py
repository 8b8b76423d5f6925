"""Features of a fine-tuned captioner's own towers, its adapter on."""

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
from finetune.runs.captioning_system import CaptioningSystem, load_system
from metrics.common.errors import UserError
from metrics.common.files import sha256
from metrics.encoders.pretrained import settings_digest, weights_digest

POOLINGS = ("mean", "flat", "grid")
UNCHANGED = "its training changes nothing that these features come from: they equal the untuned model's"


class CaptionerEncoder(Encoder):
    """`queries`: a BLIP-2's Q-Former behind the ViT (32 x 768 a photo); `vision`: its ViT (257 x 1408), LLaVA's CLIP.

    Pooled to their `mean`, laid end to end (`flat`), or as they are (`grid`).
    """

    reads: Reads = "photo"

    def __init__(self, name: str, pooling: str | None = None, system: CaptioningSystem | None = None) -> None:
        """Load `MODEL:queries` or `MODEL:vision`, MODEL as `load_system` takes it, unless it is the `system` given.

        Raises `UserError` as `load_system` does.
        """
        self.name, self._pooling = name, pooling or "mean"
        source, _, self._features = name.rpartition(":")
        if self._pooling not in POOLINGS:
            raise UserError(f"--pooling {pooling}: expected {', '.join(POOLINGS[:-1])} or {POOLINGS[-1]} with {name}")
        self._system = system or load_system(source, None, None)
        self._captioner = self._system.captioner
        if self._features not in self._captioner.features:
            known = ", ".join(self._captioner.features) or "none"
            raise UserError(f"--encoder {name}: a {self._captioner.model_type} has no {self._features}; it has {known}")
        example = self.pixels(Image.new("RGB", (8, 8)))
        self.side, self.shape = int(example.shape[-1]), self.encode_pixels([example]).shape[1:]

    def about(self) -> About:
        """As every encoder, with the hashes of the weights that the features come from, adapter and processor."""
        state = self._captioner.bare_model.state_dict()
        settings = self._captioner.processor.image_processor.to_json_string()
        return replace(
            super().about(),
            pooling=self._pooling,
            revision=self._system.model.revision,
            weights=weights_digest({key: one for key, one in state.items() if key.startswith(self._modules)}),
            processor=settings_digest(settings),
            adapter=sha256(self._adapter / WEIGHTS)[:16] if self._adapter else None,
            note=UNCHANGED if self._is_unchanged() else None,
        )

    @property
    def _adapter(self) -> Path | None:
        return Path(self._system.adapter) if self._system.adapter else None

    @property
    def _modules(self) -> tuple[str, ...]:
        return self._captioner.features[self._features]

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
