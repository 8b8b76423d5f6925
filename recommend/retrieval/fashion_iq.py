"""FashionIQ (Wu et al., CVPR 2021) as its authors publish it.

`captions/cap.CATEGORY.SPLIT.json` lists pairs: `candidate` (the reference), `target` (not in the official test files)
and two `captions`; `image_splits/split.CATEGORY.SPLIT.json` lists the ids of the split's photos; side labels, if there
are any, are in `asin2attr.CATEGORY.SPLIT.json`, id to five lists: texture, fabric, shape, composition, style.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from metrics.common.errors import UserError
from metrics.common.files import read_bytes, read_json_object
from metrics.common.json_text import parse_json
from metrics.photos.formats import is_photo

SPLITS = ("train", "val", "test")
LABELS = ("texture", "fabric", "shape", "composition", "style")
JOINT = " and "
_LABEL_FOLDERS = ("tags", "image_tag_dataset/tags", "captions", "")
_NAMED = 5  # ids in a message


@dataclass(frozen=True)
class Pair:
    """A query: a reference photo, the captions that say how the target differs, and the target if it is given."""

    reference: str
    captions: tuple[str, ...]
    target: str | None

    @property
    def text(self) -> str:
        """The captions joined with " and "."""
        return JOINT.join(self.captions)


@dataclass(frozen=True)
class Split:
    """A split of a category.

    Attributes:
        category: `dress`, `shirt` or `toptee`.
        name: `train`, `val` or `test`.
        ids: of all its photos, in the file's order: the gallery `original`.
        pairs: in the file's order.
        labels: side labels by id; five lists each.
        blank: captions that were left out since they are blank beside another of the same pair.
    """

    category: str
    name: str
    ids: Sequence[str]
    pairs: Sequence[Pair]
    labels: Mapping[str, Sequence[Sequence[str]]]
    blank: int = 0

    @property
    def with_labels(self) -> int:
        """How many of its photos have a side label."""
        return sum(any(self.labels.get(key, ())) for key in self.ids)

    @property
    def captions(self) -> int:
        """How many captions its pairs have."""
        return sum(len(pair.captions) for pair in self.pairs)

    @property
    def has_targets(self) -> bool:
        """Whether its pairs say which photo is meant."""
        return bool(self.pairs) and all(pair.target is not None for pair in self.pairs)

    @property
    def queries(self) -> Sequence[str]:
        """The ids that its pairs name, each once, sorted: the gallery `union`."""
        return sorted({key for pair in self.pairs for key in (pair.reference, pair.target) if key})


def read_splits(folder: Path, categories: Sequence[str]) -> list[Split]:
    """All splits of the categories whose files are there; training and validation must be.

    Raises `UserError` naming file and row: a file that is missing or damaged, an id twice, a pair that names a photo
    which its split lacks, a pair without words.
    """
    splits: list[Split] = []
    for category in categories:
        names = [name for name in SPLITS if name != "test" or _captions(folder, category, name).is_file()]
        splits += [_read_split(folder, category, name) for name in names]
    return splits


def single(pairs: Sequence[Pair]) -> list[Pair]:
    """Each caption as a pair of its own."""
    return [replace(pair, captions=(caption,)) for pair in pairs for caption in pair.captions]


def members(splits: Sequence[Split]) -> dict[str, list[str]]:
    """The ids of each category, of all its splits."""
    found: dict[str, dict[str, None]] = {}
    for split in splits:
        found.setdefault(split.category, {}).update(dict.fromkeys(split.ids))
    return {category: list(ids) for category, ids in found.items()}


def photo_files(folder: Path) -> dict[str, Path]:
    """The photos of a folder by their names without suffix. Raises `UserError` if there is no such folder."""
    if not folder.is_dir():
        raise UserError(f"{folder}: expected a folder of photos; name it as dataset.photos")
    return {path.stem: path for path in sorted(folder.iterdir()) if is_photo(path)}


def with_photos(splits: Sequence[Split], photos: Mapping[str, Path], missing: str) -> tuple[list[Split], list[str]]:
    """The splits without the ids that have no photo and the pairs that need them, and these ids.

    Raises `UserError` naming them if photos are `missing` and that is to be refused.
    """
    lost = sorted({key for split in splits for key in split.ids if key not in photos})
    if lost and missing == "refuse":
        raise UserError(
            f"{_listed(lost)}: no photo of {len(lost):,} ids; get them, or set dataset.missing=drop to leave out these "
            "photos and their pairs"
        )
    gone = set(lost)
    kept = [
        replace(
            split,
            ids=[key for key in split.ids if key not in gone],
            pairs=[pair for pair in split.pairs if not {pair.reference, pair.target} & gone],
        )
        for split in splits
    ]
    return kept, lost


def _captions(folder: Path, category: str, name: str) -> Path:
    return folder / "captions" / f"cap.{category}.{name}.json"


def _read_split(folder: Path, category: str, name: str) -> Split:
    path = folder / "image_splits" / f"split.{category}.{name}.json"
    ids = _ids(path)
    captions = _captions(folder, category, name)
    rows = [_pair(row, f"{captions}, row {number}") for number, row in enumerate(_read_list(captions), 1)]
    pairs = [pair for pair, _ in rows]
    _refuse_others(pairs, set(ids), captions, path)
    return Split(category, name, ids, pairs, _labels(folder, category, name), sum(blank for _, blank in rows))


def _ids(path: Path) -> list[str]:
    ids = _read_list(path)
    wrong = [key for key in ids if not isinstance(key, str) or not key]
    if wrong or not ids:
        found = f"{wrong[0]!r:.60}" if wrong else "an empty list"
        raise UserError(f"{path}: expected a list of ids as texts, found {found}")
    twice = [key for key, count in Counter(ids).items() if count > 1]
    if twice:
        raise UserError(f"{path}: {len(twice):,} ids are there twice ({_listed(twice)}); leave one of each")
    return ids


def _pair(row: Any, where: str) -> tuple[Pair, int]:
    """A pair, and how many of its captions are blank."""
    if not isinstance(row, dict) or not isinstance(row.get("candidate"), str):
        raise UserError(f'{where}: expected an object with "candidate" and "captions", found {row!r:.80}')
    captions, target = row.get("captions"), row.get("target")
    if not isinstance(captions, list) or not all(isinstance(one, str) for one in captions):
        raise UserError(f'{where}: expected "captions" to be a list of texts, found {captions!r:.80}')
    if target is not None and not isinstance(target, str):
        raise UserError(f'{where}: expected "target" to be an id, found {target!r:.80}')
    said = tuple(" ".join(one.split()) for one in captions if one.strip())
    if not said:
        raise UserError(f"{where}: all captions are empty; write one, or remove the row")
    return Pair(row["candidate"], said, target), len(captions) - len(said)


def _refuse_others(pairs: Sequence[Pair], ids: set[str], captions: Path, split: Path) -> None:
    for number, pair in enumerate(pairs, 1):
        other = next((key for key in (pair.reference, pair.target) if key is not None and key not in ids), None)
        if other is not None:
            raise UserError(
                f"{captions}, row {number}: {other} is not in {split.name}; are both files of one category and split?"
            )
    if len({pair.target is None for pair in pairs}) > 1:
        raise UserError(f'{captions}: some rows have a "target" and others none; give all or none')


def _labels(folder: Path, category: str, name: str) -> dict[str, list[list[str]]]:
    file = f"asin2attr.{category}.{name}.json"
    path = next((folder / place / file for place in _LABEL_FOLDERS if (folder / place / file).is_file()), None)
    if path is None:
        return {}
    labels = read_json_object(path, "copy it again, or remove it")
    for key, lists in labels.items():
        right = isinstance(lists, list) and len(lists) == len(LABELS) and all(isinstance(one, list) for one in lists)
        if not right:
            raise UserError(f"{path}, {key}: expected five lists ({', '.join(LABELS)}), found {lists!r:.80}")
    return labels


def _read_list(path: Path) -> list[Any]:
    if not path.is_file():
        raise UserError(f"{path}: no such file; dataset.folder has the official captions/ and image_splits/")
    try:
        value = parse_json(read_bytes(path))
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}); copy it again") from error
    if not isinstance(value, list):
        raise UserError(f"{path}: expected a JSON list, found {type(value).__name__}")
    return value


def _listed(ids: Sequence[str]) -> str:
    return ", ".join(ids[:_NAMED]) + (", ..." if len(ids) > _NAMED else "")
