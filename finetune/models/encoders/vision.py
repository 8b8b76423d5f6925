"""Photos by a vision model of transformers: ResNet, DINOv2, ViT and others that `AutoModel` loads."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoImageProcessor, AutoModel, ConvNextImageProcessorPil, ResNetConfig, ResNetModel

from finetune.data.feature_files import About
from finetune.models.encoders.base import STRETCHED, Encoder, Reads
from metrics.common.errors import UserError
from metrics.encoders.pretrained import loading, settings_digest, weights_digest
from metrics.encoders.safe_loading import load_model, load_part

RANDOM = "random-resnet50"
_POOLINGS = ("pooled", "grid")
_SMALLEST, _LARGEST = 32, 1024  # pixels of a side


class VisionEncoder(Encoder):
    """The model's pooled output, or its last hidden states: `grid`, (h, w, d) of a ResNet, (tokens, d) of a ViT.

    A ResNet takes photos of any `resolution` from 32 to 1,024; they are then stretched to squares, as Bhuptani and
    Patil's are to 240 x 240 (Image Based Recommendation System, section V.C), instead of what the model's own processor
    does.
    """

    reads: Reads = "photo"

    def __init__(
        self,
        name: str,
        model: Any,
        processor: Any,
        device: str,
        pooling: str,
        revision: str | None,
        resolution: int | None = None,
    ) -> None:
        if resolution is not None and model.config.model_type != "resnet":
            raise UserError(f"--resolution {resolution}: encoder {name} has one of its own; leave it out")
        if resolution is not None and not _SMALLEST <= resolution <= _LARGEST:
            raise UserError(f"--resolution {resolution}: expected {_SMALLEST} to {_LARGEST:,} with {name}")
        if pooling not in _POOLINGS:
            raise UserError(f"--pooling {pooling}: expected {' or '.join(_POOLINGS)} with {name}")
        self.name, self._pooling, self._revision = name, pooling, revision
        self._weights = weights_digest(model.state_dict())
        self._model = model.eval().to(device, memory_format=torch.channels_last)
        self._processor, self._stretched = processor, resolution
        example = self.pixels(Image.new("RGB", (8, 8)))
        self.side, self.shape = int(example.shape[-1]), self.encode_pixels([example]).shape[1:]

    @classmethod
    def load(
        cls, name: str, device: str, pooling: str, revision: str | None = None, resolution: int | None = None
    ) -> "VisionEncoder":
        """Load a Hub id or a folder from safetensors. Raises `UserError` if that is not possible."""
        with loading(name, "an encoder of photos", "a Hub id, or a folder with config.json and *.safetensors"):
            processor = load_part(AutoImageProcessor, name, revision, backend="pil")
            model, missing = load_model(AutoModel, name, revision, dtype=torch.float32)
            if missing:
                raise ValueError(f"the weights lack {len(missing)} tensors of the encoder, for example {missing[0]}")
            commit = getattr(model.config, "_commit_hash", None)
            return cls(name, model, processor, device, pooling, commit, resolution)  # encodes a photo

    @classmethod
    def random(cls, device: str, pooling: str, resolution: int | None = None) -> "VisionEncoder":
        """A ResNet-50 that has learnt nothing: what the architecture alone sees. The same weights every time."""
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = ResNetModel(ResNetConfig())
        processor = ConvNextImageProcessorPil(size={"shortest_edge": 224})
        return cls(RANDOM, model, processor, device, pooling, None, resolution)

    def about(self) -> About:
        """As every encoder, with its pooling, revision, weights and processor."""
        settings = settings_digest(self._processor.to_json_string())
        return replace(
            super().about(),
            pooling=self._pooling,
            revision=self._revision,
            weights=self._weights,
            processor=f"{STRETCHED} {settings}" if self._stretched else settings,
        )

    def pixels(self, photo: Image.Image) -> torch.Tensor:
        """(3, side, side)."""
        kept = {}
        if self._stretched:
            photo = photo.resize((self._stretched, self._stretched), Image.Resampling.BICUBIC)
            kept = {"do_resize": False, "do_center_crop": False}
        pixels: torch.Tensor = self._processor(images=photo, return_tensors="pt", **kept)["pixel_values"][0]
        return pixels

    @torch.inference_mode()
    def encode_pixels(self, pixels: Sequence[torch.Tensor]) -> NDArray[np.float32]:
        """Rows (n, *shape)."""
        batch = torch.stack(list(pixels)).to(self._model.device, memory_format=torch.channels_last)
        output = self._model(pixel_values=batch)
        if self._pooling == "pooled":
            rows = output.pooler_output.flatten(1)
        else:
            states = output.last_hidden_state
            rows = states.permute(0, 2, 3, 1) if states.dim() == 4 else states
        return np.ascontiguousarray(rows.float().cpu().numpy())
