"""Encoders of photos and texts into one space: any CLIP or SigLIP of transformers. Imports torch."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from huggingface_hub import hf_hub_download
from numpy.typing import NDArray
from tqdm import tqdm
from transformers import (
    AutoTokenizer,
    CLIPImageProcessorPil,
    CLIPModel,
    PreTrainedConfig,
    SiglipImageProcessorPil,
    SiglipModel,
)

from metrics.common.errors import UserError
from metrics.common.images import load_photo
from metrics.common.parallel import cores
from metrics.encoders.pretrained import loading, quiet

Vectors = NDArray[np.float32]
Dtype = Literal["float32", "bfloat16", "float16"]
_BATCH = 64
_PATIENCE = 2.0  # seconds before the bar appears
_DIGITS = 8  # of the weights' hash


@dataclass(frozen=True, slots=True)
class Architecture:
    """How a kind of model is loaded and fed.

    Attributes:
        model: its class.
        photos: its image processor, on Pillow whether or not torchvision is installed, so that vectors are the same.
        fixed_length: whether texts are padded to the longest that it reads, without a mask, as SigLIP was trained: it
            pools the last place, padding or not. CLIP pools the end token and needs neither.
    """

    model: Any
    photos: Any
    fixed_length: bool


ARCHITECTURES = {
    "clip": Architecture(CLIPModel, CLIPImageProcessorPil, fixed_length=False),
    "siglip": Architecture(SiglipModel, SiglipImageProcessorPil, fixed_length=True),
}


class DualEncoder:
    """A model that maps photos and texts to unit vectors of d numbers, whose products are cosines.

    Attributes:
        source: its Hub id or folder.
        revision: the Hub's commit that it was loaded from, None of a folder.
        weights: hash of its weights as they were loaded, 8 hexadecimal digits.
        dtype: the type it computes in.
        width: d.
        reads: the number of tokens of a text that it reads, special tokens included.
    """

    def __init__(self, source: str, revision: str | None, model: Any, tokenizer: Any, photos: Any, device: str) -> None:
        self.source, self.revision, self.weights = source, revision, _digest(model)
        self.dtype = str(model.dtype).removeprefix("torch.")
        config = model.config
        self.width = int(getattr(config, "projection_dim", config.vision_config.hidden_size))
        self.reads = min(int(config.text_config.max_position_embeddings), int(tokenizer.model_max_length))
        self._fixed_length = ARCHITECTURES[config.model_type].fixed_length
        self._model, self._tokenizer, self._photos = model.eval().to(device), tokenizer, photos

    def encode_photos(
        self, paths: Sequence[str | Path], title: str = "photos", owners: Sequence[str] | None = None
    ) -> Vectors:
        """Return the unit vector of each of n photos, files or `FILE.hdf5/ROW`, (n, d).

        Decoded photos are in memory one a core, their pixels as the model takes them one batch. `owners`, n, are what
        an error calls the photos by besides their files.

        Raises:
            UserError: naming owner and file, when a photo is missing or broken, and when a vector is not finite.
        """
        with ThreadPoolExecutor(cores()) as pool:

            def encode(places: Sequence[int]) -> torch.Tensor:
                owned = [f"{owners[place]}: " if owners else "" for place in places]
                inputs = list(pool.map(self._pixels, [paths[place] for place in places], owned))
                return self._features(self._model.get_image_features, _stacked(inputs))

            return self._in_batches(range(len(paths)), encode, title, "photo")

    def encode_texts(self, texts: Sequence[str], title: str = "texts") -> Vectors:
        """Return the unit vector of each of n texts, (n, d); of a longer one than it reads, that of its beginning.

        Raises:
            UserError: when a vector is not finite.
        """

        def encode(places: Sequence[int]) -> torch.Tensor:
            return self._features(self._model.get_text_features, self._tokens([texts[place] for place in places]))

        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        return self._in_batches(order, encode, title, "text")

    def too_long(self, texts: Sequence[str]) -> int:
        """Return the number of texts of which it reads only the beginning."""
        if not texts:
            return 0
        with quiet():
            encoded = self._tokenizer(_with_utf_8(texts), return_attention_mask=False)
        return sum(len(ids) > self.reads for ids in encoded["input_ids"])

    def _pixels(self, path: str | Path, owner: str) -> dict[str, torch.Tensor]:
        try:
            photo = load_photo(path)
        except UserError as error:
            raise UserError(f"{owner}{error}") from error
        return dict(self._photos(images=photo, return_tensors="pt"))

    def _tokens(self, texts: Sequence[str]) -> dict[str, torch.Tensor]:
        padding = "max_length" if self._fixed_length else "longest"
        return dict(
            self._tokenizer(
                _with_utf_8(texts),
                padding=padding,
                truncation=True,
                max_length=self.reads,
                return_attention_mask=not self._fixed_length,
                return_tensors="pt",
            )
        )

    @torch.inference_mode()
    def _features(self, encode: Callable[..., Any], inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        moved = {name: value.to(self._model.device) for name, value in inputs.items()}
        if "pixel_values" in moved:
            moved["pixel_values"] = moved["pixel_values"].to(self._model.dtype)
        features = encode(**moved)
        pooled = features if isinstance(features, torch.Tensor) else features.pooler_output
        return torch.nn.functional.normalize(pooled.float(), dim=-1).cpu()

    def _in_batches(
        self, order: Sequence[int], encode: Callable[[Sequence[int]], torch.Tensor], title: str, unit: str
    ) -> Vectors:
        vectors = np.empty((len(order), self.width), dtype=np.float32)
        with tqdm(total=len(order), desc=title, unit=unit, delay=_PATIENCE, mininterval=1, leave=False) as bar:
            for start in range(0, len(order), _BATCH):
                places = list(order[start : start + _BATCH])
                vectors[places] = encode(places).numpy()
                bar.update(len(places))
        if not np.isfinite(vectors).all():
            raise UserError(f"{self.source}: its vectors of {title} are not finite numbers; are its weights damaged?")
        return vectors


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
        commit = None if Path(name).exists() else _commit(name, revision)
        tokenizer = AutoTokenizer.from_pretrained(name, revision=commit)
        photos = architecture.photos.from_pretrained(name, revision=commit)
        # Of `main`, not of its commit, transformers finds the copy that the Hub's bot made of weights in pickle alone.
        model, report = architecture.model.from_pretrained(
            name, revision=revision, use_safetensors=True, dtype=getattr(torch, dtype), output_loading_info=True
        )
    missing = sorted(report["missing_keys"])
    if missing:
        raise UserError(f"{source}: the weights lack {len(missing)} tensors of the encoder, for example {missing[0]}")
    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    return DualEncoder(name, commit, model, tokenizer, photos, chosen)


def _split(source: str) -> tuple[str, str]:
    """Return Hub id or folder, and the revision that is named after it."""
    if Path(source).exists():
        return source, "main"
    name, _, revision = source.partition("@")
    return name, revision or "main"


def _commit(name: str, revision: str) -> str:
    """Return the commit of a revision on the Hub; the cache keeps the files of each in a folder of its name."""
    return Path(hf_hub_download(name, "config.json", revision=revision)).parent.name


def _with_utf_8(texts: Sequence[str]) -> list[str]:
    """Return the texts with a question mark for each lone surrogate, which tokenizers cannot read."""
    return [text.encode(errors="replace").decode() for text in texts]


def _stacked(inputs: Sequence[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {name: torch.cat([one[name] for one in inputs]) for name in inputs[0]}


def _digest(model: Any) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()[:_DIGITS]
