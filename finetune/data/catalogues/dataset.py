"""A data set of the Hub, or a folder laid out like one, read by `datasets`: photos, and texts as they are written."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MethodType
from typing import Any

import datasets
import pandas as pd
import pyarrow as pa
from datasets.packaged_modules.csv.csv import Csv
from datasets.packaged_modules.folder_based_builder.folder_based_builder import FolderBasedBuilder
from huggingface_hub.constants import HF_HUB_CACHE

from finetune.data.catalogues.tables import as_text, read_values, refuse_nested
from metrics.common.errors import UserError, reason_of
from metrics.common.files import special_kind
from metrics.photos.folders import is_inside

StoredPhoto = tuple[bytes, str | None]  # the content of its file, or why there is none


def read_dataset(
    data: Any, name: str, image: str, texts: Sequence[str], lists: Sequence[str], outside: bool
) -> tuple[list[StoredPhoto], pd.DataFrame]:
    """The photos in a column of what `load_dataset` gave, and all other columns as strings, missing values empty.

    Raises `UserError` if it lacks a column, or holds in `texts` what is no text (in `lists` no list).
    Photos that a row names must be the data set's own, unless `outside`.
    """
    missing = [column for column in (image, *texts) if column not in data.column_names]
    if missing:
        raise UserError(
            f"data.columns: {name} has no column {', '.join(missing)}; it has {', '.join(data.column_names)}"
        )
    data = _as_images(data, image, name)
    table = _as_strings(data.remove_columns(image), len(data), texts, lists, name)
    folders = _own_folders(name, outside)
    return [_stored_photo(value, folders) for value in data[image]], table


def load_dataset(name: str, split: str) -> Any:
    """A split of a data set. Raises `UserError` if it cannot be loaded."""
    cache = str(Path(datasets.config.HF_DATASETS_CACHE) / "lookbook")  # elsewhere texts may be read by others' rules
    try:
        builder = datasets.load_dataset_builder(name, cache_dir=cache)
        if isinstance(builder, Csv):
            columns = next(iter(builder.as_streaming_dataset(split))).keys()
            builder = datasets.load_dataset_builder(
                name,
                cache_dir=cache,
                features=datasets.Features(dict.fromkeys(columns, datasets.Value("string"))),
                keep_default_na=False,
            )
        if isinstance(builder, FolderBasedBuilder):
            builder._read_metadata = MethodType(_read_metadata, builder)
        builder.download_and_prepare()
        return builder.as_dataset(split)
    except Exception as error:  # of the library, and of all that read files for it
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from error
        raise UserError(f"data.dataset: {name}: cannot load its split {split!r}: {reason_of(error)}") from error


def _read_metadata(_builder: FolderBasedBuilder, metadata_file: str, metadata_ext: str = "") -> Iterator[pa.Table]:
    """The table beside a folder's photos with every value a string: pandas would read 000 as 0 and NA as nothing."""
    table = read_values(Path(metadata_file), metadata_ext)
    try:
        yield pa.Table.from_pandas(table.apply(_texts_or_nested))
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise UserError(f"{metadata_file}: a column holds values of several kinds: {error}; make them alike") from error


def _texts_or_nested(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """A column of lists or objects as it is; any other as strings, missing values as none."""
    present = column[[not pd.api.types.is_scalar(value) or not pd.isna(value) for value in column]]
    if not present.map(pd.api.types.is_scalar).all():
        return column
    return present.map(str).reindex(column.index).astype(object).where(lambda values: values.notna(), None)


def _as_images(data: Any, column: str, name: str) -> Any:
    try:
        return data.cast_column(column, datasets.Image(decode=False))
    except (TypeError, ValueError, NotImplementedError, KeyError) as error:
        raise UserError(f"data.columns.image: column {column!r} of {name} holds no images: {error}") from error


def _as_strings(data: Any, rows: int, texts: Sequence[str], lists: Sequence[str], source: str) -> pd.DataFrame:
    """Every column as strings, class labels by their names, missing values as empty strings."""
    table = pd.DataFrame(data.to_dict(), index=range(rows), dtype=object)
    for column, feature in data.features.items():
        if column in texts and str(getattr(feature, "dtype", "")).startswith(("timestamp", "date", "time")):
            raise UserError(
                f"data.columns: {column} of {source} was read as dates, which may not be as they were written; "
                "store it as text, in Parquet for instance, or name another column"
            )
        table[column] = pd.Series([_named_labels(feature, value) for value in table[column]], dtype=object)
    refuse_nested(table, texts, lists, source)
    return as_text(table)


def _named_labels(feature: Any, value: Any) -> Any:
    """The value with the names of class labels, also in lists, in place of their numbers."""
    if isinstance(feature, datasets.ClassLabel):
        return dict(enumerate(feature.names)).get(value)
    if isinstance(feature, datasets.List) and isinstance(value, list):
        return [_named_labels(feature.feature, one) for one in value]
    return value


def _own_folders(name: str, outside: bool) -> list[Path]:
    """Where the photos of a data set may be: in its folder and among what was downloaded, or if `outside` anywhere."""
    cached = (datasets.config.HF_DATASETS_CACHE, HF_HUB_CACHE)
    return [Path("/")] if outside else [Path(name), *map(Path, cached)]


def _stored_photo(value: Mapping[str, Any] | None, folders: Sequence[Path]) -> StoredPhoto:
    """The photo of a row; a data set may name any file of this machine, of which only those in `folders` are read."""
    content, path = (value or {}).get("bytes"), (value or {}).get("path")
    if content or not path:
        return (content, None) if content else (b"", "no image")
    file = Path(path)
    problem = special_kind(file) or ("folder" if file.is_dir() else None)
    if problem or not file.exists():
        return b"", f"image {path!r}: " + (f"a {problem}, not a file" if problem else "no such file")
    if not any(is_inside(file, folder) for folder in folders):
        return b"", f"image {path!r}: outside the data set; set data.outside: read if you trust it"
    try:
        return file.read_bytes(), None
    except OSError as error:
        raise UserError(f"image {path!r}: cannot be read: {error.strerror}") from error
