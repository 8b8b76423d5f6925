"""The paper's Table 1 beside what is in the files."""

from collections.abc import Sequence

from metrics.common.tables import WideTable
from recommend.retrieval.fashion_iq import Split

# Jeong (2022), Table 1, after Wu et al. (2021): photos, photos with side labels, captions.
PRINTED = {
    ("dress", "train"): (11_452, 7_741, 11_970),
    ("dress", "val"): (3_817, 2_561, 4_034),
    ("dress", "test"): (3_818, 2_653, 4_048),
    ("shirt", "train"): (19_036, 12_062, 11_976),
    ("shirt", "val"): (6_346, 4_014, 4_076),
    ("shirt", "test"): (6_346, 3_995, 4_078),
    ("toptee", "train"): (16_121, 9_925, 12_054),
    ("toptee", "val"): (5_374, 3_303, 3_924),
    ("toptee", "test"): (5_374, 3_210, 4_112),
}
KNOWN = "toptee, val: 5,374 photos and 3,924 captions are printed, 5,373 and 3,922 are in the official files"


def table1(splits: Sequence[Split]) -> WideTable:
    """A row for each split: what the files have, and in brackets what the paper prints."""
    columns = ["photos", "with labels", "captions", "pairs"]
    table = WideTable(["category", "split"], columns, "Files (paper's Table 1)", KNOWN)
    for split in splits:
        printed = PRINTED[split.category, split.name]
        found = (len(split.ids), split.with_labels, split.captions)
        cells = [f"{ours:,} ({theirs:,})" for ours, theirs in zip(found, printed, strict=True)]
        table.add_row(split.category, split.name, *cells, f"{len(split.pairs):,}")
    return table
