"""What the base of a prefix captioner is put together from: a photo encoder and a language model."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import (
    MODEL_FOR_MASKED_LM_MAPPING,
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoModelForCausalLM,
    AutoTokenizer,
    BlipImageProcessorPil,
    OPTConfig,
    SiglipVisionConfig,
)

from finetune.config.recipe import Tiny
from finetune.models.families.base import MINIMUM_ROOM
from finetune.models.families.tiny_tokenizers import train_opt_tokenizer
from finetune.models.loading import refuse_not_finite, split_revision
from finetune.models.prefix.efficientnet import LITE0, EfficientNetLiteConfig, imagenet_weights
from metrics.common.errors import UserError
from metrics.encoders.pretrained import loading
from metrics.encoders.safe_loading import load_model, load_part

CONTEXT = 512
KINDS = {"encoder": "a photo encoder", "decoder": "a language model"}
UNUSED: dict[str, tuple[str, ...]] = {"encoder": ("pooler.",), "decoder": ()}  # ViTs of ImageNet lack it


def photo_encoder(shape: Tiny) -> tuple[Any, Any]:
    """The encoder that `shape.encoder` names, a small SigLIP with random weights without one; and what prepares photos.

    Photos are stretched to squares, so that nothing of them is outside. Raises `UserError` if it does not load.
    """
    if shape.encoder is None:
        return AutoModel.from_config(_small_siglip(shape), trust_remote_code=False), _image_processor(shape.image_size)
    if shape.encoder == LITE0:
        encoder = AutoModel.from_config(EfficientNetLiteConfig(image_size=shape.image_size), trust_remote_code=False)
        if not _shapes_alone():
            encoder.load_state_dict(imagenet_weights(shape.image_size))
        return encoder, _image_processor(shape.image_size)
    config = _fetched("encoder", shape.encoder, AutoConfig)
    config = getattr(config, "vision_config", config)
    lacking = [name for name in ("hidden_size", "image_size", "patch_size") if not hasattr(config, name)]
    if lacking:
        raise UserError(
            f"model.tiny.encoder: {shape.encoder}: a {config.model_type}, whose configuration has no "
            f"{', '.join(lacking)}; expected {LITE0}, or a CLIP, SigLIP, DINOv2 or ViT"
        )
    if hasattr(config, "vision_use_head"):
        config.vision_use_head = False  # SigLIP's pooling, which is not used
    published = _fetched("encoder", shape.encoder, AutoImageProcessor, backend="pil")
    images = _image_processor(config.image_size, published.image_mean, published.image_std)
    return _pretrained("encoder", shape.encoder, AutoModel, config), images


def language_model(shape: Tiny, texts: Sequence[str]) -> tuple[Any, Any]:
    """The model that `shape.decoder` names, or a small OPT with random weights; and its tokenizer with `<image>`.

    Without a decoder the tokenizer is trained on `texts`. Raises `UserError` if it does not load.
    """
    if shape.decoder is None:
        tokenizer = train_opt_tokenizer(texts, shape.vocabulary)
        decoder = AutoModelForCausalLM.from_config(_small_opt(shape, tokenizer), trust_remote_code=False)
    else:
        tokenizer = _fetched("decoder", shape.decoder, AutoTokenizer)
        config = _fetched("decoder", shape.decoder, AutoConfig)
        _refuse_unfit(shape.decoder, config, tokenizer)
        decoder = _pretrained("decoder", shape.decoder, AutoModelForCausalLM, config)
    if tokenizer.pad_token_id in (None, tokenizer.eos_token_id):  # else the stop token would carry no loss
        tokenizer.add_special_tokens({"pad_token": "<pad>"})
    return decoder, tokenizer


def check_prefix(shape: Tiny, encoder: Any, decoder: Any) -> None:
    """Raise `UserError` if the encoder has fewer cells than `grid`, or the prefix leaves the decoder no room."""
    cells = encoder.config.image_size // encoder.config.patch_size
    if shape.grid > cells:
        raise UserError(
            f"model.tiny.grid: expected at most {cells}, the cells of the encoder along a side, found {shape.grid}"
        )
    tokens, context = shape.queries + shape.grid**2, decoder.config.max_position_embeddings
    if context - tokens < MINIMUM_ROOM:
        raise UserError(
            f"model.tiny: queries + grid^2 are {tokens} tokens a photo, of the {context} that the language model "
            "can read: no room for a caption; lower grid or queries"
        )


def _refuse_unfit(source: str, config: Any, tokenizer: Any) -> None:
    masked = type(config) in MODEL_FOR_MASKED_LM_MAPPING and not getattr(config, "is_decoder", True)
    if masked or getattr(config, "is_encoder_decoder", False):
        reason = f"a {config.model_type} does not write one token after another"
    elif getattr(config, "max_position_embeddings", None) is None:
        reason = f"the configuration of a {config.model_type} has no max_position_embeddings, the most tokens it reads"
    elif tokenizer.eos_token_id is None:
        reason = "its tokenizer has no eos_token, which would end a caption"
    else:
        return
    raise UserError(f"model.tiny.decoder: {source}: {reason}; name another, such as a Llama, an OPT or a GPT-2")


def _fetched(key: str, source: str, kind: Any, load: Callable[..., Any] = load_part, **options: Any) -> Any:
    name, revision = split_revision(source)
    with loading(f"model.tiny.{key}: {source}", KINDS[key], "a Hub id, or a folder with config.json and *.safetensors"):
        return load(kind, name, revision, **options)


def _pretrained(key: str, source: str, auto: Any, config: Any) -> Any:
    if _shapes_alone():
        return _fetched(key, source, auto, lambda *_, **__: auto.from_config(config, trust_remote_code=False))
    model, lacking = _fetched(key, source, auto, load_model, config=config, dtype=torch.float32)
    missing = [name for name in lacking if not name.startswith(UNUSED[key])]
    if missing:
        raise UserError(
            f"model.tiny.{key}: {source}: the weights lack {len(missing)} tensors of {type(model).__name__}, such as "
            f"{missing[0]}: the folder is incomplete or of another model"
        )
    refuse_not_finite(f"model.tiny.{key}: {source}", model.named_parameters())
    return model


def _shapes_alone() -> bool:
    """Whether no weights are wanted: where memory is estimated."""
    return torch.empty(0).is_meta


def _image_processor(side: int, mean: Sequence[float] = (0.5,) * 3, std: Sequence[float] = (0.5,) * 3) -> Any:
    return BlipImageProcessorPil(size={"height": side, "width": side}, image_mean=list(mean), image_std=list(std))


def _small_siglip(shape: Tiny) -> SiglipVisionConfig:
    return SiglipVisionConfig(
        hidden_size=shape.hidden_size,
        intermediate_size=2 * shape.hidden_size,
        num_hidden_layers=shape.layers,
        num_attention_heads=4,
        image_size=shape.image_size,
        patch_size=shape.patch_size,
        vision_use_head=False,
    )


def _small_opt(shape: Tiny, tokenizer: Any) -> OPTConfig:
    return OPTConfig(
        hidden_size=shape.hidden_size,
        word_embed_proj_dim=shape.hidden_size,
        num_hidden_layers=shape.layers,
        num_attention_heads=4,
        ffn_dim=2 * shape.hidden_size,
        vocab_size=len(tokenizer),
        max_position_embeddings=CONTEXT,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        init_std=shape.hidden_size**-0.5,
        dropout=shape.dropout,
    )
