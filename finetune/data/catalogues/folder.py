"""Anybody's catalogue: a folder of images with or without a table beside it, or a `datasets` id."""

import os
from pathlib import Path
from typing import Any

import pandas as pd

from finetune.config.catalogues import Columns, Folder
from finetune.data.catalogues.base import Catalogue, Loader, SourceTable, existing_folder, require_unique_ids
from finetune.data.catalogues.columns import with_usual_columns
from finetune.data.catalogues.dataset import load_dataset, read_dataset
from finetune.data.catalogues.tables import SUFFIXES, checked, notes_of, read_values
from finetune.data.filled import clear_filled
from finetune.data.items import source_items
from metrics.common.errors import UserError

Tables = tuple[pd.DataFrame, pd.DataFrame]  # with our columns, and as it is
ENCODING = "save it as UTF-8, or name its encoding by data.encoding, such as cp1252"
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}


class FolderLoader(Loader[Folder]):
    """Reads a folder of images with its table, or a data set of the Hub."""

    def check(self) -> None:
        """Raise `UserError` if a folder is missing, its table cannot be used, or nothing in it has a description."""
        section = self.section
        if section.folder is None:
            return
        catalogue = self.load()
        if catalogue.described.empty:
            said = "; ".join(line for lines in catalogue.notes.values() for line in lines)
            raise UserError(
                f"data: none of the {len(catalogue.undescribed):,} photos of {catalogue.folder} has a description to "
                f"train on ({said or 'there is no table: metadata.csv, or data.table'})"
            )

    def load(self) -> Catalogue:
        """Read the table, the folder or the data set, every row kept or counted."""
        section = self.section
        if section.dataset is not None:
            return _from_dataset(section.dataset, section.dataset_split, section.columns)
        folder = existing_folder(str(section.folder), "data.folder")
        table = self._table_path(folder)
        if table is None:
            return _split_described(*_images_alone(folder), folder)
        raw, columns, notes = self._read(table)
        return _split_described(*_from_table(raw, table, folder, columns), folder, table, notes)

    def table(self) -> SourceTable | None:
        """The table, or None for a data set of the Hub; photos without one have none yet."""
        section = self.section
        if section.folder is None:
            return None
        path = self._table_path(existing_folder(section.folder, "data.folder"))
        caption = self._read(path)[1].caption if path else None
        return SourceTable(path, caption, section.encoding)

    def _table_path(self, folder: Path) -> Path | None:
        if self.section.table is not None:
            return folder / self.section.table
        candidates = (folder / f"metadata{suffix}" for suffix in SUFFIXES)
        table = next((path for path in candidates if path.is_file()), None)
        if table is None and self.section.columns != Columns():
            raise UserError(f"{folder}: data.columns needs a table: name it by data.table, or call it metadata.csv")
        return table

    def _read(self, path: Path) -> tuple[pd.DataFrame, Columns, dict[str, list[str]]]:
        """The table's values as texts, which of its columns hold what, and notes on both."""
        raw = read_values(path, encoding=self.section.encoding, remedy=ENCODING)
        columns, taken = with_usual_columns(self.section.columns, list(raw))
        return checked(raw, path, _named(columns), columns.attributes), columns, notes_of(raw, *taken)


def _from_table(raw: pd.DataFrame, path: Path, folder: Path, columns: Columns) -> Tables:
    rows = _select(raw, columns)
    rows["image"] = [_relative_image(value, folder, path, row) for row, value in enumerate(raw[columns.image])]
    return _identified(rows, raw, columns, rows["image"], path), raw


def _identified(rows: pd.DataFrame, raw: pd.DataFrame, columns: Columns, ids: Any, source: Path | str) -> pd.DataFrame:
    """Add `id` (`ids` if the recipe names no column) and `product_id` (default: the id)."""
    rows["id"] = raw[columns.id] if columns.id else ids
    if columns.id is None and rows["id"].duplicated().any():
        repeated = rows["id"][rows["id"].duplicated()].iloc[0]
        raise UserError(
            f"{source}: {repeated} is in several rows, so that photos are no ids; data.columns.id names a column of ids"
        )
    require_unique_ids(rows, source)
    products = raw[columns.product_id] if columns.product_id else rows["id"]
    rows["product_id"] = products.where(products != "", rows["id"])
    return rows


def _named(columns: Columns) -> list[str]:
    return [columns.image, *_texts_of(columns)]


def _texts_of(columns: Columns) -> list[str]:
    """The columns of texts; only attributes may be lists of them."""
    names = (columns.caption, columns.id, columns.product_id, columns.category, columns.colour, *columns.attributes)
    return [name for name in names if name is not None]


def _select(raw: pd.DataFrame, columns: Columns) -> pd.DataFrame:
    def values(name: str | None) -> Any:
        return raw[name] if name else ""

    rows = pd.DataFrame({"caption": values(columns.caption)}, index=raw.index)
    rows["category"], rows["colour"] = values(columns.category), values(columns.colour)
    rows["attributes"] = raw[list(columns.attributes)].to_dict("records")
    return rows


def _relative_image(value: str, folder: Path, table: Path, row: int) -> str:
    path = Path(os.path.normpath(folder / value))
    if not path.is_relative_to(folder) or not path.is_file():
        raise UserError(f"{table}: row {row + 2}: image {value!r}: no such file in {folder}; correct or remove the row")
    return path.relative_to(folder).as_posix()


def _images_alone(folder: Path) -> Tables:
    images = (path.relative_to(folder) for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    shown = (path for path in images if not any(part.startswith(".") for part in path.parts))
    names = sorted(path.as_posix() for path in shown if not (folder / path).is_dir())
    if not names:
        raise UserError(f"{folder}: no images there ({', '.join(sorted(IMAGE_SUFFIXES))})")
    rows = pd.DataFrame({"id": names, "product_id": names, "image": names})
    return rows.assign(caption="", category="", colour="", attributes=[{} for _ in names]), rows[[]]


def _from_dataset(name: str, split: str, named: Columns) -> Catalogue:
    data = load_dataset(name, split)
    columns, taken = with_usual_columns(named, data.column_names)
    images, texts = read_dataset(data, name, columns.image, _texts_of(columns), columns.attributes)
    rows = _select(texts, columns)
    rows["image"] = images
    rows = _identified(rows, texts, columns, [f"{row:08d}" for row in range(len(texts))], name)
    return _split_described(rows, texts, notes=notes_of(texts, *taken))


def _split_described(
    rows: pd.DataFrame,
    source: pd.DataFrame,
    folder: Path | None = None,
    table: Path | None = None,
    notes: dict[str, list[str]] | None = None,
) -> Catalogue:
    items = source_items(rows, source)
    filled = clear_filled(rows, table) if table else {}
    described = rows["caption"].str.strip() != ""
    undescribed, counts = rows[~described].reset_index(drop=True), [("images", len(rows))]
    catalogue = Catalogue("folder", folder, rows, undescribed, counts, filled, items=items, notes=notes or {})
    catalogue.drop("no caption", described, "with a caption")
    return catalogue
