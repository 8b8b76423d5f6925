"""Loading a CLIP or SigLIP of transformers as a dual encoder. Imports torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import (
    AutoTokenizer,
    CLIPImageProcessorPil,
    CLIPModel,
    PreTrainedConfig,
    SiglipImageProcessorPil,
    SiglipModel,
)

from metrics.encoders.dual_encoder import DualEncoder
from metrics.encoders.pretrained import hub_commit, loading, weights_digest
from metrics.encoders.safe_loading import load_model, load_part

Dtype = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True, slots=True)
class Architecture:
    """How a kind of model is loaded and fed.

    Attributes:
        model: its class.
        photos: its image processor, on Pillow whether or not torchvision is installed, so that vectors are the same.
        fixed_length: as `DualEncoder` takes it. SigLIP pools a text's last place, padding or not; CLIP its end token.
    """

    model: Any
    photos: Any
    fixed_length: bool


ARCHITECTURES = {
    "clip": Architecture(CLIPModel, CLIPImageProcessorPil, fixed_length=False),
    "siglip": Architecture(SiglipModel, SiglipImageProcessorPil, fixed_length=True),
}


def load_dual_encoder(source: str, device: str | None = None, dtype: Dtype = "float32") -> DualEncoder:
    """Load a CLIP or SigLIP from safetensors. No code of the checkpoint is run.

    Args:
        source: a folder, or a Hub id, which may name a commit or branch: `openai/clip-vit-base-patch32@REVISION`.
        device: torch's name of it; default: the GPU if there is one.
        dtype: the type it computes in.

    Raises:
        UserError: when it does not exist, is no dual encoder, or its weights are incomplete or not safetensors.
    """
    name, revision = _split(source)
    kind = f"a dual encoder of photos and texts ({', '.join(ARCHITECTURES)})"
    expected = "a Hub id, or a folder with config.json, *.safetensors, preprocessor_config.json and a tokenizer"
    with loading(source, kind, expected):
        config, _ = PreTrainedConfig.get_config_dict(name, revision=revision)
        architecture = ARCHITECTURES.get(config.get("model_type"))
        if architecture is None:
            raise ValueError(f"its model_type is {config.get('model_type')!r}")
        commit = hub_commit(name, revision)
        tokenizer = load_part(AutoTokenizer, name, commit)
        photos = load_part(architecture.photos, name, commit)
        # Of `main`, not of its commit, transformers finds the copy that the Hub's bot made of pickled weights.
        model, missing = load_model(architecture.model, name, revision, dtype=getattr(torch, dtype))
        if missing:
            raise ValueError(f"the weights lack {len(missing)} tensors of the encoder, for example {missing[0]}")
        weights = weights_digest(model.state_dict())
        model = model.eval().to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        return DualEncoder(name, commit, weights, model, tokenizer, photos, architecture.fixed_length)


def _split(source: str) -> tuple[str, str]:
    """Return Hub id or folder, and the revision that is named after it."""
    if Path(source).exists():
        return source, "main"
    name, _, revision = source.partition("@")
    return name, revision or "main"
