"""A small shop's purchases, recipes of recommenders on these, and what their tables say."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from feature_stores import write_store
from purchase_files import Line, items_file, kaggle_purchases
from recommending import done, recommend

ARTICLES = [f"01{place:08d}" for place in range(24)]
KINDS = 3


def make_shop(folder: Path) -> Path:
    """60 customers with a taste for one of three kinds of article; the last three articles launch on the last day."""
    draw = np.random.default_rng(0)
    lines: list[Line] = []
    for customer in range(60):
        liked = [place for place in range(21) if place % KINDS == customer % KINDS]
        bought = draw.choice(liked, 6, replace=False)
        lines += [(f"2020-09-0{day + 1}", f"c{customer:02d}", ARTICLES[place]) for day, place in enumerate(bought)]
        if customer < 30:
            lines.append(("2020-09-08", f"c{customer:02d}", ARTICLES[21 + customer % KINDS]))
    kaggle_purchases(folder / "csv", sorted(lines), ARTICLES)
    rows = [(key, f"{key}.jpg", "A top.", "train" if place % 2 else "test") for place, key in enumerate(ARTICLES)]
    done("purchases", folder / "csv", "--items", items_file(folder / "items.parquet", rows), "--out", folder / "bought")
    vectors = 3 * np.eye(KINDS)[np.arange(24) % KINDS] + draw.normal(0, 0.2, (24, KINDS))
    write_store(folder / "photos", ARTICLES, vectors)
    return folder


def recipe(shop: Path, output: Path, models: Sequence[dict[str, Any]], **others: Any) -> Path:
    """A recipe on the shop's purchases, beside its output."""
    datasets = [{"name": "80/20", "purchases": str(shop / "bought")}]
    values = {"output": str(output), "datasets": datasets, "models": list(models), "ks": [2, 5]} | others
    output.parent.mkdir(parents=True, exist_ok=True)
    path = output.parent / f"{output.name}.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return path


def content_of(output: Path) -> Any:
    return json.loads((output / "recommend.json").read_text(encoding="utf-8"))


def means(output: Path, dataset: int = 0, part: str = "all") -> dict[str, float]:
    """nDCG@5 by model."""
    rows = content_of(output)["datasets"][dataset]["rows"]
    return {row["model"]: row["result"]["estimates"][part]["nDCG@5"]["value"] for row in rows}


class Steps:
    """Counts steps of VBPR's trainings, each of which is followed by a checkpoint, and interrupts them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from recommend.recommenders.vbpr.training import Training

        self.done, self.most = 0, -1
        step = Training._step

        def counted(training: Any, batch: Any) -> float:
            if self.done == self.most:
                raise KeyboardInterrupt
            self.done += 1
            return step(training, batch)

        monkeypatch.setattr(Training, "_step", counted)
        monkeypatch.setattr("recommend.recommenders.vbpr.training.CHECKPOINT_SECONDS", 0.0)

    def until_finished(self, path: Path, at_once: int) -> Iterator[None]:
        """Start the recipe again and again, each time interrupted after so many steps; yields after each."""
        finished = False
        while not finished:
            self.most = self.done + at_once
            finished = recommend("recommend", path).exit_code == 0
            yield
