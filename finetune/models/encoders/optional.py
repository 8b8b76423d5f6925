"""Photos by timm or open_clip, which need torchvision; Marqo's FashionSigLIP loads only by open_clip."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from finetune.data.feature_files import About
from finetune.models.encoders.base import Encoder, Reads
from metrics.encoders.pretrained import loading, settings_digest, weights_digest

_OPEN_CLIP = (
    "open_clip: and a Hub id such as Marqo/marqo-fashionSigLIP, or ARCHITECTURE/PRETRAINED such as "
    "ViT-B-32/laion2b_s34b_b79k"
)


class TimmEncoder(Encoder):
    """`timm:NAME`: the pooled features of any pretrained model of timm."""

    reads: Reads = "photo"

    def __init__(self, name: str, device: str) -> None:
        import timm  # noqa: PLC0415

        self.name, self._device = name, device
        with loading(name, "a model of timm", "timm: and a name that timm.list_pretrained() has"):
            model = timm.create_model(name.removeprefix("timm:"), pretrained=True, num_classes=0)
        self._model = model.eval().to(device, memory_format=torch.channels_last)
        config = timm.data.resolve_model_data_config(model)
        self._processor = settings_digest(json.dumps(config, sort_keys=True, default=str))
        self.side, self.shape = int(config["input_size"][-1]), (int(model.num_features),)
        self._transform: Any = timm.data.create_transform(**config, is_training=False)

    def about(self) -> About:
        """As every encoder, with its weights and processor."""
        return replace(super().about(), weights=weights_digest(self._model.state_dict()), processor=self._processor)

    def pixels(self, photo: Image.Image) -> Any:
        """(3, side, side)."""
        return self._transform(photo)

    @torch.inference_mode()
    def encode_pixels(self, pixels: Sequence[Any]) -> NDArray[np.float32]:
        """Rows (n, d)."""
        return np.asarray(self._model(torch.stack(list(pixels)).to(self._device)).float().cpu().numpy())


class OpenClipEncoder(Encoder):
    """`open_clip:NAME`: unit vectors of photos and texts; NAME is a Hub id, or ARCHITECTURE/PRETRAINED."""

    reads: Reads = "both"

    def __init__(self, name: str, device: str) -> None:
        import open_clip  # noqa: PLC0415

        self.name, self._device = name, device
        with loading(name, "a model of open_clip", _OPEN_CLIP):
            source = name.removeprefix("open_clip:")
            architecture, _, pretrained = source.rpartition("/")
            own = (architecture, pretrained) in open_clip.list_pretrained()
            model, weights = (architecture, pretrained) if own else (f"hf-hub:{source}", None)
            self._model, self._transform = open_clip.create_model_from_pretrained(model, weights, device=device)
            self._tokenizer = open_clip.get_tokenizer(model)
        self._model.eval()
        photos = open_clip.get_model_preprocess_cfg(self._model)
        self._processor = settings_digest(
            json.dumps(photos, sort_keys=True, default=str), f"{self._tokenizer.context_length}"
        )
        self.side = int(np.max(self._model.visual.image_size))
        self.shape = self.encode_texts(["a dress"]).shape[1:]

    def about(self) -> About:
        """As every encoder, with its weights and processor."""
        return replace(super().about(), weights=weights_digest(self._model.state_dict()), processor=self._processor)

    def pixels(self, photo: Image.Image) -> Any:
        """(3, side, side)."""
        return self._transform(photo)

    @torch.inference_mode()
    def encode_pixels(self, pixels: Sequence[Any]) -> NDArray[np.float32]:
        """Unit vectors (n, d)."""
        batch = torch.stack(list(pixels)).to(self._device)
        return np.asarray(self._model.encode_image(batch, normalize=True).float().cpu().numpy())

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors (n, d)."""
        tokens = self._tokenizer(list(texts)).to(self._device)
        return np.asarray(self._model.encode_text(tokens, normalize=True).float().cpu().numpy())
