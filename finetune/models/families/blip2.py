"""BLIP-2 with an OPT language model (Li et al. 2023), on the classes of transformers."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import torch
from tokenizers import AddedToken
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    Blip2QFormerConfig,
    Blip2VisionConfig,
    BlipImageProcessorPil,
    OPTConfig,
)

from finetune.config.recipe import Model, Tiny
from finetune.models.families.base import IMAGE_TOKEN, BatchShape, Captioner
from finetune.models.families.tiny_tokenizers import train_opt_tokenizer
from finetune.models.loading import load_pretrained
from metrics.common.errors import UserError


class Blip2Captioner(Captioner):
    """ViT, Q-Former and OPT. The caption follows the image placeholders and the prompt, and ends with a line break."""

    model_type: ClassVar[str] = "blip-2"
    default_prompt: ClassVar[str] = ""
    prompt_placeholders: ClassVar[int] = 0
    towers: ClassVar[dict[str, tuple[str, ...]]] = {
        "vision": ("vision_model.",),
        "connector": ("qformer.", "query_tokens", "language_projection."),
        "language": ("language_model.",),
    }
    head: ClassVar[str] = "language_model.lm_head"
    features: ClassVar[dict[str, tuple[str, ...]]] = {
        "vision": ("vision_model.",),
        "queries": ("vision_model.", "qformer.", "query_tokens"),
    }
    lora_targets: ClassVar[dict[str, dict[str, str]]] = {
        "vision": {
            "query-value": r"vision_model\.encoder\.layers\.\d+\.self_attn\.qkv",
            "all-linear": r"vision_model\.encoder\.layers\.\d+\.(self_attn\.(qkv|projection)|mlp\.fc[12])",
        },
        "connector": {
            "query-value": r"qformer\.encoder\.layer\.\d+\.(attention|crossattention)\.attention\.(query|value)",
            "all-linear": r"language_projection|qformer\.encoder\.layer\.\d+\."
            r"((attention|crossattention)\.(attention\.(query|key|value)|output\.dense)"
            r"|(intermediate_query|output_query)\.dense)",
        },
        "language": {
            "query-value": r"language_model\.model\.decoder\.layers\.\d+\.self_attn\.(q_proj|v_proj)",
            "all-linear": r"language_model\.model\.decoder\.layers\.\d+\."
            r"(self_attn\.(q_proj|k_proj|v_proj|out_proj)|fc1|fc2)",
        },
    }

    @classmethod
    def load(cls, config: Model, device: str | None = None) -> Self:
        """Load old checkpoints (no image token) and new ones alike; the Q-Former always works in float32."""
        classes = (Blip2Config, Blip2ForConditionalGeneration, Blip2Processor)
        model, processor = load_pretrained(config, *classes, cls.unquantized(), device)
        if not model.config.use_decoder_only_language_model:
            raise UserError(f"{config.base}: an encoder-decoder BLIP-2 (Flan-T5); this family is BLIP-2-OPT only")
        _add_image_token(model, processor)
        cls.set_types(model)
        return cls(model, processor)

    @classmethod
    def set_types(cls, model: Any) -> None:
        """The Q-Former and its queries (transformers#30789)."""
        model.qformer.float()
        model.query_tokens.data = model.query_tokens.data.float()

    @classmethod
    def tiny(cls, shape: Tiny, texts: Sequence[str]) -> tuple[Blip2ForConditionalGeneration, Blip2Processor]:
        """A small BLIP-2. transformers starts all query tokens at zero, which makes them one: these start apart."""
        tokenizer = train_opt_tokenizer(texts, shape.vocabulary)
        images = BlipImageProcessorPil(size={"height": shape.image_size, "width": shape.image_size})
        processor = Blip2Processor(images, tokenizer, num_query_tokens=shape.queries)
        model = Blip2ForConditionalGeneration(_tiny_config(shape, tokenizer))
        torch.nn.init.normal_(model.query_tokens, std=shape.hidden_size**-0.5)
        torch.nn.init.normal_(model.vision_model.embeddings.position_embedding, std=shape.hidden_size**-0.5)
        return model, processor

    @property
    def stop_token_id(self) -> int:
        """The line break, as in LAVIS: the end-of-sequence token of BLIP-2's OPT configuration."""
        return int(self.model.config.text_config.eos_token_id)

    @property
    def image_token_id(self) -> int:
        """`<image>`."""
        return int(self.model.config.image_token_index)

    @property
    def most_image_tokens(self) -> int:
        """One per query of the Q-Former, of every photo: 32 in the published checkpoints."""
        return int(self.model.config.num_query_tokens)

    @property
    def generator(self) -> Any:
        """OPT: the whole model's configuration has no vocabulary."""
        return self.model.language_model

    def photo_features(self, name: str, pixels: torch.Tensor) -> torch.Tensor:
        """The ViT's last hidden states, or those of the Q-Former's queries."""
        model = self.bare_model
        patches: torch.Tensor = model.vision_model(pixel_values=pixels).last_hidden_state
        if name == "vision":
            return patches
        queries = model.query_tokens.expand(len(pixels), -1, -1)
        seen = torch.ones(patches.shape[:-1], dtype=torch.long, device=patches.device)
        outputs = model.qformer(query_embeds=queries, encoder_hidden_states=patches, encoder_attention_mask=seen)
        states: torch.Tensor = outputs.last_hidden_state
        return states

    def layer_call(self, tower: str, layer: Any, shape: BatchShape) -> tuple[torch.Tensor, dict[str, Any]]:
        """A Q-Former layer also reads the photo's patches."""
        config, dtype = self.model.config, next(layer.parameters()).dtype
        patches = (shape.photos, shape.patches, config.vision_config.hidden_size)
        if tower == "vision":
            return torch.empty(patches, dtype=dtype), {}
        if tower == "language":
            return torch.empty(shape.photos, shape.tokens, config.text_config.hidden_size, dtype=dtype), {}
        queries = torch.empty(shape.photos, config.num_query_tokens, config.qformer_config.hidden_size, dtype=dtype)
        seen = torch.empty(patches, dtype=dtype)
        return queries, {"encoder_hidden_states": seen, "query_length": config.num_query_tokens}


def _add_image_token(model: Any, processor: Any) -> None:
    """Give a checkpoint from before transformers 4.46 the image token and query count that newer ones carry."""
    processor.num_query_tokens = model.config.num_query_tokens
    tokenizer = processor.tokenizer
    if model.config.image_token_index is None:
        tokenizer.add_tokens([AddedToken(IMAGE_TOKEN, normalized=False, special=True)], special_tokens=True)
        model.config.image_token_index = tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(len(tokenizer), pad_to_multiple_of=64)


def _tiny_config(shape: Tiny, tokenizer: Any) -> Blip2Config:
    width = shape.hidden_size
    block = {
        "hidden_size": width,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": 4,
        "initializer_range": width**-0.5 / 2,
    }
    image_token = tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
    return Blip2Config(
        vision_config=Blip2VisionConfig(
            **block, intermediate_size=2 * width, image_size=shape.image_size, patch_size=shape.patch_size
        ),
        qformer_config=Blip2QFormerConfig(
            **block,
            intermediate_size=2 * width,
            encoder_hidden_size=width,
            cross_attention_frequency=1,
            hidden_dropout_prob=shape.dropout,
            attention_probs_dropout_prob=shape.dropout,
        ),
        text_config=OPTConfig(
            hidden_size=width,
            word_embed_proj_dim=width,
            num_hidden_layers=shape.layers,
            num_attention_heads=4,
            ffn_dim=2 * width,
            vocab_size=len(tokenizer),
            max_position_embeddings=512,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer("\n", add_special_tokens=False)["input_ids"][0],
            init_std=width**-0.5,
            dropout=shape.dropout,
        ),
        num_query_tokens=shape.queries,
        image_token_index=image_token,
    )
