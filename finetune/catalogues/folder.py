"""Anybody's catalogue: a folder of images with or without a table beside it, or a `datasets` id."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import datasets
import pandas as pd
from pydantic import model_validator

from finetune.catalogues.base import Catalogue, CatalogueSection, existing_folder, require_unique_ids
from finetune.catalogues.tables import read_table
from finetune.section import Section
from metrics.errors import UserError

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}


class Columns(Section):
    """Which column of the table holds what. `id` defaults to the image's path, `product_id` to the id."""

    image: str = "file_name"
    caption: str | None = None
    id: str | None = None
    product_id: str | None = None
    category: str | None = None
    colour: str | None = None
    attributes: tuple[str, ...] = ()


class Folder(CatalogueSection):
    """A folder of images, or a data set of the Hub."""

    catalogue: Literal["folder"]
    folder: str | None = None
    table: str | None = None
    dataset: str | None = None
    dataset_split: str = "train"
    columns: Columns = Columns()

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.folder is None) == (self.dataset is None):
            raise ValueError("give either folder (of images) or dataset (a datasets id)")
        return self

    def load(self) -> Catalogue:
        """Read the table, the folder or the data set, every row kept or counted."""
        if self.dataset is not None:
            return _split_described(_from_dataset(self.dataset, self.dataset_split, self.columns), None)
        folder = existing_folder(str(self.folder), "data.folder")
        table = self._table_path(folder)
        rows = _from_table(table, folder, self.columns) if table else _images_alone(folder)
        return _split_described(rows, folder)

    def _table_path(self, folder: Path) -> Path | None:
        if self.table is not None:
            return folder / self.table
        candidates = (folder / f"metadata.{suffix}" for suffix in ("csv", "jsonl", "parquet"))
        return next((path for path in candidates if path.is_file()), None)


def _from_table(path: Path, folder: Path, columns: Columns) -> pd.DataFrame:
    raw = read_table(path, _named(columns))
    rows = _select(raw, columns)
    rows["image"] = [_relative_image(value, folder, path, row) for row, value in enumerate(raw[columns.image])]
    rows["id"] = raw[columns.id] if columns.id else rows["image"]
    rows["product_id"] = raw[columns.product_id] if columns.product_id else rows["id"]
    require_unique_ids(rows, path)
    return rows


def _named(columns: Columns) -> list[str]:
    single = (columns.image, columns.caption, columns.id, columns.product_id, columns.category, columns.colour)
    return [name for name in (*single, *columns.attributes) if name is not None]


def _select(raw: pd.DataFrame, columns: Columns) -> pd.DataFrame:
    def values(name: str | None) -> Any:
        return raw[name].astype(str) if name else ""

    rows = pd.DataFrame({"caption": values(columns.caption)}, index=raw.index)
    rows["category"], rows["colour"] = values(columns.category), values(columns.colour)
    rows["attributes"] = raw[list(columns.attributes)].to_dict("records")
    return rows


def _relative_image(value: str, folder: Path, table: Path, row: int) -> str:
    path = (folder / value).resolve()
    if not value or not path.is_relative_to(folder) or not path.is_file():
        raise UserError(f"{table}: row {row + 2}: image {value!r}: no such file in {folder}")
    return path.relative_to(folder).as_posix()


def _images_alone(folder: Path) -> pd.DataFrame:
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise UserError(f"{folder}: no images there ({', '.join(sorted(IMAGE_SUFFIXES))})")
    names = [path.relative_to(folder).as_posix() for path in found]
    rows = pd.DataFrame({"id": names, "product_id": names, "image": names})
    return rows.assign(caption="", category="", colour="", attributes=[{} for _ in names])


def _from_dataset(name: str, split: str, columns: Columns) -> pd.DataFrame:
    try:
        data = datasets.load_dataset(name, split=split)
        data = data.cast_column(columns.image, datasets.Image(decode=False))
    except (OSError, ValueError, KeyError, datasets.exceptions.DatasetsError) as error:
        raise UserError(
            f"data.dataset: {name}: cannot load split {split!r} with images in column "
            f"{columns.image!r}: {str(error).splitlines()[0]}"
        ) from None
    missing = [column for column in _named(columns) if column not in data.column_names]
    if missing:
        raise UserError(
            f"data.columns: {name} has no column {', '.join(missing)}; it has {', '.join(data.column_names)}"
        )
    raw = _with_label_names(data).to_pandas()
    rows = _select(raw, columns)
    rows["image"] = [_stored_image(value, name, row) for row, value in enumerate(raw[columns.image])]
    rows["id"] = raw[columns.id].astype(str) if columns.id else [f"{row:08d}" for row in range(len(raw))]
    rows["product_id"] = raw[columns.product_id].astype(str) if columns.product_id else rows["id"]
    require_unique_ids(rows, name)
    return rows


def _with_label_names(data: Any) -> Any:
    for column, feature in data.features.items():
        if isinstance(feature, datasets.ClassLabel):
            names = feature.names
            data = data.cast_column(column, datasets.Value("int64")).map(
                lambda row, column=column, names=names: {column: names[row[column]]},
                features=datasets.Features({**data.features, column: datasets.Value("string")}),
            )
    return data


def _stored_image(value: Mapping[str, Any] | None, name: str, row: int) -> bytes:
    if value is None or not (value.get("bytes") or value.get("path")):
        raise UserError(f"{name}: row {row}: no image")
    return value["bytes"] or Path(value["path"]).read_bytes()


def _split_described(rows: pd.DataFrame, folder: Path | None) -> Catalogue:
    described = rows["caption"].str.strip() != ""
    catalogue = Catalogue("folder", folder, rows, rows[~described].reset_index(drop=True), [("images", len(rows))])
    catalogue.drop("no caption", described, "with a caption")
    return catalogue
