"""Prepared catalogues on disk: an Arrow data set per split and the account of the preparation."""

import hashlib
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from finetune.config.catalogues import ALL_SPLITS, CatalogueSection
from finetune.data.account import Account, SplitSizes, Step
from finetune.data.catalogues.base import Catalogue
from finetune.data.items import ITEMS, with_roles, write_items
from finetune.data.leaks import Exposed, SeenInTraining
from finetune.data.photos import Photo
from finetune.data.similar_photos import count_photos
from metrics.common.damage import is_damage, unreadable
from metrics.common.errors import UserError
from metrics.common.files import atomic_folder, write_text
from metrics.photos.hdf5 import hdf5_row

datasets.disable_progress_bars()

FINGERPRINT_VERSION = 4
LAYOUT_VERSION = 7
ACCOUNT = "account.json"
BLOCK = 50_000


def fingerprint(catalogue: Catalogue, parts: dict[str, pd.DataFrame], config: CatalogueSection) -> str:
    """A short hash that changes when a row, a note, a photo (its size or time) or the recipe's data section changes.

    What a catalogue is called and what it weighs among others changes nothing in it.
    """
    text = f"{FINGERPRINT_VERSION} {catalogue.folder} {config.identity()} {catalogue.notes}"
    state = hashlib.sha256(text.encode("utf-8", "backslashreplace"))
    for name, part in parts.items():
        state.update(name.encode())
        rows = part.assign(attributes=part["attributes"].map(partial(_fingerprinted, catalogue.fingerprinted)))
        texts = rows.drop(columns="image").astype(str) if catalogue.folder is None else rows.astype(str)
        state.update(pd.util.hash_pandas_object(texts, index=False).to_numpy().tobytes())
        photos = part["image"] if catalogue.folder is None else _file_states(catalogue.folder, part["image"])
        for photo in photos:
            state.update(photo)
    return state.hexdigest()[:16]


def _fingerprinted(names: Mapping[str, str] | None, attributes: Mapping[str, str]) -> Mapping[str, str]:
    return attributes if names is None else {name: attributes[current] for name, current in names.items()}


def folder_name(fingerprint: str, catalogue: Catalogue, config: CatalogueSection) -> str:
    """The prepared catalogue's folder in the cache: of its own where photos outside the catalogue are read."""
    outside = "-outside" if config.outside == "read" else ""
    return f"{fingerprint}-{_source_digest(catalogue)}{outside}-{LAYOUT_VERSION}"


def _source_digest(catalogue: Catalogue) -> str:
    """A short hash of the catalogue's whole table, which has columns that its fingerprint does not know."""
    rows = pd.util.hash_pandas_object(catalogue.items.astype(str), index=False).to_numpy()
    return hashlib.sha256(repr(list(catalogue.items)).encode() + rows.tobytes()).hexdigest()[:8]


def _file_states(folder: Path, images: Iterable[str]) -> Iterator[bytes]:
    """What changes when a photo's file changes; many photos may be in one file."""
    state = cache(partial(_file_state, folder))
    for image in images:
        stored = hdf5_row(image)
        yield state(stored[0] if stored else image) if image else b"missing"


def _file_state(folder: Path, file: Path | str) -> bytes:
    """The file's size and time; a missing one is named when the photos are checked."""
    try:
        stat = (folder / file).stat()
    except OSError:
        return b"missing"
    return f"{stat.st_size} {stat.st_mtime_ns}".encode()


def is_whole(folder: Path) -> bool:
    """Whether `folder` holds a prepared catalogue that can be read; changes nothing.

    Raises `UserError` if it cannot be read for a reason that is not in its files, such as too many open files.
    """
    if not folder.is_dir():
        return False
    try:
        for part in folder.iterdir():
            if part.is_dir():
                (part / "state.json").stat()  # datasets reports one without permission as missing
        account = Account.from_json((folder / ACCOUNT).read_text(encoding="utf-8"), None)
        if _digests(folder) != account.digests:
            raise ValueError(f"{folder}: its rows are not those that were written")
        read(folder, None)
    except (MemoryError, pa.ArrowCancelled):
        raise
    except OSError as error:
        if not is_damage(error):
            raise unreadable(folder, error) from error
        return False
    except (ValueError, LookupError, TypeError, AttributeError, RuntimeError, StopIteration, pa.ArrowException):
        return False
    return True


def remove_damaged(folder: Path) -> None:
    """Remove a prepared catalogue that is not whole, if there is one.

    Raises `UserError` if the folder holds anything that was not written here, or cannot be removed.
    """
    if not folder.is_dir():
        return
    foreign = sorted({path.name for path in folder.iterdir()} - {ACCOUNT, ITEMS, *ALL_SPLITS})
    if foreign:
        raise UserError(
            f"{folder}: expected a prepared catalogue, found a damaged one with {', '.join(foreign)}, which Lookbook "
            "did not write; move that elsewhere and remove the folder"
        )
    if any(folder.iterdir()):
        print(f"note: {folder}: this prepared catalogue is damaged; it is made again", file=sys.stderr)
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise UserError(f"{folder}: is damaged and cannot be removed: {error.strerror or error}") from error


def write(
    folder: Path, fingerprint: str, catalogue: Catalogue, parts: dict[str, pd.DataFrame], config: CatalogueSection
) -> None:
    """Write the splits, the items and their account to `folder`, which appears whole or not at all.

    Another process may write the same catalogue meanwhile; the first to finish names the folder.
    """
    names = sorted(set(catalogue.described["category"]) - {""})
    further = sorted(set(catalogue.undescribed["category"]) - {"", *names})
    labels = dict.fromkeys(parts, names) | {"undescribed": [*names, *further]}
    trained = SeenInTraining(_exposed(parts["train"]))
    account = _account(fingerprint, catalogue, parts, config, trained)
    with atomic_folder(folder, keep_existing=True) as draft:
        for name, part in parts.items():
            if len(part):
                data = _to_dataset(part, trained, labels[name], catalogue.folder)
                data.info.description = account.description()
                data.save_to_disk(draft / name)
        write_items(draft / ITEMS, with_roles(catalogue.items, parts, catalogue.dropped))
        account = replace(account, digests=_digests(draft))
        write_text(draft / ACCOUNT, account.to_json())


def _exposed(part: pd.DataFrame) -> Exposed:
    columns = (part[name].tolist() for name in ("caption", "product_id", "photo_digest"))
    return Exposed(*columns)


def _digests(folder: Path) -> dict[str, str]:
    """The hash of each split's files, and of the items."""
    splits = {name: _digest(folder / name) for name in ALL_SPLITS if (folder / name).is_dir()}
    return splits | {ITEMS: _digest(folder / ITEMS)}


def _digest(place: Path) -> str:
    """The hash of a file, or of a folder's files. Raises `OSError`."""
    digest = hashlib.sha256()
    for path in sorted(place.iterdir()) if place.is_dir() else [place]:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _to_dataset(part: pd.DataFrame, trained: SeenInTraining, names: list[str], folder: Path | None) -> Any:
    """The part as an Arrow data set, made block by block: Python's objects take several times the memory."""
    keys = sorted({key for attributes in part["attributes"] for key in attributes})
    blocks = [part.iloc[start : start + BLOCK] for start in range(0, len(part), BLOCK)]
    return datasets.concatenate_datasets([_to_block(block, trained, names, keys, folder) for block in blocks])


def _to_block(
    block: pd.DataFrame, trained: SeenInTraining, names: list[str], keys: list[str], folder: Path | None
) -> Any:
    text, known = datasets.Value("string"), set(names)
    columns = {
        "id": (block["id"], text),
        "product_id": (block["product_id"], text),
        "image": (block["image"], Photo()) if folder is None else (block["image"], text),
        "file": ([None] * len(block) if folder is None else block["image"], text),
        "photo_digest": (block["photo_digest"], text),
        "caption": (block["caption"], text),
        "category": ([name if name in known else None for name in block["category"]], datasets.ClassLabel(names=names)),
        "colour": (block["colour"], text),
        "attributes": (block["attributes"], dict.fromkeys(keys, text)),
        "seen": (trained.seen(block["caption"]), datasets.Value("bool")),
    }
    features = datasets.Features({name: feature for name, (_, feature) in columns.items()})
    return datasets.Dataset.from_dict({name: list(values) for name, (values, _) in columns.items()}, features)


def _account(
    fingerprint: str,
    catalogue: Catalogue,
    parts: dict[str, pd.DataFrame],
    config: CatalogueSection,
    trained: SeenInTraining,
) -> Account:
    return Account(
        name=catalogue.name,
        fingerprint=fingerprint,
        split=SplitSizes(config.split.method, {name: len(part) for name, part in parts.items()}),
        folder=str(catalogue.folder) if catalogue.folder else None,
        counts=tuple(Step(step, articles) for step, articles in catalogue.counts),
        dropped=catalogue.dropped,
        bad_images=catalogue.bad_images,
        image_sizes=dict(catalogue.image_sizes.most_common()),
        notes=catalogue.notes,
        photos=count_photos(parts),
        leak_audit=trained.audit(_exposed(parts["test"])),
    )


def read(folder: Path, images: Path | None) -> tuple[dict[str, Any], Account]:
    """The splits, with photos read from the catalogue's folder `images` if it has one, and the account."""
    saved = {name: datasets.load_from_disk(str(folder / name)) for name in ALL_SPLITS if (folder / name).is_dir()}
    features = next(iter(saved.values())).features
    empty = datasets.Dataset.from_dict({name: [] for name in features}, features)
    splits = {name: saved.get(name, empty) for name in ALL_SPLITS}
    account = Account.from_json((folder / ACCOUNT).read_text(encoding="utf-8"), images)
    sizes = {name: len(data) for name, data in splits.items()}
    if sizes != account.split.sizes:
        raise ValueError(f"{folder}: expected splits of {account.split.sizes}, found {sizes}")
    if images is not None:
        splits = {name: _with_images(data, images) for name, data in splits.items()}
    return splits, account


def _with_images(data: Any, folder: Path) -> Any:
    paths = pc.binary_join_element_wise(str(folder), data.data.column("file").combine_chunks(), "/")
    return data.remove_columns("image").add_column("image", paths).cast_column("image", Photo())
