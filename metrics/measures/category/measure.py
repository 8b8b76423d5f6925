"""Category accuracy: whether the category that a trained classifier predicts from a caption is the item's own.

As in the published results (omgwenxx/multimodal-fashion-analysis): a classifier fine-tuned on reference captions
(`train-classifier`) predicts a category from each generated caption.
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from metrics.common.errors import UserError
from metrics.common.files import read_json_object
from metrics.encoders.packages import missing_packages
from metrics.measures.base import Measure, Measured
from metrics.measures.category.classifier import PACKAGES, RECORD, classifier_signature, read_record
from metrics.measures.category.confusion import NO_CAPTION, NO_CATEGORY, by_slice, category_details
from metrics.measures.category.examples import named
from metrics.measures.statistics import mean_of
from metrics.records.captions import CaptionRecord
from metrics.text.corpus import Corpus
from metrics.text.ngrams import Integers

_SHOWN = 5


class Category(Measure):
    """Share of items from whose generated caption the item's own category is predicted.

    Raises:
        UserError: when `folder` has no finished text classifier with named labels.
    """

    names = ("Acc",)
    work = "torch"

    def __init__(self, folder: Path) -> None:
        config = _config(folder)
        self.folder = folder
        self.labels = tuple(config["id2label"][str(number)] for number in range(len(config["id2label"])))
        self.record = read_record(folder) or {}
        self.categories = (*self.labels, *_unlearnt(self.record))
        self.tokenizer = str(config["model_type"])

    def absent(self) -> str | None:
        """Return what to install if torch or transformers is missing."""
        return missing_packages(*PACKAGES)

    def check(self, corpus: Corpus) -> None:
        """Raise `UserError` when the classifier does not know an item's category, or no item has one."""
        self._truth(corpus.items)

    def measure(self, corpus: Corpus) -> list[Measured]:
        """Predict once from each distinct caption and reference.

        A missing or empty caption scores 0, and so does every caption of a category that `train-classifier` reported as
        absent from its training captions; an item without a category is left out.

        Raises:
            UserError: as `check`, and when the folder has no complete model.
        """
        from metrics.measures.category.model import load_classifier  # noqa: PLC0415

        truth = self._truth(corpus.items)
        texts = list(dict.fromkeys(_texts(corpus)))
        classifier = load_classifier(self.folder)
        ranks = classifier.rank(texts)
        ranked, nothing = dict(zip(texts, ranks, strict=True)), np.full(ranks.shape[1], NO_CAPTION)
        ceiling = _ceiling(corpus, truth, ranked)
        signature = classifier_signature(self.folder, self.labels, str(self._account()["base"]))
        measured = []
        for captions in corpus.captions:
            predicted = np.array([ranked.get(caption, nothing) for caption in captions])
            details = {
                "accuracy_of_references": ceiling,
                "classifier": self._account(),
                **category_details(truth, predicted, self.categories),
                "cut_captions": classifier.too_long(captions),
            }
            hits = np.where(truth == NO_CATEGORY, np.nan, predicted[:, 0] == truth)
            measured.append(Measured({"Acc": mean_of(hits)}, signature, details, self._predicted(predicted)))
        return measured

    def _predicted(self, ranked: Integers) -> dict[str, list[str | None]]:
        """Return the category predicted from each caption, None without one."""
        return {"predicted": [None if best == NO_CAPTION else self.categories[best] for best in ranked[:, 0]]}

    def _truth(self, items: Sequence[CaptionRecord]) -> Integers:
        """Return the number of each item's category, `NO_CATEGORY` if it has none, (n,)."""
        numbers = {label: number for number, label in enumerate(self.categories)}
        unknown = sorted({item.category for item in items if item.category} - set(numbers))
        if unknown:
            raise UserError(
                f"Acc: {self.folder} does not know {len(unknown)} categories of the items: "
                f"{_suggestions(unknown, self.categories)}. Its own are {named(self.categories)}. Train one on this "
                "catalogue: lookbook train-classifier"
            )
        if not any(item.category for item in items):
            raise UserError('Acc: no item has a "category"; give references that have, with --references')
        return np.array([numbers[item.category] if item.category else NO_CATEGORY for item in items])

    def _account(self) -> dict[str, Any]:
        """What is known of the classifier's training; None if it was not tested or is not of `train-classifier`."""
        keys = ("best_epoch", "validation_accuracy", "test_accuracy")
        known = {key: self.record.get(key) for key in keys}
        base = self.record.get("settings", {}).get("base", self.folder.resolve().name)
        return {"folder": str(self.folder), "base": base, "categories": len(self.labels), **known}


def _unlearnt(record: Mapping[str, Any]) -> list[str]:
    """The categories of the other splits that training lacked."""
    return sorted({name for part in record.get("data", {}).values() for name in part["unknown_categories"]})


def _texts(corpus: Corpus) -> list[str]:
    groups = [*corpus.references, *corpus.captions]
    return [text for group in groups for text in group if text.strip()]


def _ceiling(corpus: Corpus, truth: Integers, ranked: Mapping[str, Integers]) -> dict[str, float]:
    """Return the accuracy on the references themselves, by slice: the mean of items', an item's that of its texts'."""
    per_item = [
        np.mean([_best(ranked, text) == number for text in texts]) if number != NO_CATEGORY else np.nan
        for texts, number in zip(corpus.references, truth, strict=True)
    ]
    return by_slice(np.array(per_item), [item.seen for item in corpus.items])


def _best(ranked: Mapping[str, Integers], text: str) -> int:
    return int(ranked[text][0]) if text in ranked else NO_CAPTION


def _config(folder: Path) -> dict[str, Any]:
    remedy = "make one with: lookbook train-classifier"
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; expected a category classifier; {remedy}")
    record = read_record(folder)
    if record is not None and not record.get("finished"):
        raise UserError(
            f"{folder / RECORD}: its training has not ended; run the same train-classifier again to resume it"
        )
    path = folder / "config.json"
    config = read_json_object(path, remedy) if path.is_file() else {}
    labels = config.get("id2label")
    named = (
        isinstance(labels, dict)
        and labels.keys() == {str(number) for number in range(len(labels))}
        and all(isinstance(label, str) for label in labels.values())
    )
    if not named or "model_type" not in config or not any(folder.glob("*.safetensors")):
        raise UserError(
            f"{folder}: expected a category classifier (config.json with id2label, *.safetensors), found none; {remedy}"
        )
    return config


def _suggestions(unknown: Sequence[str], labels: Sequence[str]) -> str:
    shown = []
    for category in unknown[:_SHOWN]:
        near = get_close_matches(category, labels, n=1)
        shown.append(f"{category!r}" + (f" (it has {near[0]!r})" if near else ""))
    return ", ".join(shown) + (f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else "")
