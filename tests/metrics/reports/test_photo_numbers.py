"""Scores by photo number, where products have several photos after one another."""

from typing import Any

import numpy as np
import pytest
from given_measure import Given

from metrics import CaptionRecord, score_captions
from metrics.reports.findings.photos import scores_by_photo

# Product and row of each item's photo, in no order; the product "a" has three, "b" two, "c" one.
PHOTOS = [("b", 8), ("a", 3), ("a", 5), ("c", 10), ("a", 4), ("b", 9)]
VALUES = [0.8, 0.3, 0.5, 0.1, 0.4, np.nan]


def items(image: str, product: bool = True) -> list[CaptionRecord]:
    return [
        CaptionRecord(str(row), "a dress", one if product else None, image.format(row), references=("a dress",))
        for one, row in PHOTOS
    ]


def by_photo(records: list[CaptionRecord], values: list[float]) -> list[dict[str, Any]]:
    (rows,) = scores_by_photo(score_captions(records, measures=[Given("CIDEr", {}, values)], clusters=["item"]))
    return rows


def test_means_by_photo_number_beside_the_first_photos_of_the_same_products() -> None:
    rows = by_photo(items("TEST_IMAGES.hdf5/{}"), VALUES)
    assert [(row["photo"], row["n"]) for row in rows] == [("1", 3), ("2", 2), ("3", 1)]
    # b's second photo is left out by the measure.
    assert [row["scores"]["CIDEr"] for row in rows] == pytest.approx([(0.8 + 0.3 + 0.1) / 3, 0.4, 0.5])
    assert [row["first"]["CIDEr"] for row in rows] == pytest.approx([0.4, (0.3 + 0.8) / 2, 0.3])


def test_the_last_rows_stand_together() -> None:
    records = [CaptionRecord(str(row), "x", "a", f"IMAGES.hdf5/{row}", references=("x",)) for row in range(20, 34)]
    rows = by_photo(records, [1.0] * 14)
    assert (len(rows), rows[-1]["photo"], rows[-1]["n"]) == (10, "10 and later", 5)


@pytest.mark.parametrize(
    "records",
    [items("images/{}.jpg"), items("TEST_IMAGES.hdf5/{}", product=False), items("TEST_IMAGES.hdf5/{}")[2:4]],
    ids=["colourways", "no products", "one photo each"],
)
def test_nothing_is_said_of_other_catalogues(records: list[CaptionRecord]) -> None:
    assert by_photo(records, [0.5] * len(records)) == []
