"""A small captioner for computers without a GPU, after ClipCap (Mokady et al. 2021): `finetune.models.prefix`."""

import inspect
import re
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import torch
from transformers import Blip2Processor, PreTrainedModel

from finetune.config.recipe import Model, Tiny
from finetune.models.families.base import IMAGE_TOKEN, Batch, BatchShape, Captioner
from finetune.models.loading import load_pretrained
from finetune.models.prefix.network import PrefixCaptioningModel, PrefixConfig
from finetune.models.prefix.parts import check_prefix, language_model, photo_encoder
from metrics.common.errors import UserError


class PrefixCaptioner(Captioner):
    """The features of a photo become a prefix of the caption, which ends with the language model's own last token.

    While the encoder is frozen, training reads features that were computed once (`finetune.training.stored_features`).
    """

    model_type: ClassVar[str] = PrefixConfig.model_type
    default_prompt: ClassVar[str] = ""
    prompt_placeholders: ClassVar[int] = 0
    towers: ClassVar[dict[str, tuple[str, ...]]] = {
        "vision": ("vision_model.",),
        "connector": ("connector.",),
        "language": ("language_model.",),
    }
    head: ClassVar[str] = "language_model.lm_head"
    kept_between_towers: ClassVar[int] = 2
    features: ClassVar[dict[str, tuple[str, ...]]] = {"vision": ("vision_model.",)}
    lora_targets: ClassVar[dict[str, dict[str, str]]] = {
        "vision": {
            "query-value": r"vision_model\..*\.(q_proj|v_proj|query|value)",
            "all-linear": r"vision_model\..*\.(q_proj|k_proj|v_proj|out_proj|fc1|fc2|query|key|value|dense)",
        },
        "connector": {
            "query-value": r"connector\.(hidden|mean|cells)",
            "all-linear": r"connector\.(hidden|mean|cells)",
        },
        "language": {
            "query-value": r"language_model\..*\.(q_proj|v_proj)",
            "all-linear": r"language_model\..*\.(q_proj|k_proj|v_proj|o_proj|out_proj|fc1|fc2"
            r"|gate_proj|up_proj|down_proj)",
        },
    }

    @classmethod
    def load(cls, config: Model, device: str | None = None) -> Self:
        """Load a folder that `tiny` made, or a Hub id of one."""
        classes = (PrefixConfig, PrefixCaptioningModel, Blip2Processor)
        return cls(*load_pretrained(config, *classes, cls.unquantized(), device))

    @classmethod
    def tiny(cls, shape: Tiny, texts: Sequence[str]) -> tuple[PreTrainedModel, Blip2Processor]:
        """`shape.encoder`, a connector with random weights and `shape.decoder`; small ones where there is no name."""
        encoder, images = photo_encoder(shape)
        decoder, tokenizer = language_model(shape, texts)
        check_prefix(shape, encoder, decoder)
        processor = Blip2Processor(images, tokenizer, num_query_tokens=shape.queries + shape.grid**2)
        if len(tokenizer) > decoder.get_input_embeddings().num_embeddings:
            decoder.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        config = PrefixConfig(
            vision_config=encoder.config,
            text_config=decoder.config,
            image_token_index=tokenizer.convert_tokens_to_ids(IMAGE_TOKEN),
            prefix_tokens=shape.queries,
            grid=shape.grid,
            connector_dropout=shape.dropout,
        )
        model = PrefixCaptioningModel(config)
        model.vision_model, model.language_model = encoder, decoder
        return model, processor

    def encode(self, images: Sequence[Any], prompts: Sequence[str]) -> Batch:
        """As the processor, and of features in the place of photos too."""
        texts = self.tokenizer(list(prompts), padding=True, padding_side="left", return_tensors="pt")
        prefix = torch.full((len(prompts), self.processor.num_query_tokens), self.image_token_id)
        if isinstance(images[0], torch.Tensor):
            photos = torch.stack(list(images))
        else:
            photos = self.processor.image_processor(list(images), return_tensors="pt")["pixel_values"]
        return {
            "input_ids": torch.cat([prefix, texts["input_ids"].long()], dim=1),
            "attention_mask": torch.cat([torch.ones_like(prefix), texts["attention_mask"].long()], dim=1),
            "pixel_values": photos,
        }

    @property
    def stored_features(self) -> str | None:
        """The photo's mean and cells, if the encoder is frozen."""
        tuned = any(weight.requires_grad for weight in self.bare_model.vision_model.parameters())
        return None if tuned else "vision"

    def photo_features(self, name: str, pixels: torch.Tensor) -> torch.Tensor:
        """The mean of each photo and those of its cells (n, 1 + grid^2, d)."""
        if name not in self.features:
            return super().photo_features(name, pixels)
        features: torch.Tensor = self.bare_model.photo_features(pixels)
        return features

    @property
    def stop_token_id(self) -> int:
        """The tokenizer's own last token."""
        return int(self.tokenizer.eos_token_id)

    @property
    def image_token_id(self) -> int:
        """`<image>`."""
        return int(self.model.config.image_token_index)

    @property
    def most_image_tokens(self) -> int:
        """Those of the photo's mean, and one of each cell."""
        return int(self.model.config.prefix_tokens + self.model.config.grid**2)

    def layer_call(self, tower: str, layer: Any, shape: BatchShape) -> tuple[torch.Tensor, dict[str, Any]]:
        """SigLIP's layers want a mask, those of Llama and its kind the angles of their positions."""
        config, dtype = self.model.config, next(layer.parameters()).dtype
        wanted = inspect.signature(layer.forward).parameters
        if tower == "vision":
            patches = torch.empty(shape.photos, shape.patches, config.vision_config.hidden_size, dtype=dtype)
            return patches, {"attention_mask": None} if "attention_mask" in wanted else {}
        tokens = torch.empty(shape.photos, shape.tokens, config.text_config.hidden_size, dtype=dtype)
        if "position_embeddings" not in wanted:
            return tokens, {}
        angles = torch.empty(1, shape.tokens, layer.self_attn.head_dim, dtype=dtype)
        return tokens, {"position_embeddings": (angles, angles)}

    def lora_target(self, tower: str, modules: str | Sequence[str]) -> str:
        """As declared. Raises `UserError` for a tower without layers of these names, such as one of convolutions."""
        pattern = super().lora_target(tower, modules)
        named = (name for name, _ in self.bare_model.named_modules())
        if isinstance(modules, str) and not any(re.fullmatch(pattern, name) for name in named):
            raise UserError(f"tune.{tower}: lora: no layer of it is known to take adapters; set it to frozen or full")
        return pattern

    def is_idle(self, parameter: str) -> bool:
        """What encoders do behind the patches that are used, or only where patches are masked.

        CLIP and its kind normalise the pooled class token alone there, SigLIP the patches too.
        """
        unused = [".pooler.", ".head.", ".mask_token"]
        if "clip" in self.model.config.vision_config.model_type:
            unused.append(".post_layernorm.")
        return parameter.startswith("vision_model.") and any(part in parameter for part in unused)
