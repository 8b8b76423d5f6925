"""Texts by any model of sentence-transformers."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from finetune.data.feature_files import About
from finetune.models.encoders.base import Encoder, Reads
from metrics.encoders.pretrained import (
    hub_commit,
    loading,
    quiet,
    settings_digest,
    tokenizer_settings,
    weights_digest,
)


class SentenceEncoder(Encoder):
    """The model's own pooling; of a text that is longer than it reads, the beginning."""

    reads: Reads = "text"

    def __init__(self, name: str, device: str, revision: str | None = None) -> None:
        self.name = name
        with loading(name, "an encoder of texts", "a Hub id or a folder of sentence-transformers, with safetensors"):
            self._model = SentenceTransformer(
                name,
                device=device,
                revision=revision,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            ).eval()
            self._revision = hub_commit(name, revision)
            self.shape = (int(self._model.get_embedding_dimension() or 0),)
            settings = tokenizer_settings(self._model.tokenizer), f"{self._model.max_seq_length}"
        self._weights = weights_digest(self._model.state_dict())
        self._processor = settings_digest(*settings)

    def about(self) -> About:
        """As every encoder, with its revision, weights and processor."""
        return replace(super().about(), revision=self._revision, weights=self._weights, processor=self._processor)

    def too_long(self, texts: Sequence[str]) -> int:
        """How many of the texts it reads only the beginning of."""
        with quiet():
            ids = self._model.tokenizer(list(texts), return_attention_mask=False)["input_ids"]
        return sum(len(one) > (self._model.max_seq_length or len(one)) for one in ids)

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The model's vectors (n, d)."""
        return np.asarray(self._model.encode(list(texts), show_progress_bar=False), dtype=np.float32)
