"""From a recipe's catalogue to cached Arrow splits, reference files and an account of the preparation."""

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import pandas as pd

from finetune.catalogues.base import Catalogue, CatalogueSection
from finetune.images import find_broken
from finetune.splits import SPLITS, audit, seen_in_training, split_articles
from metrics.captions import CaptionRecord, write_records
from metrics.errors import UserError
from metrics.files import atomic_writer

datasets.disable_progress_bars()

LAYOUT_VERSION = 1
ALL_SPLITS = (*SPLITS, "undescribed")
BAD_IMAGE = "bad image"


@dataclass(frozen=True)
class Prepared:
    """A catalogue ready for training: one Arrow data set per split, and the account of how it came about.

    Columns: `id`, `product_id`, `image` (datasets.Image), `file` (path relative to the catalogue's folder), `caption`,
    `category` (ClassLabel), `colour`, `attributes`, `seen`. The split `undescribed` has photos and no captions.
    `account` is what `run.json` keeps: name, folder, counts, dropped, split sizes, leak audit.
    """

    splits: dict[str, Any]
    account: dict[str, Any]

    def records(self, split: str) -> list[CaptionRecord]:
        """The split's items with their references, without captions; no photo is read."""
        data = self.splits[split]
        names = data.features["category"].names
        rows = data.remove_columns("image").to_list()
        return [_record(row, names, split) for row in rows]


def prepare(config: CatalogueSection) -> Prepared:
    """Load, split, check every photo and cache; a second call with unchanged data reads the cache.

    The cache lies in `$LOOKBOOK_CACHE` (default `~/.cache/lookbook`).
    Raises `UserError` where a photo is broken (unless `on_bad_image: skip`) or a caption is far too long.
    """
    catalogue = config.load()  # type: ignore[attr-defined]
    parts = _limited_parts(catalogue, config)
    _check_captions(parts, config.max_caption_words)
    folder = cache_folder() / f"{catalogue.name}-{_fingerprint(catalogue, parts, config)}"
    if not folder.is_dir():
        _write(folder, catalogue, _without_bad_images(catalogue, parts, config), config)
    return _read(folder, catalogue.folder)


def cache_folder() -> Path:
    """Where prepared catalogues lie."""
    return Path(os.environ.get("LOOKBOOK_CACHE") or "~/.cache/lookbook").expanduser()


def write_references(prepared: Prepared, folder: Path) -> list[Path]:
    """Write `references-{train,validation,test}.jsonl`, so that anybody's captions can be scored."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"references-{split}.jsonl" for split in SPLITS]
    for split, path in zip(SPLITS, paths, strict=True):
        write_records(path, prepared.records(split))
    return paths


def describe(account: dict[str, Any]) -> str:
    """The account of the preparation, for the screen."""
    steps = [f"  {step['articles']:>9,}  {step['step']}" for step in account["counts"]]
    sizes = [f"  {size:>9,}  {split}" for split, size in account["split"]["sizes"].items()]
    dropped = [f"  {len(ids):>9,}  {rule}" for rule, ids in account["dropped"].items() if ids]
    leak = account["leak_audit"]
    audited = [
        f"  {leak['captions_in_train']:>9.1%}  captions that stand verbatim in training",
        f"  {leak['siblings_in_train']:>9.1%}  items with a sibling of the same product in training",
    ]
    sections = {
        f"catalogue {account['name']}": steps,
        "dropped, by rule": dropped,
        "photos left out": [f"  {reason}" for reason in account["bad_images"]],
        f"{account['split']['method']} split": sizes,
        f"leak audit of {leak['test_items']:,} test items": audited if leak["test_items"] else [],
    }
    return "\n".join(line for title, lines in sections.items() if lines for line in (title, *lines))


def _limited_parts(catalogue: Catalogue, config: CatalogueSection) -> dict[str, pd.DataFrame]:
    if catalogue.described.empty:
        parts = dict.fromkeys(SPLITS, catalogue.described)
    else:
        parts = split_articles(catalogue.described, config.split)
    parts["undescribed"] = catalogue.undescribed
    return {name: part.head(config.limit) if config.limit else part for name, part in parts.items()}


def _check_captions(parts: dict[str, pd.DataFrame], most: int) -> None:
    for part in parts.values():
        words = part["caption"].str.split().str.len()
        if (words > most).any():
            row = part.loc[words.idxmax()]
            raise UserError(
                f"id {row['id']}: its caption has {words.max():,} words, more than data.max_caption_words = {most}; "
                "is it a description? Shorten it or raise the limit"
            )


def _fingerprint(catalogue: Catalogue, parts: dict[str, pd.DataFrame], config: CatalogueSection) -> str:
    state = hashlib.sha256(f"{LAYOUT_VERSION} {catalogue.folder} {config.model_dump_json()}".encode())
    for name, part in parts.items():
        state.update(name.encode())
        state.update(pd.util.hash_pandas_object(part.astype(str), index=False).to_numpy().tobytes())
        if catalogue.folder is not None:
            stats = [(catalogue.folder / image).stat() for image in part["image"]]
            state.update(repr([(stat.st_size, stat.st_mtime_ns) for stat in stats]).encode())
    return state.hexdigest()[:16]


def _without_bad_images(
    catalogue: Catalogue, parts: dict[str, pd.DataFrame], config: CatalogueSection
) -> dict[str, pd.DataFrame]:
    return {name: _drop_bad(catalogue, name, part, config.on_bad_image) for name, part in parts.items()}


def _drop_bad(catalogue: Catalogue, name: str, part: pd.DataFrame, policy: str) -> pd.DataFrame:
    folder = catalogue.folder
    sources = part["image"].tolist() if folder is None else [folder / image for image in part["image"]]
    broken = find_broken(sources, f"checking photos of {name}")
    if not broken:
        return part
    named = [f"{part['image'].iloc[i] if folder else part['id'].iloc[i]}: {why}" for i, why in broken.items()]
    if policy == "stop":
        shown = "\n  ".join(named[:10])
        raise UserError(
            f"{len(broken)} photo(s) of {folder or catalogue.name} cannot be used:\n  {shown}\n"
            "replace them, or leave them out with data.on_bad_image: skip"
        )
    catalogue.bad_images += named
    catalogue.dropped.setdefault(BAD_IMAGE, []).extend(part["id"].iloc[list(broken)])
    return part.drop(part.index[list(broken)])


def _write(folder: Path, catalogue: Catalogue, parts: dict[str, pd.DataFrame], config: CatalogueSection) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".preparing-"))
    try:
        names = sorted(set(catalogue.described["category"]) - {""})
        for name, part in parts.items():
            if len(part):
                _to_dataset(part, parts["train"], names, catalogue.folder).save_to_disk(temporary / name)
        with atomic_writer(temporary / "account.json") as file:
            json.dump(_account(catalogue, parts, config), file, indent=1)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _to_dataset(part: pd.DataFrame, train: pd.DataFrame, names: list[str], folder: Path | None) -> Any:
    text, known = datasets.Value("string"), set(names)
    keys = sorted({key for attributes in part["attributes"] for key in attributes})
    columns = {
        "id": (part["id"], text),
        "product_id": (part["product_id"], text),
        "image": (part["image"], datasets.Image()) if folder is None else (part["image"], text),
        "file": ([None] * len(part) if folder is None else part["image"], text),
        "caption": (part["caption"], text),
        "category": ([name if name in known else None for name in part["category"]], datasets.ClassLabel(names=names)),
        "colour": (part["colour"], text),
        "attributes": (part["attributes"], dict.fromkeys(keys, text)),
        "seen": (seen_in_training(part, train), datasets.Value("bool")),
    }
    features = datasets.Features({name: feature for name, (_, feature) in columns.items()})
    return datasets.Dataset.from_dict({name: list(values) for name, (values, _) in columns.items()}, features)


def _account(catalogue: Catalogue, parts: dict[str, pd.DataFrame], config: CatalogueSection) -> dict[str, Any]:
    return {
        "name": catalogue.name,
        "counts": [{"step": step, "articles": articles} for step, articles in catalogue.counts],
        "dropped": catalogue.dropped,
        "bad_images": catalogue.bad_images,
        "split": {"method": config.split.method, "sizes": {name: len(part) for name, part in parts.items()}},
        "leak_audit": audit(parts["test"], parts["train"]).as_dict(),
    }


def _read(folder: Path, images: Path | None) -> Prepared:
    saved = {name: datasets.load_from_disk(str(folder / name)) for name in ALL_SPLITS if (folder / name).is_dir()}
    features = next(iter(saved.values())).features
    empty = datasets.Dataset.from_dict({name: [] for name in features}, features)
    splits = {name: saved.get(name, empty) for name in ALL_SPLITS}
    if images is not None:
        splits = {name: _with_images(data, images) for name, data in splits.items()}
    account = json.loads((folder / "account.json").read_text(encoding="utf-8"))
    return Prepared(splits, account | {"folder": str(images) if images else None})


def _with_images(data: Any, folder: Path) -> Any:
    paths = [str(folder / name) for name in data["file"]]
    return data.remove_columns("image").add_column("image", paths).cast_column("image", datasets.Image())


def _record(row: dict[str, Any], names: list[str], split: str) -> CaptionRecord:
    described = split != "undescribed"
    return CaptionRecord(
        id=row["id"],
        product_id=row["product_id"],
        image=row["file"],
        references=(row["caption"],) if described else (),
        category=None if row["category"] is None else names[row["category"]],
        attributes={name: value for name, value in row["attributes"].items() if value},
        split=split,
        seen=row["seen"] if split in ("validation", "test") else None,
    )
