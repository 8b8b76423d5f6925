"""Small things for tests: a handful of articles as a folder or in the Kaggle layout, and recipes that name them."""

import csv
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from PIL import Image
from typer.testing import CliRunner, Result

Row = dict[str, str]


def photo(path: Path, colour: tuple[int, int, int] = (90, 120, 160), size: tuple[int, int] = (24, 36)) -> Path:
    """Save a one-coloured picture; the suffix says in which format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def article(number: int, **values: str) -> Row:
    """Row `number` of an articles.csv: a dress, two colours to a product, each product described in its own words."""
    product = number // 2
    row = {
        "article_id": f"01{number:08d}",
        "product_code": f"01{product:05d}",
        "prod_name": f"Dress {product}",
        "product_type_name": "Dress",
        "product_group_name": "Garment Full body",
        "graphical_appearance_name": "Solid",
        "colour_group_name": ("Black", "Red")[number % 2],
        "perceived_colour_value_name": "Dark",
        "department_name": "Jersey",
        "index_name": "Ladieswear",
        "index_group_name": "Ladieswear",
        "section_name": "Womens Casual",
        "garment_group_name": "Dresses Ladies",
        "detail_desc": f"Short dress number {product} in Soft jersey.",
    }
    return row | values


def kaggle(folder: Path, articles: Iterable[Row], without_photo: Iterable[str] = ()) -> Path:
    """Write `articles.csv` and `images/0xx/0<article_id>.jpg` as Kaggle ships them."""
    rows = list(articles)
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / "articles.csv", rows)
    for number, row in enumerate(rows):
        if row["article_id"] not in set(without_photo):
            photo(kaggle_photo(folder, row["article_id"]), (number % 256, 100, 150))
    return folder


def kaggle_photo(folder: Path, article_id: str) -> Path:
    """Where an article's photo lies."""
    return folder / "images" / article_id[:3] / f"{article_id}.jpg"


def write_csv(path: Path, rows: list[Row]) -> Path:
    """Write rows with their keys as header."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def captioned(folder: Path, count: int = 10) -> list[Row]:
    """Save `count` photos in `folder` and return rows of a table for them."""
    for number in range(count):
        photo(folder / f"{number:03d}.png", (number * 20 % 256, 60, 90))
    return [
        {"file_name": f"{number:03d}.png", "text": f"A top, number {number}.", "kind": ("top", "bag")[number % 2]}
        for number in range(count)
    ]


def recipe(folder: Path, data: Mapping[str, Any], **sections: Any) -> Path:
    """Write a recipe with the output folder `folder/out` and a tiny base model."""
    values = {
        "output": str(folder / "out"),
        "data": dict(data),
        "model": {"base": str(folder / "base"), "dtype": "float32", "tiny": {}},
        "training": {"tracker": "none"},
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(values | sections), encoding="utf-8")
    return path


def finetune(*arguments: Any) -> Result:
    """Run `python -m finetune ARGUMENTS` in this process."""
    from finetune.__main__ import app

    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def prepared(*arguments: Any) -> str:
    """Run `prepare`, which must succeed; what it printed."""
    result = finetune("prepare", *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*arguments: Any) -> str:
    """Run a command that must end with one message, exit code 2 and nothing half-written; the message."""
    result = finetune(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("error: ") == 1
    assert "Traceback" not in result.output
    assert result.stdout == ""
    assert list(Path(os.environ["LOOKBOOK_CACHE"]).iterdir()) == []
    assert not (Path(arguments[1]).parent / "out").exists()
    return result.stderr.removeprefix("error: ").strip()


def references(folder: Path, split: str) -> list[dict[str, Any]]:
    """The lines of `folder/out/references-SPLIT.jsonl`."""
    return lines(folder / "out" / f"references-{split}.jsonl")


def lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def all_references(folder: Path) -> dict[str, dict[str, Any]]:
    """The records of all three files by id."""
    records = [record for split in ("train", "validation", "test") for record in references(folder, split)]
    assert len({record["id"] for record in records}) == len(records)
    return {record["id"]: record for record in records}
