"""ClipCap (Mokady et al. 2021) with any photo encoder and any causal language model of transformers."""

import math
from typing import Any, Self

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    GenerationMixin,
    LlavaConfig,
    PreTrainedModel,
)

from finetune.models.loading import is_sharded
from finetune.models.prefix import efficientnet  # noqa: F401  (registers it with AutoModel)


class PrefixConfig(LlavaConfig):  # type: ignore[misc]
    """As LLaVA's, with a photo encoder and a language model of any kind; and the shape of the prefix.

    `prefix_tokens` are made of the features' mean, and one more of each of `grid` x `grid` cells.
    """

    model_type = "prefix-captioner"
    prefix_tokens: int = 8
    grid: int = 0
    connector_dropout: float = 0.0


class Connector(nn.Module):
    """Features (n, 1 + grid^2, d) to prefix tokens (n, prefix_tokens + grid^2, width of the language model).

    As in ClipCap a network of one hidden layer makes several tokens of the mean; a linear layer makes one of each cell.
    """

    def __init__(self, config: PrefixConfig) -> None:
        super().__init__()
        width, features = config.text_config.hidden_size, config.vision_config.hidden_size
        tokens, cells = config.prefix_tokens, config.grid**2
        self.norm = nn.LayerNorm(features)
        self.hidden = nn.Linear(features, 2 * width)
        self.mean = nn.Linear(2 * width, tokens * width)
        self.cells = nn.Linear(features, width) if cells else None
        self.places = nn.Parameter(torch.empty(tokens + cells, width))
        self.dropout = nn.Dropout(config.connector_dropout)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """The prefix tokens of each photo."""
        features = self.norm(features)
        hidden = self.dropout(nn.functional.gelu(self.hidden(features[:, 0])))
        prefix = self.mean(hidden).unflatten(1, (-1, self.places.shape[1]))
        if self.cells is not None:
            prefix = torch.cat([prefix, self.cells(features[:, 1:])], dim=1)
        tokens: torch.Tensor = prefix + self.places
        return tokens


class PrefixCaptioningModel(PreTrainedModel, GenerationMixin):  # type: ignore[misc]
    """The prefix tokens take the places of `<image>`. `pixel_values` are photos or the features of photos."""

    config_class = PrefixConfig
    supports_gradient_checkpointing = True
    _supports_sdpa = _supports_flash_attn = _supports_attention_backend = True

    def __init__(self, config: PrefixConfig) -> None:
        super().__init__(config)
        self.vision_model = AutoModel.from_config(config.vision_config, trust_remote_code=False)
        self.connector = Connector(config)
        self.language_model = AutoModelForCausalLM.from_config(config.text_config, trust_remote_code=False)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, Connector):
            nn.init.normal_(module.places, std=0.02)

    def train(self, mode: bool = True) -> Self:
        """As of any module; a frozen encoder stays in evaluation mode."""
        super().train(mode)
        tuned = any(weight.requires_grad for weight in self.vision_model.parameters())
        self.vision_model.train(mode and tuned)
        return self

    def get_input_embeddings(self) -> nn.Module:
        """Those of the language model."""
        embeddings: nn.Module = self.language_model.get_input_embeddings()
        return embeddings

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace those of the language model."""
        self.language_model.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        """The language model's head."""
        head: nn.Module = self.language_model.get_output_embeddings()
        return head

    def photo_features(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Photos (n, 3, height, width) to features (n, 1 + grid^2, d): their mean, and the means of the cells.

        Of a transformer the patches count, without class and register tokens.
        """
        hidden = self.vision_model(pixel_values=pixel_values.to(self.vision_model.dtype)).last_hidden_state
        if hidden.dim() == 3:
            side = math.isqrt(hidden.shape[1])
            hidden = hidden[:, -(side**2) :].transpose(1, 2).unflatten(2, (side, side))
        pooled = [hidden.mean((2, 3))[:, None]]
        if self.config.grid:
            cells = nn.functional.adaptive_avg_pool2d(hidden, self.config.grid)
            pooled.append(cells.flatten(2).transpose(1, 2))
        return torch.cat(pooled, dim=1)

    @torch.no_grad()
    def generate(self, *inputs: Any, pixel_values: torch.Tensor | None = None, **further: Any) -> Any:
        """As of any model; the encoder reads each photo once, not once for each beam."""
        if pixel_values is not None and pixel_values.dim() == 4 and not is_sharded():  # shards are joined in `forward`
            pixel_values = self.photo_features(pixel_values)
        photos = {} if pixel_values is None else {"pixel_values": pixel_values}
        return super().generate(*inputs, **photos, **further)

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        **further: Any,
    ) -> Any:
        """As of the language model; `pixel_values` (n, 3, height, width), or `photo_features` of them."""
        if inputs_embeds is None:
            inputs_embeds = self.get_input_embeddings()(input_ids)
        if pixel_values is not None:
            features = pixel_values if pixel_values.dim() == 3 else self.photo_features(pixel_values)
            prefix = self.connector(features.to(self.connector.places.dtype))
            places = (input_ids == self.config.image_token_index)[..., None]
            inputs_embeds = inputs_embeds.masked_scatter(places, prefix)
        return self.language_model(inputs_embeds=inputs_embeds, attention_mask=attention_mask, **further)


AutoConfig.register(PrefixConfig.model_type, PrefixConfig)
AutoModelForImageTextToText.register(PrefixConfig, PrefixCaptioningModel)
