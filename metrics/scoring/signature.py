"""A score's signature: what determines the number, to be quoted with it."""

import math
import re
from collections.abc import Sequence
from itertools import compress

from metrics.common.version import installed_version
from metrics.measures.statistics import Floats
from metrics.records.run import RunRecord
from metrics.scoring.clusters import Clusters


def signature(
    name: str,
    tokenizer: str,
    further: Sequence[str],
    references: Sequence[int] | None,
    per_item: Floats,
    clusters: Clusters | None = None,
) -> str:
    """Return what determines a measure's number and interval on the items of a slice, joined by bars.

    That is measure, tokenizer, references per item (`references`, (n,); None if it looks at none), number of items,
    what measure and system add (`further`: document frequencies, Java, ...), if it has an interval what the items are
    clustered by and into how many clusters, and Lookbook's version. Items that the measure leaves out (NaN in
    `per_item`) count nowhere.
    """
    counted = [not math.isnan(value) for value in per_item]
    counts = list(compress(references, counted)) if references is not None else []
    low, high = min(counts, default=0), max(counts, default=0)
    parts = [
        "CIDEr-D" if name == "CIDEr" else name,
        f"tok:{tokenizer}",
        f"refs:{low}" if low == high else f"refs:{low}-{high}",
        f"n:{sum(counted)}",
        *further,
        *([f"unit:{clusters.unit}", f"clusters:{clusters.counted(per_item)}"] if clusters else []),
        f"lookbook:{installed_version()}",
    ]
    return "|".join(parts)


def lookup_parts(run: RunRecord | None) -> list[str]:
    """Return what determines the captions of a look-up baseline: its rule, the photos' features, how many it reads."""
    lookup = run.lookup if run else {}
    keys = {"captions": "rule", "encoder": "encoder", "features": "features", "k": "k"}
    values = {name: re.sub(r"[|`\s]+", " ", str(lookup[key])) for name, key in keys.items() if key in lookup}
    return [f"{name}:{value}" for name, value in values.items()]
