"""Prepared catalogues on disk: an Arrow data set per split and the account of the preparation."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from finetune.data.catalogues.base import SPLITS, Catalogue, CatalogueSection
from finetune.data.photos import Photo
from finetune.data.splits import audit
from metrics.common.errors import UserError
from metrics.common.files import atomic_writer
from metrics.common.images import hdf5_row

datasets.disable_progress_bars()

LAYOUT_VERSION = 4
DESCRIBED = ("name", "counts", "split", "leak_audit")
BLOCK = 50_000
ALL_SPLITS = (*SPLITS, "undescribed")


def fingerprint(catalogue: Catalogue, parts: dict[str, pd.DataFrame], config: CatalogueSection) -> str:
    """A short hash that changes when a row, a note, a photo (its size or time) or the recipe's data section changes.

    What a catalogue is called and what it weighs among others changes nothing in it.
    """
    section = config.model_dump_json(exclude={"name", "weight"})
    told = f"{LAYOUT_VERSION} {catalogue.folder} {section} {catalogue.notes}"
    state = hashlib.sha256(told.encode("utf-8", "backslashreplace"))
    for name, part in parts.items():
        state.update(name.encode())
        texts = part.drop(columns="image").astype(str) if catalogue.folder is None else part.astype(str)
        state.update(pd.util.hash_pandas_object(texts, index=False).to_numpy().tobytes())
        photos = part["image"] if catalogue.folder is None else _file_states(catalogue.folder, part["image"])
        for photo in photos:
            state.update(photo)
    return state.hexdigest()[:16]


def _file_states(folder: Path, images: Iterable[str]) -> Iterator[bytes]:
    """What changes when a photo's file changes; many photos may lie in one file."""
    state = cache(partial(_file_state, folder))
    for image in images:
        stored = hdf5_row(image)
        yield state(stored[0] if stored else image)


def _file_state(folder: Path, file: Path | str) -> bytes:
    """The file's size and time; a missing one is named when the photos are checked."""
    try:
        stat = (folder / file).stat()
    except OSError:
        return b"missing"
    return f"{stat.st_size} {stat.st_mtime_ns}".encode()


def is_whole(folder: Path) -> bool:
    """Whether a prepared catalogue stands in `folder` and can be read; a damaged one is removed, to be made again."""
    if not folder.is_dir():
        return False
    try:
        read(folder, None)
    except (OSError, ValueError, KeyError, StopIteration, pa.ArrowException):
        shutil.rmtree(folder)
        return False
    return True


def write(folder: Path, catalogue: Catalogue, parts: dict[str, pd.DataFrame], config: CatalogueSection) -> None:
    """Write the splits and their account to `folder`, which appears whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".preparing-"))
    try:
        names = sorted(set(catalogue.described["category"]) - {""})
        trained = set(parts["train"]["caption"])
        account = _account(catalogue, parts, config)
        for name, part in parts.items():
            if len(part):
                data = _to_dataset(part, trained, names, catalogue.folder)
                data.info.description = _dump({key: account[key] for key in DESCRIBED})
                data.save_to_disk(temporary / name)
        with atomic_writer(temporary / "account.json") as file:
            file.write(_dump(account))
        _move(temporary, folder)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _dump(account: dict[str, Any]) -> str:
    return json.dumps(account, indent=1, ensure_ascii=False)


def _move(temporary: Path, folder: Path) -> None:
    """Give the cache its name; another process may have written the same one meanwhile."""
    try:
        temporary.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def _to_dataset(part: pd.DataFrame, trained: set[str], names: list[str], folder: Path | None) -> Any:
    """The part as an Arrow data set, made block by block: Python's objects take several times the memory."""
    keys = sorted({key for attributes in part["attributes"] for key in attributes})
    blocks = [part.iloc[start : start + BLOCK] for start in range(0, len(part), BLOCK)]
    return datasets.concatenate_datasets([_to_block(block, trained, names, keys, folder) for block in blocks])


def _to_block(block: pd.DataFrame, trained: set[str], names: list[str], keys: list[str], folder: Path | None) -> Any:
    text, known = datasets.Value("string"), set(names)
    columns = {
        "id": (block["id"], text),
        "product_id": (block["product_id"], text),
        "image": (block["image"], Photo()) if folder is None else (block["image"], text),
        "file": ([None] * len(block) if folder is None else block["image"], text),
        "caption": (block["caption"], text),
        "category": ([name if name in known else None for name in block["category"]], datasets.ClassLabel(names=names)),
        "colour": (block["colour"], text),
        "attributes": (block["attributes"], dict.fromkeys(keys, text)),
        "seen": (block["caption"].isin(trained), datasets.Value("bool")),
    }
    features = datasets.Features({name: feature for name, (_, feature) in columns.items()})
    return datasets.Dataset.from_dict({name: list(values) for name, (values, _) in columns.items()}, features)


def _account(catalogue: Catalogue, parts: dict[str, pd.DataFrame], config: CatalogueSection) -> dict[str, Any]:
    return {
        "name": catalogue.name,
        "counts": [{"step": step, "articles": articles} for step, articles in catalogue.counts],
        "dropped": catalogue.dropped,
        "bad_images": catalogue.bad_images,
        "image_sizes": dict(catalogue.image_sizes.most_common()),
        "notes": catalogue.notes,
        "split": {"method": config.split.method, "sizes": {name: len(part) for name, part in parts.items()}},
        "leak_audit": audit(parts["test"], parts["train"]).as_dict(),
    }


def read(folder: Path, images: Path | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The splits, with photos read from the catalogue's folder `images` where it has one, and the account."""
    saved = {name: datasets.load_from_disk(str(folder / name)) for name in ALL_SPLITS if (folder / name).is_dir()}
    features = next(iter(saved.values())).features
    empty = datasets.Dataset.from_dict({name: [] for name in features}, features)
    splits = {name: saved.get(name, empty) for name in ALL_SPLITS}
    if images is not None:
        splits = {name: _with_images(data, images) for name, data in splits.items()}
    account = json.loads((folder / "account.json").read_text(encoding="utf-8"))
    return splits, account | {"folder": str(images) if images else None, "fingerprint": folder.name}


def _with_images(data: Any, folder: Path) -> Any:
    paths = pc.binary_join_element_wise(str(folder), data.data.column("file").combine_chunks(), "/")
    return data.remove_columns("image").add_column("image", paths).cast_column("image", Photo())
