"""A transformers model that predicts the category of a text: loading and prediction. Imports torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES as TEXT_CLASSIFIERS

from metrics.common.errors import UserError
from metrics.common.screen import progress
from metrics.encoders.pretrained import loading
from metrics.encoders.safe_loading import load_model, load_part
from metrics.text.ngrams import Integers
from metrics.text.spelling import with_utf_8

RANKS = 3
_BATCH = 64


class TextClassifier:
    """A sequence-classification model with its tokenizer.

    Attributes:
        labels: the C categories, in the order of the model's outputs.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.labels = tuple(model.config.id2label[number] for number in range(model.config.num_labels))

    @property
    def reads(self) -> int:
        """The number of tokens of a text that it reads, special tokens included."""
        longest = int(self.tokenizer.model_max_length)
        return min(getattr(self.model.config, "max_position_embeddings", None) or longest, longest)

    def too_long(self, texts: Sequence[str]) -> int:
        """Return the number of texts of which it reads only the beginning."""
        encoded = self._token_ids(texts, verbose=False) if texts else []
        return sum(len(ids) > self.reads for ids in encoded)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text, cut to the length that it reads."""
        return self._token_ids(texts, truncation=True, max_length=self.reads)

    def _token_ids(self, texts: Sequence[str], **options: Any) -> list[list[int]]:
        encoded = self.tokenizer([*map(with_utf_8, texts)], return_attention_mask=False, **options)
        return list(encoded["input_ids"])

    def pad(self, sequences: Sequence[Sequence[int]]) -> dict[str, torch.Tensor]:
        """Return `input_ids` and `attention_mask` (n, longest) of n encoded texts."""
        return dict(self.tokenizer.pad({"input_ids": list(sequences)}, return_tensors="pt"))

    def rank(self, texts: Sequence[str], title: str = "categories") -> Integers:
        """Return the most probable labels of each of n texts, best first, (n, min(3, C)); equal texts run once.

        Raises:
            UserError: when the model's outputs are not finite numbers.
        """
        places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        encoded = self.encode(list(places)) if places else []
        order = sorted(range(len(encoded)), key=lambda place: len(encoded[place]))
        ranked = np.zeros((len(encoded), min(RANKS, len(self.labels))), dtype=np.int64)
        self.model.eval()
        with progress(None, title, total=len(order), unit="caption", leave=False) as bar:
            for start in range(0, len(order), _BATCH):
                batch = order[start : start + _BATCH]
                ranked[batch] = self._rank([encoded[place] for place in batch])
                bar.update(len(batch))
        return ranked[[places[text] for text in texts]]

    @torch.inference_mode()
    def _rank(self, sequences: Sequence[Sequence[int]]) -> Integers:
        inputs = {name: value.to(self.model.device) for name, value in self.pad(sequences).items()}
        logits = self.model(**inputs).logits.float().cpu().numpy()
        if not np.isfinite(logits).all():
            raise UserError(
                "the outputs of the category classifier are not finite numbers; was its learning rate too high?"
            )
        return np.asarray(np.argsort(-logits, axis=1, kind="stable")[:, :RANKS], dtype=np.int64)


def load_classifier(folder: Path) -> TextClassifier:
    """Load a trained classifier onto the GPU if there is one.

    Raises:
        UserError: when the folder holds no whole sequence-classification model in safetensors.
    """
    model, tokenizer, missing = _load(str(folder))
    if missing:
        raise UserError(f"{folder}: no trained classifier: the weights lack {missing[0]}; see train-classifier")
    return TextClassifier(model.to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer)


def load_base(base: str, labels: Sequence[str]) -> TextClassifier:
    """Load a text encoder, a Hub id or a folder, under a new linear head for `labels`.

    Raises:
        UserError: when it does not exist, is not a text encoder, or its weights are incomplete or not safetensors.
    """
    names = {
        "id2label": dict(enumerate(labels)),
        "label2id": {label: number for number, label in enumerate(labels)},
        "ignore_mismatched_sizes": True,
    }
    model, tokenizer, missing = _load(base, **names)
    trunk = f"{model.base_model_prefix}."
    lacking = [name for name in missing if name.startswith(trunk) and "pooler" not in name]
    if lacking:
        raise UserError(f"{base}: the weights lack {len(lacking)} tensors of the encoder, for example {lacking[0]}")
    if tokenizer.pad_token is None:
        raise UserError(f"{base}: its tokenizer has no padding token; choose an encoder such as bert-base-uncased")
    return TextClassifier(model, tokenizer)


def _load(source: str, **config: Any) -> tuple[Any, Any, list[str]]:
    """Return model, tokenizer and the names of missing weights. No code of the checkpoint is run."""
    with loading(source, "a text classifier", "a Hub id, or a folder with config.json, *.safetensors and a tokenizer"):
        kind = PreTrainedConfig.get_config_dict(source)[0].get("model_type")
        if kind in TEXT_CLASSIFIERS:
            tokenizer = load_part(AutoTokenizer, source)
            model, missing = load_model(AutoModelForSequenceClassification, source, dtype=torch.float32, **config)
            return model, tokenizer, missing
    raise UserError(f"{source}: model_type {kind!r} is no text encoder; choose one such as bert-base-uncased")
