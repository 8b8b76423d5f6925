"""LLaVA-1.5 (Liu et al. 2024): CLIP, a two-layer projector and Vicuna, on the classes of transformers."""

import re
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import torch
from transformers import (
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaImageProcessorPil,
    LlavaProcessor,
)

from finetune.config.recipe import Model, Tiny
from finetune.models.families.base import BatchShape, Captioner
from finetune.models.families.tiny_tokenizers import train_llama_tokenizer
from finetune.models.loading import load_pretrained
from metrics.common.errors import UserError

CLASS_TOKENS = 1


class LlavaCaptioner(Captioner):
    """The photo's patch features take the place of the prompt's `<image>`; the caption follows and ends with `</s>`.

    The prompt is the published one (omgwenxx/multimodal-fashion-analysis). There no caption ends with `</s>`, so that
    its models never learn to stop.
    """

    model_type: ClassVar[str] = "llava"
    default_prompt: ClassVar[str] = "USER: <image>\nDescribe the appearance of the clothing item.\nASSISTANT:"
    prompt_placeholders: ClassVar[int] = 1
    towers: ClassVar[dict[str, tuple[str, ...]]] = {
        "vision": ("model.vision_tower.",),
        "connector": ("model.multi_modal_projector.",),
        "language": ("model.language_model.", "lm_head."),
    }
    head: ClassVar[str] = "lm_head"
    features: ClassVar[dict[str, tuple[str, ...]]] = {"vision": ("model.vision_tower.",)}
    lora_targets: ClassVar[dict[str, dict[str, str]]] = {
        "vision": {
            "query-value": r"model\.vision_tower\.(vision_model\.)?encoder\.layers\.(USED)\.self_attn\.(q_proj|v_proj)",
            "all-linear": r"model\.vision_tower\.(vision_model\.)?encoder\.layers\.(USED)\."
            r"(self_attn\.(q_proj|k_proj|v_proj|out_proj)|mlp\.fc[12])",
        },
        "connector": {
            "query-value": r"model\.multi_modal_projector\.linear_[12]",
            "all-linear": r"model\.multi_modal_projector\.linear_[12]",
        },
        "language": {
            "query-value": r"model\.language_model\.layers\.\d+\.self_attn\.(q_proj|v_proj)",
            "all-linear": r"model\.language_model\.layers\.\d+\."
            r"(self_attn\.(q_proj|k_proj|v_proj|o_proj)|mlp\.(gate_proj|up_proj|down_proj))",
        },
    }

    @classmethod
    def load(cls, config: Model, device: str | None = None) -> Self:
        """Load old checkpoints (other weight names, a processor that knows no patches) and new ones alike."""
        classes = (LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor)
        model, processor = load_pretrained(config, *classes, cls.unquantized(), device)
        if not isinstance(model.config.vision_config, CLIPVisionConfig):
            raise UserError(f"{config.base}: its vision tower is no CLIP; this family is LLaVA-1.5 only")
        if processor.tokenizer.pad_token is None:
            processor.tokenizer.pad_token = processor.tokenizer.unk_token
        processor.patch_size = model.config.vision_config.patch_size
        processor.vision_feature_select_strategy = model.config.vision_feature_select_strategy
        processor.num_additional_image_tokens = CLASS_TOKENS
        side = model.config.vision_config.image_size
        if config.image == "crop" and getattr(processor.image_processor, "do_pad", False):
            processor.image_processor = _image_processor(processor.image_processor, side, "crop")
        elif config.image in ("pad", "stretch"):
            processor.image_processor = _image_processor(processor.image_processor, side, config.image)
        return cls(model, processor)

    @classmethod
    def tiny(cls, shape: Tiny, texts: Sequence[str]) -> tuple[LlavaForConditionalGeneration, LlavaProcessor]:
        """A small LLaVA; its CLIP has one layer more than `shape.layers`, since the last one is not used."""
        tokenizer = train_llama_tokenizer([*texts, *[cls.default_prompt] * len(texts)], shape.vocabulary)
        side = shape.image_size
        images = CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
        processor = LlavaProcessor(
            images, tokenizer, shape.patch_size, "default", num_additional_image_tokens=CLASS_TOKENS
        )
        return LlavaForConditionalGeneration(_tiny_config(shape, tokenizer)), processor

    @classmethod
    def published_name(cls, parameter: str) -> str:
        """CLIP is a level deeper there, without which transformers 4.57 does not find its weights."""
        return parameter.replace("vision_tower.", "vision_tower.vision_model.", 1)

    @property
    def stop_token_id(self) -> int:
        """`</s>`."""
        return int(self.tokenizer.eos_token_id)

    @property
    def image_token_id(self) -> int:
        """`<image>`."""
        return int(self.model.config.image_token_index)

    @property
    def most_image_tokens(self) -> int:
        """One per patch, 576 at 336 x 336 pixels, and one for CLIP's class token if the model keeps it."""
        vision = self.model.config.vision_config
        patches = (vision.image_size // vision.patch_size) ** 2
        return int(patches + CLASS_TOKENS * (self.model.config.vision_feature_select_strategy == "full"))

    def photo_features(self, name: str, pixels: torch.Tensor) -> torch.Tensor:
        """CLIP's hidden states as the projector gets them."""
        model = self.bare_model
        states = model.model.vision_tower(pixel_values=pixels, output_hidden_states=True).hidden_states
        used = model.config.vision_feature_layer
        patches = torch.cat([states[layer] for layer in ([used] if isinstance(used, int) else used)], dim=-1)
        return patches if model.config.vision_feature_select_strategy == "full" else patches[:, CLASS_TOKENS:]

    def layer_call(self, tower: str, layer: Any, shape: BatchShape) -> tuple[torch.Tensor, dict[str, Any]]:
        """CLIP's layers want a mask, Llama's the angles of their positions; the projector has no layers."""
        config, dtype = self.model.config, next(layer.parameters()).dtype
        if tower == "vision":
            patches = torch.empty(shape.photos, shape.patches, config.vision_config.hidden_size, dtype=dtype)
            return patches, {"attention_mask": None}
        tokens = torch.empty(shape.photos, shape.tokens, config.text_config.hidden_size, dtype=dtype)
        angles = torch.empty(1, shape.tokens, layer.self_attn.head_dim, dtype=dtype)
        return tokens, {"position_embeddings": (angles, angles)}

    def is_idle(self, parameter: str) -> bool:
        """CLIP's layers after the one whose output is used, and its last norm."""
        if not parameter.startswith(self.towers["vision"]):
            return False
        layer = re.search(r"\.layers\.(\d+)\.", parameter)
        return int(layer[1]) >= self._used_layers() if layer else ".post_layernorm." in parameter

    def lora_target(self, tower: str, modules: str | Sequence[str]) -> str:
        """As declared; in CLIP only the layers that are used: one without a gradient breaks distributed training."""
        used = "|".join(map(str, range(self._used_layers())))
        return super().lora_target(tower, modules).replace("USED", used)

    def _used_layers(self) -> int:
        config = self.model.config
        used, states = config.vision_feature_layer, config.vision_config.num_hidden_layers + 1
        return max(int(layer % states) for layer in ([used] if isinstance(used, int) else used))


def _image_processor(published: Any, side: int, image: str) -> LlavaImageProcessorPil:
    """A processor that pads photos to squares of the mean colour, crops their middle squares, or stretches them."""
    square = {"height": side, "width": side}
    return LlavaImageProcessorPil(
        do_pad=image == "pad",
        size=square if image == "stretch" else {"shortest_edge": side},
        do_center_crop=image == "crop",
        crop_size=square,
        image_mean=published.image_mean,
        image_std=published.image_std,
        resample=published.resample,
        rescale_factor=published.rescale_factor,
    )


def _tiny_config(shape: Tiny, tokenizer: Any) -> LlavaConfig:
    width = shape.hidden_size
    block = {
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_attention_heads": 4,
        "initializer_range": width**-0.5 / 2,
    }
    return LlavaConfig(
        vision_config=CLIPVisionConfig(
            **block, num_hidden_layers=shape.layers + 1, image_size=shape.image_size, patch_size=shape.patch_size
        ),
        text_config=LlamaConfig(
            **block,
            num_hidden_layers=shape.layers,
            vocab_size=len(tokenizer),
            max_position_embeddings=512,
            attention_dropout=shape.dropout,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        ),
        image_token_index=tokenizer.image_token_id,
        image_seq_length=(shape.image_size // shape.patch_size) ** 2,
    )
