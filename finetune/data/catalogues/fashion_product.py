"""Kaggle's "Fashion Product Images": styles.csv, images.csv, images/ID.jpg and, in the full edition, styles/ID.json.

What is kept is what Bhuptani and Patil (Image Based Recommendation System, section V.C) kept: three of seven master
categories and 19 sub categories of them. They do not name the 19; here they are the most frequent.
"""

import csv
import re
from html import unescape
from pathlib import Path
from typing import Any

import pandas as pd

from finetune.config.catalogues import FashionProduct
from finetune.data.catalogues.base import Catalogue, Loader, existing_folder, require_unique_ids
from finetune.data.catalogues.photo_names import photos_by_stem
from finetune.data.catalogues.tables import read_table
from finetune.data.items import source_items
from metrics.common.errors import UserError, first_line
from metrics.common.files import read_json_object, refuse_special

STYLES, IMAGES = "styles.csv", "images.csv"
NAME = "productDisplayName"
COLUMNS = (
    "id", "gender", "masterCategory", "subCategory", "articleType", "baseColour", "season", "year", "usage", NAME,
)  # fmt: skip
ATTRIBUTES = {
    "gender": "gender",
    "master_category": "masterCategory",
    "sub_category": "subCategory",
    "season": "season",
    "year": "year",
    "usage": "usage",
}
DESCRIPTION = ("data", "productDescriptors", "description", "value")
MASTER_CATEGORIES = ("Apparel", "Accessories", "Footwear")
SUB_CATEGORIES = 19


class FashionProductLoader(Loader[FashionProduct]):
    """Reads the Kaggle folder."""

    def check(self) -> None:
        """Raise `UserError` if the folder is missing, or its table is missing or wrong."""
        read_styles(existing_folder(self.section.folder, "data.folder") / STYLES)

    def load(self) -> Catalogue:
        """Read the styles, every row kept or counted."""
        folder = existing_folder(self.section.folder, "data.folder")
        return load_fashion_product(folder, "fashion-product", self.section.caption == "description")


def load_fashion_product(folder: Path, name: str, described: bool) -> Catalogue:
    """Prepare any catalogue in this layout; captions are names, or the descriptions in styles/ if `described`."""
    raw, merged = read_styles(folder / STYLES)
    rows = _rows(raw, folder)
    if described:
        rows["caption"] = [_description(folder / "styles" / f"{key}.json") for key in rows["id"]]
    links = _links(folder / IMAGES)
    catalogue = Catalogue(
        name,
        folder,
        rows,
        rows[:0],
        [("articles", len(rows))],
        notes={"styles.csv: unquoted commas in the name": merged} if merged else {},
        items=source_items(rows, raw if links is None else raw.assign(link=raw["id"].map(links).fillna(""))),
    )
    _select(catalogue)
    return catalogue


def _rows(raw: pd.DataFrame, folder: Path) -> pd.DataFrame:
    rows = pd.DataFrame({"id": raw["id"], "product_id": raw["id"], "caption": raw[NAME]})
    rows["category"], rows["colour"] = raw["articleType"], raw["baseColour"]
    rows["attributes"] = raw[list(ATTRIBUTES.values())].set_axis(list(ATTRIBUTES), axis=1).to_dict("records")
    rows["image"] = rows["id"].map(photos_by_stem(folder, "images/*"))
    if rows["image"].isna().all():
        raise UserError(f"{folder / 'images'}: no photo of any article; expected images/ID.jpg as Kaggle ships them")
    return rows


def _select(catalogue: Catalogue) -> None:
    """Drop what has no photo or is of no kept category; what has no text can still be captioned."""
    catalogue.drop("no photo", catalogue.described["image"].notna(), "with a photo")
    kept = _attribute(catalogue, "master_category").isin(MASTER_CATEGORIES)
    catalogue.drop("another master category", kept, f"of {', '.join(MASTER_CATEGORIES)}")
    kinds = _attribute(catalogue, "sub_category")
    counts = kinds.value_counts()
    frequent = sorted(counts.index, key=lambda kind: (-counts[kind], kind))[:SUB_CATEGORIES]
    catalogue.drop("a rare sub category", kinds.isin(frequent), f"of the {SUB_CATEGORIES} most frequent sub categories")
    has_text = catalogue.described["caption"].str.strip() != ""
    catalogue.undescribed = catalogue.described[~has_text].reset_index(drop=True)
    catalogue.drop("no description", has_text, "with a description")


def _attribute(catalogue: Catalogue, name: str) -> "pd.Series[str]":
    return catalogue.described["attributes"].map(lambda values: values[name])


def read_styles(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """`styles.csv`, and where the name, its last column, holds commas that are not quoted: 22 rows as Kaggle ships it.

    Raises `UserError` if the file is missing, is not this table or is damaged.
    """
    rows: list[list[str]] = []
    merged: list[str] = []
    refuse_special(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            _check_header(header, path)
            for row in filter(None, reader):
                if len(row) > len(header):
                    merged.append(f"line {reader.line_num}: id {row[0]}")
                rows.append(_complete(row, len(header), f"{path}: line {reader.line_num}"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; data.folder must hold {STYLES} and images/") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot read the table, is it complete? {first_line(error)}") from error
    table = pd.DataFrame(rows, columns=header, dtype=str)
    if table.empty:
        raise UserError(f"{path}: the table has no rows")
    require_unique_ids(table, path)
    return table, merged


def _check_header(header: list[str], path: Path) -> None:
    missing = [column for column in COLUMNS if column not in header]
    if missing or header[-1] != NAME:
        found = ", ".join(header) or "an empty file"
        raise UserError(f"{path}: expected the columns {', '.join(COLUMNS)}, {NAME} last; found {found}")
    if len(set(header)) < len(header):
        raise UserError(f"{path}: a column is there twice: {', '.join(header)}; use the file as Kaggle ships it")


def _complete(row: list[str], width: int, where: str) -> list[str]:
    values = [*row[: width - 1], ",".join(row[width - 1 :])]
    if len(row) < width or any("\n" in value for value in values):
        raise UserError(
            f"{where}: expected {width} values on one line; is the file truncated, or a quote never closed?"
        )
    if not re.fullmatch(r"[0-9]+", values[0]):
        raise UserError(f"{where}: id {values[0]!r} is no number; use the file as Kaggle ships it")
    return values


def _links(path: Path) -> dict[str, str] | None:
    """Id to the URL of the photo, of images.csv; None without that file."""
    if not path.is_file():
        return None
    table = read_table(path, ["filename", "link"])
    return {Path(name).stem: link for name, link in zip(table["filename"], table["link"], strict=True)}


def _description(path: Path) -> str:
    """The text of an article's description, its markup and entities resolved; empty if it has none."""
    if not path.is_file():
        return ""
    value: Any = read_json_object(path, "use the file as Kaggle ships it")
    for key in DESCRIPTION:
        value = value.get(key) if isinstance(value, dict) else None
    text = unescape(re.sub("<[^<>]*>", " ", value if isinstance(value, str) else ""))
    return " ".join(text.split())
