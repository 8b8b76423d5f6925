"""A family of the tests' own, LLaVA-NeXT: a photo takes more or fewer tokens by its shape, and its size is an input."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextImageProcessorPil,
    LlavaNextProcessor,
)

from finetune.config.recipe import Tiny
from finetune.models.families.llava import LlavaCaptioner
from finetune.models.families.tiny_tokenizers import train_llama_tokenizer

GRIDS = [[32, 64], [64, 32], [64, 64], [32, 96]]  # heights and widths that a photo may be laid out in


class LlavaNextCaptioner(LlavaCaptioner):
    """What differs from LLaVA: tiles, and a learnt end of each line of them."""

    model_type: ClassVar[str] = "llava_next"
    towers: ClassVar[dict[str, tuple[str, ...]]] = LlavaCaptioner.towers | {
        "connector": ("model.multi_modal_projector.", "model.image_newline")
    }

    @classmethod
    def tiny(cls, shape: Tiny, texts: Sequence[str]) -> tuple[LlavaNextForConditionalGeneration, LlavaNextProcessor]:
        """Tiles of `shape.image_size`."""
        tokenizer = train_llama_tokenizer([*texts, *[cls.default_prompt] * len(texts)], shape.vocabulary)
        side, width = shape.image_size, shape.hidden_size
        images = LlavaNextImageProcessorPil(
            size={"shortest_edge": side}, crop_size={"height": side, "width": side}, image_grid_pinpoints=GRIDS
        )
        processor = LlavaNextProcessor(images, tokenizer, shape.patch_size, "default", num_additional_image_tokens=1)
        block = {"hidden_size": width, "intermediate_size": 2 * width, "num_attention_heads": 4}
        vision = CLIPVisionConfig(
            **block, num_hidden_layers=shape.layers + 1, image_size=side, patch_size=shape.patch_size
        )
        special = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
        text = LlamaConfig(
            **block,
            **special,
            num_hidden_layers=shape.layers,
            vocab_size=len(tokenizer),
            max_position_embeddings=512,
            initializer_range=width**-0.5 / 2,
        )
        config = LlavaNextConfig(
            vision_config=vision,
            text_config=text,
            image_token_index=tokenizer.image_token_id,
            image_grid_pinpoints=GRIDS,
        )
        return LlavaNextForConditionalGeneration(config), processor

    @property
    def most_image_tokens(self) -> int:
        """Of a photo that fills the largest layout: its tiles, a line end for each line, and the whole photo small."""
        vision = self.model.config.vision_config
        side = vision.image_size // vision.patch_size
        grids = [(height // vision.image_size, width // vision.image_size) for height, width in GRIDS]
        return max(side * side * (1 + rows * columns) + side * rows for rows, columns in grids)

    @property
    def most_patches(self) -> int:
        """Of the small whole photo and all tiles."""
        vision = self.model.config.vision_config
        return int(max(1 + height * width // vision.image_size**2 for height, width in GRIDS) * super().most_patches)

    def image_token_counts(self, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """By the photo's size, as transformers' processor counts them."""
        counts = self.processor._get_num_multimodal_tokens(inputs["image_sizes"].tolist())
        return torch.tensor(counts["num_image_tokens"])
