"""Anybody's catalogue: a folder of images with or without a table beside it, or a `datasets` id."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import datasets
import pandas as pd

from finetune.config.catalogues import Columns, Folder
from finetune.data.catalogues.base import Catalogue, Loader, existing_folder, require_unique_ids
from finetune.data.catalogues.tables import as_text, read_table, refuse_nested
from metrics.common.errors import UserError

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}


class FolderLoader(Loader[Folder]):
    """Reads a folder of images with its table, or a data set of the Hub."""

    def check(self) -> None:
        """Raise `UserError` if the section names a folder that is missing."""
        if self.section.folder is not None:
            existing_folder(self.section.folder, "data.folder")

    def load(self) -> Catalogue:
        """Read the table, the folder or the data set, every row kept or counted."""
        section = self.section
        if section.dataset is not None:
            return _split_described(_from_dataset(section.dataset, section.dataset_split, section.columns), None)
        folder = existing_folder(str(section.folder), "data.folder")
        table = self._table_path(folder)
        rows = _from_table(table, folder, section.columns) if table else _images_alone(folder)
        return _split_described(rows, folder)

    def _table_path(self, folder: Path) -> Path | None:
        if self.section.table is not None:
            return folder / self.section.table
        candidates = (folder / f"metadata.{suffix}" for suffix in ("csv", "jsonl", "parquet"))
        table = next((path for path in candidates if path.is_file()), None)
        if table is None and self.section.columns != Columns():
            raise UserError(f"{folder}: data.columns needs a table: name it by data.table, or call it metadata.csv")
        return table


def _from_table(path: Path, folder: Path, columns: Columns) -> pd.DataFrame:
    raw = read_table(path, _named(columns), columns.attributes)
    rows = _select(raw, columns)
    rows["image"] = [_relative_image(value, folder, path, row) for row, value in enumerate(raw[columns.image])]
    return _identified(rows, raw, columns, rows["image"], path)


def _identified(rows: pd.DataFrame, raw: pd.DataFrame, columns: Columns, ids: Any, source: Path | str) -> pd.DataFrame:
    """Add `id` (`ids` if the recipe names no column) and `product_id` (default: the id)."""
    rows["id"] = raw[columns.id] if columns.id else ids
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


def _images_alone(folder: Path) -> pd.DataFrame:
    images = (path.relative_to(folder) for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    shown = (path for path in images if not any(part.startswith(".") for part in path.parts))
    names = sorted(path.as_posix() for path in shown if not (folder / path).is_dir())
    if not names:
        raise UserError(f"{folder}: no images there ({', '.join(sorted(IMAGE_SUFFIXES))})")
    rows = pd.DataFrame({"id": names, "product_id": names, "image": names})
    return rows.assign(caption="", category="", colour="", attributes=[{} for _ in names])


def _from_dataset(name: str, split: str, columns: Columns) -> pd.DataFrame:
    data = _load_dataset(name, split)
    missing = [column for column in _named(columns) if column not in data.column_names]
    if missing:
        raise UserError(
            f"data.columns: {name} has no column {', '.join(missing)}; it has {', '.join(data.column_names)}"
        )
    data = _as_images(data, columns.image, name)
    raw = _texts(data.remove_columns(columns.image), columns, name)
    rows = _select(raw, columns)
    rows["image"] = [_stored_image(value, name, row) for row, value in enumerate(data[columns.image])]
    return _identified(rows, raw, columns, [f"{row:08d}" for row in range(len(raw))], name)


def _load_dataset(name: str, split: str) -> Any:
    try:
        return datasets.load_dataset(name, split=split)
    except (OSError, ValueError, KeyError, datasets.exceptions.DatasetsError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"data.dataset: {name}: cannot load its split {split!r}: {reason}") from error


def _as_images(data: Any, column: str, name: str) -> Any:
    try:
        return data.cast_column(column, datasets.Image(decode=False))
    except (TypeError, ValueError, NotImplementedError, KeyError) as error:
        raise UserError(f"data.columns.image: column {column!r} of {name} holds no images: {error}") from error


def _texts(data: Any, columns: Columns, source: str) -> pd.DataFrame:
    """Every column as strings, class labels by their names, missing values as empty strings."""
    table = pd.DataFrame(data.to_dict(), index=range(len(data)), dtype=object)
    for column, feature in data.features.items():
        table[column] = pd.Series([_named_labels(feature, value) for value in table[column]], dtype=object)
    refuse_nested(table, _texts_of(columns), columns.attributes, source)
    return as_text(table)


def _named_labels(feature: Any, value: Any) -> Any:
    """The value with the names of class labels, also in lists, in place of their numbers."""
    if isinstance(feature, datasets.ClassLabel):
        return dict(enumerate(feature.names)).get(value)
    if isinstance(feature, datasets.List) and isinstance(value, list):
        return [_named_labels(feature.feature, one) for one in value]
    return value


def _stored_image(value: Mapping[str, Any] | None, name: str, row: int) -> bytes:
    if value is None or not (value.get("bytes") or value.get("path")):
        raise UserError(f"{name}: row {row}: no image")
    try:
        return value["bytes"] or Path(value["path"]).read_bytes()
    except OSError as error:
        raise UserError(f"{name}: row {row}: image {value['path']!r}: {error.strerror}") from error


def _split_described(rows: pd.DataFrame, folder: Path | None) -> Catalogue:
    described = rows["caption"].str.strip() != ""
    catalogue = Catalogue("folder", folder, rows, rows[~described].reset_index(drop=True), [("images", len(rows))])
    catalogue.drop("no caption", described, "with a caption")
    return catalogue
