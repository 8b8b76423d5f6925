"""Captions files that the tests of `metrics` write."""

import json
from pathlib import Path
from typing import Any

Rows = list[dict[str, Any]]


def write_system(folder: Path, rows: Rows, **run: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "captions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    if run:
        (folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
    return path


def row(number: int, caption: str, reference: str, **more: Any) -> dict[str, Any]:
    return {"id": f"0{number:03d}", "caption": caption, "references": [reference], **more}


GARMENTS = ["dress", "top", "skirt", "blouse", "hoodie"]


def reference(number: int) -> str:
    return f"{GARMENTS[number % 5]} number {number} in soft cotton with {number % 7} pockets and long sleeves"
