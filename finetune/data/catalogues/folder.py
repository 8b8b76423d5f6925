"""Anybody's catalogue: a folder of images with or without a table beside it, or a `datasets` id."""

from pathlib import Path
from typing import Any

import pandas as pd

from finetune.config.catalogues import Columns, Folder
from finetune.data.catalogues.base import Catalogue, Loader, SourceTable, existing_folder, require_unique_ids
from finetune.data.catalogues.columns import with_usual_columns
from finetune.data.catalogues.dataset import load_dataset, read_dataset
from finetune.data.catalogues.photo_names import PhotoNames, photos_in, shown
from finetune.data.catalogues.tables import SUFFIXES, checked, notes_of, read_values
from finetune.data.filled import clear_filled
from finetune.data.items import source_items
from metrics.common.errors import UserError

Tables = tuple[pd.DataFrame, pd.DataFrame]  # with our columns, and as it is
ENCODING = "save it as UTF-8, or name its encoding by data.encoding, such as cp1252"
Problems = dict[str, str]  # what is wrong with an item's photo, by its id
_NAMED = 3  # files that are no photos, in a table


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
            return _from_dataset(section, section.dataset)
        folder = existing_folder(str(section.folder), "data.folder")
        table = self._table_path(folder)
        if table is None:
            return _images_alone(folder)
        raw, columns, notes = self._read(table)
        tables, problems = _from_table(raw, table, folder, columns)
        return _split_described(tables, problems, folder, table, notes)

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
        table = next((path for path in candidates if path.exists()), None)
        if table is None and self.section.columns != Columns():
            raise UserError(f"{folder}: data.columns needs a table: name it by data.table, or call it metadata.csv")
        return table

    def _read(self, path: Path) -> tuple[pd.DataFrame, Columns, dict[str, list[str]]]:
        """The table's values as texts, which of its columns hold what, and notes on both."""
        raw = read_values(path, encoding=self.section.encoding, remedy=ENCODING)
        columns, taken = with_usual_columns(self.section.columns, list(raw))
        return checked(raw, path, _named(columns), columns.attributes), columns, notes_of(raw, *taken)


def _from_table(raw: pd.DataFrame, path: Path, folder: Path, columns: Columns) -> tuple[Tables, Problems]:
    names = PhotoNames(folder)
    found = [names.find(name) for name in raw[columns.image]]
    rows = _select(raw, columns)
    rows["image"] = [image for image, _ in found]
    ids = [image or f"row {row}" for row, (image, _) in enumerate(found, 2)]
    rows = _identified(rows, raw, columns, ids, path)
    problems = {
        key: f"{path.name}: row {row}: image {name!r}: {problem}"
        for row, (key, name, (_, problem)) in enumerate(zip(rows["id"], raw[columns.image], found, strict=True), 2)
        if problem
    }
    return (rows, raw), problems


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


def _images_alone(folder: Path) -> Catalogue:
    photos, others = ([path.relative_to(folder).as_posix() for path in paths] for paths in photos_in(folder))
    named = ", ".join(map(shown, others[:_NAMED])) + (", ..." if len(others) > _NAMED else "")
    if not photos:
        found = f"none of its {len(others):,} files is one: {named}" if others else "it has no files"
        raise UserError(f"{folder}: no images there; {found}")
    names = [shown(name) for name in photos]
    problems = {
        name: f"{name}: its name is not UTF-8; rename the file"
        for name, stored in zip(names, photos, strict=True)
        if name != stored
    }
    rows = pd.DataFrame(
        {"id": names, "product_id": names, "image": ["" if name in problems else name for name in names]}
    )
    rows = rows.assign(caption="", category="", colour="", attributes=[{} for _ in names])
    catalogue = _split_described((rows, rows[[]]), problems, folder)
    if others:
        catalogue.dropped[f"no photo ({named})"] = [shown(name) for name in others]
    return catalogue


def _from_dataset(section: Folder, name: str) -> Catalogue:
    data = load_dataset(name, section.dataset_split)
    columns, taken = with_usual_columns(section.columns, data.column_names)
    outside = section.outside == "read"
    images, texts = read_dataset(data, name, columns.image, _texts_of(columns), columns.attributes, outside)
    rows = _select(texts, columns)
    rows["image"] = [image for image, _ in images]
    rows = _identified(rows, texts, columns, [f"{row:08d}" for row in range(len(texts))], name)
    problems = {
        key: f"{name}: row {row}: {problem}"
        for row, (key, (_, problem)) in enumerate(zip(rows["id"], images, strict=True))
        if problem
    }
    return _split_described((rows, texts), problems, notes=notes_of(texts, *taken))


def _split_described(
    tables: Tables,
    problems: Problems,
    folder: Path | None = None,
    table: Path | None = None,
    notes: dict[str, list[str]] | None = None,
) -> Catalogue:
    rows, source = tables
    items = source_items(rows, source)
    filled = clear_filled(rows, table) if table else {}
    described = rows["caption"].str.strip() != ""
    undescribed, counts = rows[~described].reset_index(drop=True), [("images", len(rows))]
    catalogue = Catalogue(
        "folder", folder, rows, undescribed, counts, filled, notes=notes or {}, items=items, problems=problems
    )
    catalogue.drop("no caption", described, "with a caption")
    return catalogue
