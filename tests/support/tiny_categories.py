"""Small references files with categories, and the command that trains a classifier on them."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

Rows = list[dict[str, Any]]
WORDS = {
    "Dress": "knee-length dress with a flared skirt",
    "Trousers": "trousers with straight legs and side pockets",
    "Hat/beanie": "knitted hat with a turned-up edge",
    "Vest top": "vest top with narrow shoulder straps",
}
CATEGORIES = tuple(sorted(WORDS))
COLOURS = ("red", "blue", "white", "black", "green", "beige", "pink")
CLOTHS = ("cotton", "linen", "wool", "jersey", "denim")
EPOCHS = 4


def caption(category: str, number: int) -> str:
    """A caption of the category, one of 35."""
    return f"{COLOURS[number % 7]} {WORDS[category]} in soft {CLOTHS[number % 5]}."


def garments(count: int, start: int = 0) -> Rows:
    """Records of all categories in their turn, each with its own caption as reference."""
    names = [CATEGORIES[number % 4] for number in range(start, start + count)]
    return [
        {"id": f"0{start + place:04d}", "references": [caption(name, start + place)], "category": name}
        for place, name in enumerate(names)
    ]


def write(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    """Write records as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def splits(folder: Path) -> tuple[Path, Path, Path]:
    """Train, validation and test; half of the test rows say that their caption was seen."""
    test = [row | {"seen": place % 8 < 4} for place, row in enumerate(garments(24, 900))]
    parts = (garments(160), garments(24, 500), test)
    names = ("train", "validation", "test")
    train, validation, held_out = (
        write(folder / f"references-{name}.jsonl", rows) for name, rows in zip(names, parts, strict=True)
    )
    return train, validation, held_out


def train_classifier(train: Path, validation: Path, out: Path, *options: Any) -> Result:
    """Run `python -m metrics train-classifier TRAIN --validation VALIDATION --out OUT OPTIONS` in this process."""
    from metrics.__main__ import app

    arguments = ["train-classifier", train, "--validation", validation, "--out", out, *options]
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def tiny(train: Path, validation: Path, out: Path, *options: Any) -> Result:
    """The same from a tiny base, for a few epochs."""
    return train_classifier(train, validation, out, "--tiny", "--epochs", EPOCHS, *options)


def record(folder: Path) -> dict[str, Any]:
    """What `classifier.json` says."""
    return dict(json.loads((folder / "classifier.json").read_text(encoding="utf-8")))
