"""Category accuracy: is a caption's category, as a trained classifier reads it, the item's own?

As in the published results (omgwenxx/multimodal-fashion-analysis): a classifier fine-tuned on reference captions
(`train-classifier`) predicts a category from each generated caption.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.captions import CaptionRecord
from metrics.category_details import NO_CAPTION, NO_CATEGORY, category_details
from metrics.classifier import RECORD, missing_packages, read_record
from metrics.corpus import Corpus
from metrics.errors import UserError
from metrics.files import read_bytes
from metrics.measures import Measure, Measured
from metrics.ngrams import Integers
from metrics.statistics import Floats, mean_of

_HASH = 8
_NAMED = 5


class Category(Measure):
    """Share of items whose generated caption is read as of the item's own category.

    Raises:
        UserError: when `folder` holds no finished text classifier with named labels.
    """

    names = ("Acc",)
    uses_torch = True

    def __init__(self, folder: Path) -> None:
        config = _config(folder)
        self.folder = folder
        self.labels = tuple(config["id2label"][str(number)] for number in range(len(config["id2label"])))
        self.record = read_record(folder) or {}
        self.tokenizer = str(config["model_type"])

    def absent(self) -> str | None:
        """Without torch or transformers there is no classifier."""
        return missing_packages()

    def measure(self, corpus: Corpus) -> list[Measured]:
        """Predict from all distinct captions and references once.

        A caption that is missing or empty scores 0; an item without a category is left out.

        Raises:
            UserError: when an item is of a category that the classifier does not know, or no item has any.
        """
        from metrics.text_classifier import load_classifier  # noqa: PLC0415

        truth = self._truth(corpus.items)
        texts = list(dict.fromkeys(_texts(corpus)))
        ranked = dict(zip(texts, load_classifier(self.folder).rank(texts), strict=True))
        ceiling = _ceiling(corpus, truth, ranked)
        nothing = np.full(min(3, len(self.labels)), NO_CAPTION)
        signature = self._signature()
        measured = []
        for captions in corpus.captions:
            predicted = np.array([ranked.get(caption, nothing) for caption in captions])
            details = category_details(truth, predicted, self.labels)
            found = {"accuracy_of_references": ceiling, "classifier": self._account(), **details}
            measured.append(Measured({"Acc": mean_of(_hits(truth, predicted[:, :1]))}, signature, found))
        return measured

    def _truth(self, items: Sequence[CaptionRecord]) -> Integers:
        """Return the number of each item's category, `NO_CATEGORY` where it has none, (n,)."""
        numbers = {label: number for number, label in enumerate(self.labels)}
        unknown = sorted({item.category for item in items if item.category} - set(numbers))
        if unknown:
            raise UserError(
                f"Acc: {self.folder} does not know {len(unknown)} categories of the items: "
                f"{_suggestions(unknown, self.labels)}. Its own are {_first(self.labels)}. Train one on this "
                "catalogue: python -m metrics train-classifier"
            )
        if not any(item.category for item in items):
            raise UserError('Acc: no item has a "category"; give references that have, with --references')
        return np.array([numbers[item.category] if item.category else NO_CATEGORY for item in items])

    def _signature(self) -> tuple[str, ...]:
        digest = hashlib.sha256(json.dumps(self.labels).encode())
        for name in sorted(path.name for path in self.folder.glob("*.safetensors")):
            digest.update(read_bytes(self.folder / name))
        base = Path(str(self._account()["base"])).name
        return f"classifier:{digest.hexdigest()[:_HASH]}", f"base:{base}"

    def _account(self) -> dict[str, Any]:
        """What is known of how the classifier came about; nothing but its folder where it is somebody else's."""
        told = ("best_epoch", "validation_accuracy", "test_accuracy")
        known: dict[str, Any] = {key: self.record[key] for key in told if key in self.record}
        base = self.record.get("settings", {}).get("base", self.folder.resolve().name)
        return {"folder": str(self.folder), "base": base, "categories": len(self.labels), **known}


def _texts(corpus: Corpus) -> list[str]:
    groups = [*corpus.references, *corpus.captions]
    return [text for group in groups for text in group if text.strip()]


def _hits(truth: Integers, ranked: Integers) -> Floats:
    hit = (ranked == truth[:, None]).any(axis=1).astype(np.float64)
    return np.where(truth == NO_CATEGORY, np.nan, hit)


def _ceiling(corpus: Corpus, truth: Integers, ranked: Mapping[str, NDArray[Any]]) -> dict[str, float]:
    """Return the accuracy on the references themselves, by slice: the mean of items', an item's that of its texts'."""
    nothing = [NO_CAPTION]
    per_item = np.array(
        [
            np.mean([ranked.get(text, nothing)[0] == number for text in texts]) if number != NO_CATEGORY else np.nan
            for texts, number in zip(corpus.references, truth, strict=True)
        ]
    )
    seen = [item.seen for item in corpus.items]
    slices = {
        "all": np.full(len(seen), True),
        "seen": np.array([flag is True for flag in seen]),
        "unseen": np.array([flag is False for flag in seen]),
    }
    known = ~np.isnan(per_item)
    return {name: float(per_item[part & known].mean()) for name, part in slices.items() if (part & known).any()}


def _config(folder: Path) -> dict[str, Any]:
    cure = "make one with: python -m metrics train-classifier"
    if not folder.is_dir():
        raise UserError(f"{folder}: no folder of a category classifier; {cure}")
    record = read_record(folder)
    if record is not None and not record.get("finished"):
        raise UserError(f"{folder / RECORD}: its training has not ended; run the same train-classifier again to go on")
    try:
        config = dict(json.loads((folder / "config.json").read_text(encoding="utf-8")))
        whole = len(config["id2label"]) > 1 and "model_type" in config and any(folder.glob("*.safetensors"))
    except (OSError, ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise UserError(f"{folder}: no category classifier (config.json with id2label, *.safetensors) there; {cure}")
    return config


def _suggestions(unknown: Sequence[str], labels: Sequence[str]) -> str:
    shown = []
    for category in unknown[:_NAMED]:
        near = get_close_matches(category, labels, n=1)
        shown.append(f"{category!r}" + (f" (it has {near[0]!r})" if near else ""))
    return ", ".join(shown) + (f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else "")


def _first(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - _NAMED} more" if len(labels) > _NAMED else ""
    return ", ".join(map(repr, labels[:_NAMED])) + more
