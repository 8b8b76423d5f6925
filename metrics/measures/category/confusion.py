"""Which categories a system's captions get right, and which they confuse."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from metrics.measures.statistics import Floats
from metrics.text.ngrams import Integers

NO_CATEGORY = -1
NO_CAPTION = -1


def by_slice(per_item: Floats, seen: Sequence[bool | None]) -> dict[str, float]:
    """Return the mean of n items' values without NaN: of all, seen and unseen items, if there are any."""
    flags = np.array(seen, dtype=object)
    slices = {"all": np.full(len(flags), True), "seen": np.equal(flags, True), "unseen": np.equal(flags, False)}
    known = ~np.isnan(per_item)
    places = {name: np.flatnonzero(part.astype(bool) & known) for name, part in slices.items()}
    return {name: float(per_item[part].mean()) for name, part in places.items() if len(part)}


def category_details(truth: Integers, ranked: Integers, labels: Sequence[str]) -> dict[str, Any]:
    """Return the further results of the report, over the items that have a category.

    Macro-F1 is the mean of F1 over the categories that the items have (scikit-learn's `f1_score` with these as
    `labels`, a missing caption counting as of none of them).

    Args:
        truth: (n,) number of each item's category, -1 if it has none.
        ranked: (n, k) the most probable labels of its caption, best first, -1 if there is no caption.
        labels: names of the C categories.
    """
    known = truth != NO_CATEGORY
    true, predicted = truth[known], ranked[known, 0]
    pairs, counts = np.unique(np.column_stack([true, predicted]), axis=0, return_counts=True)
    written = pairs[:, 1] != NO_CAPTION
    per_category = _per_category(true, predicted, labels)
    return {
        "macro_f1": float(np.mean([one["f1"] for one in per_category])),
        "top_3": float(np.mean((ranked[known] == true[:, None]).any(axis=1))),
        "per_category": per_category,
        "confusion": {
            "labels": list(labels),
            "counts": np.column_stack([pairs, counts])[written].tolist(),
        },
        "without_caption": int(counts[~written].sum()),
        "without_category": int((~known).sum()),
    }


def _per_category(true: Integers, predicted: Integers, labels: Sequence[str]) -> list[dict[str, Any]]:
    """Return each category that items have, most frequent first; precision is 0 if it is never predicted."""
    size = len(labels)
    items, hits = np.bincount(true, minlength=size), np.bincount(true[true == predicted], minlength=size)
    guesses = np.bincount(predicted[predicted != NO_CAPTION], minlength=size)
    there = sorted(np.flatnonzero(items).tolist(), key=lambda number: (-items[number], labels[number]))
    return [
        {
            "category": labels[number],
            "n": int(items[number]),
            "precision": float(hits[number] / max(guesses[number], 1)),
            "recall": float(hits[number] / items[number]),
            "f1": float(2 * hits[number] / (items[number] + guesses[number])),
        }
        for number in there
    ]
