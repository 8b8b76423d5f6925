"""Our systems beside published rows: the paper's "% Impr.", and what does not compare."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from metrics import (
    CaptionRecord,
    CaptionSet,
    Measure,
    build_comparison,
    score_systems,
)
from metrics.measures.base import Measured
from metrics.measures.statistics import mean_of
from metrics.records.run import CatalogueInfo, RunRecord
from metrics.reports.published import IMPROVED, published_scores
from metrics.text.corpus import Corpus


class Given(Measure):
    """All measures of "% Impr.", of values that are given by system: what no machine has all parts for."""

    names = IMPROVED
    tokenizer = "none"

    def __init__(self, *values: Sequence[float]) -> None:
        self.values = values

    def measure(self, corpus: Corpus) -> list[Measured]:
        """Give every item its system's values."""
        items = len(corpus.items)
        return [
            Measured({name: mean_of(np.full(items, value)) for name, value in zip(self.names, of_one, strict=True)})
            for of_one in self.values
        ]


def system(name: str, kind: str | None, items: int, **run: Any) -> CaptionSet:
    captions = {str(n): CaptionRecord(str(n), "a", references=(f"a {n}",)) for n in range(items)}
    run = {"catalogue": CatalogueInfo(name="hm", split_method="published")} | run
    return CaptionSet(name, captions, RunRecord(kind=kind, **run) if kind else None)


def test_the_published_improvement_comes_out_as_printed_and_ours_by_the_same_measures() -> None:
    """Ours have the published scores of BLIP-2-2.7B and LLaVA-1.5-7B: LoRA keeps `model`, full training does not."""
    by_name = {(row.dataset, row.model, row.setting): row.scores for row in published_scores()}
    full = {"model": "runs/llava/model", "recipe": {"model": {"base": "llava"}}}
    chosen = {
        ("BLIP-2-2.7B", "PT"): system("blip before", "pretrained", 10_424, model="blip2"),
        ("LLaVA-1.5-7B", "PT"): system("llava before", "pretrained", 10_424, model="llava"),
        ("BLIP-2-2.7B", "FT"): system("blip after", "finetuned", 10_424, model="blip2"),
        ("LLaVA-1.5-7B", "FT"): system("llava after", "finetuned", 10_424, **full),
    }
    values = [[by_name["H&M", *key][name] / 100 for name in IMPROVED] for key in chosen]
    made = build_comparison(score_systems([*chosen.values()], None, [Given(*values)]), "hm")
    assert made["warnings"] == []
    assert made["slices"][0]["improved"] == list(IMPROVED)
    ours = {row["name"]: row["improvement"] for row in made["slices"][0]["rows"] if not row["published"]}
    theirs = {row["name"]: row["improvement"] for row in made["slices"][0]["rows"] if row["setting"] == "FT"}
    # As printed in Table 3.
    assert f"{ours['blip after']:.2f} {ours['llava after']:.2f}" == "2685.50 1289.53"
    assert f"{theirs['BLIP-2-2.7B']:.2f} {theirs['LLaVA-1.5-13B']:.2f}" == "2685.50 1255.67"
    assert ours["blip before"] is ours["llava before"] is None


def test_what_starts_from_nothing_is_in_nobodys_improvement() -> None:
    before, after = [0.0004, *[0.1] * 6], [0.3, *[0.2] * 6]
    systems = [system("before", "pretrained", 4, model="m"), system("after", "finetuned", 4, model="m")]
    [part] = build_comparison(score_systems(systems, None, [Given(before, after)]), "hm")["slices"]
    assert part["improved"] == [*IMPROVED[1:]]
    rows = {(row["name"], row["setting"]): row for row in part["rows"]}
    assert rows["after", "FT"]["improvement"] == pytest.approx(100.0)
    blip = next(row for row in published_scores() if (row.dataset, row.model) == ("H&M", "BLIP-2-2.7B"))
    assert blip.scores["BLEU-4"] == 0.3
    # The published 2685.50 without BLEU-4's (40.8 / 0.3 - 1) x 100, over six.
    assert rows["BLIP-2-2.7B", "FT"]["improvement"] == pytest.approx((7 * 2685.50 - 13500) / 6, abs=0.01)


def test_no_improvement_without_one_pretrained_system_of_the_model() -> None:
    finetuned = system("after", "finetuned", 3, model="m")
    for others in ([], [("a", "other")], [("a", "m"), ("b", "m")]):
        before = [system(name, "pretrained", 3, model=model) for name, model in others]
        values = [[0.1] * 7] * (len(others) + 1)
        [part] = build_comparison(score_systems([*before, finetuned], None, [Given(*values)]))["slices"]
        assert [row["improvement"] for row in part["rows"]] == [None] * (len(others) + 1)


@pytest.mark.parametrize(
    ("items", "run", "parts"),
    [
        (10_424, {}, []),
        (10_423, {}, ["ours of the published split of catalogue 'hm' (10,423 test items)"]),
        (10_424, {"catalogue": CatalogueInfo()}, ["an unknown split of an unknown catalogue"]),
        (10_424, {"catalogue": CatalogueInfo("hm", split_method="product")}, ["ours of the product split"]),
        (
            10_424,
            {"recipe": {"data": {"split": {"method": "published", "train": 0.8, "validation": 0.1, "seed": 1}}}},
            ["published split with other shares or seed"],
        ),
    ],
)
def test_what_is_not_comparable_is_reported(items: int, run: dict[str, Any], parts: list[str]) -> None:
    evaluation = score_systems([system("ours", "pretrained", items, **run)], None, [Given([0.1] * 7)])
    warnings = build_comparison(evaluation, "hm")["warnings"]
    assert len(warnings) == len(parts)
    assert all(part in warning for part, warning in zip(parts, warnings, strict=True))


def test_systems_that_do_not_compare_with_each_other() -> None:
    one = system("one", "pretrained", 3, raw={"catalogue_fingerprint": "a"})
    other = system("other", "finetuned", 2, raw={"catalogue_fingerprint": "b"}, catalogue=CatalogueInfo("hm"))
    warnings = build_comparison(score_systems([one, other], None, [Given([0.1] * 7, [0.2] * 7)]))["warnings"]
    assert len(warnings) == 4
    assert "different catalogues or splits" in warnings[0]
    assert "has changed between their runs" in warnings[1]
    assert warnings[2] == "other: no caption, so scored 0, for 1 of 3 items."
    assert warnings[3].startswith("all: independent clusters of items: 3;")
