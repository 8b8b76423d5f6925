"""Encoders that are trained with the projections: models of transformers for photos and texts. Imports PyTorch."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

from finetune.models.encoders.base import Reads
from finetune.models.encoders.kinds import kind_of, split_name
from metrics.common.errors import UserError
from metrics.encoders.pretrained import loading
from metrics.encoders.safe_loading import load_model, load_part
from metrics.photos.reading import load_photo

_LONGEST = 64  # tokens of a text; two captions of FashionIQ have about 20
_EXPECTED = "a Hub id or a folder with config.json and *.safetensors"


class TunedPhotos(nn.Module):
    """A vision model of transformers, pooled."""

    def __init__(self, name: str, photos: Mapping[str, Path]) -> None:
        super().__init__()
        self.name, self.files = name, photos
        source, revision = _tunable(name, "photo")
        with loading(name, "an encoder of photos to tune", _EXPECTED):
            self.model, _ = load_model(AutoModel, source, revision, dtype=torch.float32)
            self.processor = load_part(AutoImageProcessor, source, revision, backend="pil")
            with torch.no_grad():
                self.width = int(self(self._pixels([Image.new("RGB", (8, 8))])).shape[-1])

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels (n, 3, side, side) to features (n, width)."""
        pooled = self.model(pixel_values=pixels).pooler_output
        if pooled is None:
            raise UserError(f"photo.encoder: {self.name} has no pooled output; name another, or leave tune out")
        features: Tensor = pooled.flatten(1)
        return features

    def inputs(self, ids: Sequence[str]) -> Tensor:
        """Pixels of the photos with these ids. Raises `UserError` naming a file that is broken."""
        return self.read([self.files[key] for key in ids])

    def read(self, paths: Sequence[Path]) -> Tensor:
        """Pixels of the photos in files."""
        return self._pixels([load_photo(path) for path in paths])

    def _pixels(self, photos: Sequence[Image.Image]) -> Tensor:
        pixels: Tensor = self.processor(images=list(photos), return_tensors="pt")["pixel_values"]
        return pixels


class TunedTexts(nn.Module):
    """A language model of transformers; the state of the first token, as the paper's model takes DistilBERT's."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        source, revision = _tunable(name, "text")
        with loading(name, "an encoder of texts to tune", _EXPECTED):
            self.model, _ = load_model(AutoModel, source, revision, dtype=torch.float32)
            self.tokenizer = load_part(AutoTokenizer, source, revision)
            with torch.no_grad():
                self.width = int(self(self.inputs(["a"])).shape[-1])

    def forward(self, tokens: Mapping[str, Tensor]) -> Tensor:
        """Tokens (n, length) to features (n, width)."""
        states: Tensor = self.model(**tokens).last_hidden_state
        return states[:, 0]

    def inputs(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Ids and mask of the tokens; of a text that is longer than 64 tokens, the beginning."""
        longest = min(_LONGEST, self.tokenizer.model_max_length)
        tokens = self.tokenizer(list(texts), padding=True, truncation=True, max_length=longest, return_tensors="pt")
        return {name: tokens[name] for name in ("input_ids", "attention_mask")}


def _tunable(name: str, reads: Reads) -> tuple[str, str | None]:
    """The source and revision of a model that reads nothing but photos, or nothing but texts. Raises `UserError`."""
    source, revision = split_name(name)
    found = kind_of(source, revision)
    if found != reads:
        what = "photos and texts" if found == "both" else f"{found}s"
        raise UserError(
            f"{reads}.encoder: {name} reads {what}; to tune, name a model of {reads}s alone, or leave tune out"
        )
    return source, revision
