"""The systems to be scored, and the items they are scored on."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from metrics.common.errors import UserError
from metrics.photos.folders import folder_named
from metrics.records.captions import CaptionRecord, read_captions
from metrics.records.run import RunRecord, read_run

# Order of the columns: no photo, the wrong photo, the paper's PT, other people's, the paper's FT.
_RANKS = {"baseline": 0, "control": 1, "pretrained": 2, None: 3, "finetuned": 4}
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class CaptionSet:
    """One system's captions.

    Attributes:
        name: its name in tables, unique among the systems scored together.
        captions: item id to record, in the file's order.
        run: the content of its `run.json`, None without one.
        source: the captions file.
    """

    name: str
    captions: Mapping[str, CaptionRecord]
    run: RunRecord | None = None
    source: Path | None = None

    @property
    def photo_folder(self) -> Path | None:
        """The folder that images are relative to; None if it is not known, or the captions may not name it."""
        folder = self.run.catalogue.folder if self.run else None
        return folder_named(folder, self.source.parent) if folder and self.source else folder


def load_systems(paths: Sequence[str | Path]) -> list[CaptionSet]:
    """Read captions files with the `run.json` beside each; baselines first, fine-tuned systems last.

    Raises:
        UserError: when a file cannot be read or is not a captions file.
    """
    systems: list[CaptionSet] = []
    for path in map(Path, paths):
        captions = {record.id: record for record in read_captions(path)}
        run = read_run(path)
        systems.append(CaptionSet((run and run.system) or _name_from(path), captions, run, path))
    systems.sort(key=lambda system: _RANKS[system.run.kind if system.run else None])
    return _unique_names(systems)


def reference_items(
    systems: Sequence[CaptionSet], references: Sequence[CaptionRecord] | None, must_have_references: bool = True
) -> list[CaptionRecord]:
    """Return the items to be scored on: those of `references`, else of all systems together.

    Each is a record without a caption, and with references if it `must_have_references`; it is seen if it is in any
    record, and `image` and the like come from the first record that has them.

    Raises:
        UserError: when an item lacks the references that it must have, two systems give different ones for it, or a
            system has a caption for an item that is not among `references`.
    """
    items = {record.id: record for record in references} if references is not None else _union(systems)
    undescribed = [key for key, item in items.items() if not item.references]
    _refuse(undescribed if must_have_references else [], "has no references", _NO_REFERENCES)
    for system in systems:
        unknown = [key for key in system.captions if key not in items]
        _refuse(unknown, f"of {_origin(system)} is not among the references", _remedy(unknown, items))
    return [_completed(item, systems) for item in items.values()]


def _remedy(unknown: Sequence[str], items: Iterable[str]) -> str:
    """What to do about unknown ids; numbers lose their zeros in spreadsheets and JSON."""
    without_zeros = {key.lstrip("0") for key in items}
    if any(key.lstrip("0") in without_zeros for key in unknown):
        return "among these it has zeros in front, or none: write ids as text, so that they keep their zeros"
    return "score it against its own split's file"


_NO_REFERENCES = (
    'write them into the records ("references": ["..."]) or give a file of them with --references; only CLIPScore '
    "(--measure CLIPScore --clip MODEL) needs none"
)


def _union(systems: Sequence[CaptionSet]) -> dict[str, CaptionRecord]:
    items: dict[str, CaptionRecord] = {}
    for system in systems:
        for key, record in system.captions.items():
            known = items.setdefault(key, record)
            if not known.references:
                items[key] = record
            elif record.references and record.references != known.references:
                raise UserError(
                    f"id {key!r} of {_origin(system)} has other references than the same id of an earlier file; "
                    "give the right ones with --references"
                )
    return items


def _completed(item: CaptionRecord, systems: Sequence[CaptionSet]) -> CaptionRecord:
    known = [item, *(system.captions[item.id] for system in systems if item.id in system.captions)]
    return replace(
        item,
        caption=None,
        logprob=None,
        tokens=None,
        finished=None,
        seen=_seen([record.seen for record in known]),
        image=next((record.image for record in known if record.image), None),
        photo_digest=next((record.photo_digest for record in known if record.photo_digest), None),
        product_id=next((record.product_id for record in known if record.product_id), None),
        category=next((record.category for record in known if record.category), None),
    )


def _seen(flags: Sequence[bool | None]) -> bool | None:
    """Seen if any system was trained on the caption: systems may have been trained on different splits."""
    known = [flag for flag in flags if flag is not None]
    return any(known) if known else None


def _refuse(ids: Sequence[str], problem: str, remedy: str) -> None:
    if not ids:
        return
    shown = ", ".join(repr(key) for key in ids[:_SHOWN])
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    raise UserError(f"id {shown}{more} {problem}; {remedy}")


def _origin(system: CaptionSet) -> str:
    return str(system.source) if system.source else system.name


def _name_from(path: Path) -> str:
    return path.stem if path.stem != "captions" else path.resolve().parent.name or path.stem


def _unique_names(systems: list[CaptionSet]) -> list[CaptionSet]:
    names = unique_names([system.name for system in systems])
    return [replace(system, name=name) for system, name in zip(systems, names, strict=True)]


def unique_names(names: Iterable[str]) -> list[str]:
    """Number names that were there before: `a, a` becomes `a, a (2)`."""
    unique: list[str] = []
    for name in names:
        numbered, number = name, 2
        while numbered in unique:
            numbered, number = f"{name} ({number})", number + 1
        unique.append(numbered)
    return unique


def without_number(name: str) -> str:
    """Return a name without the number that `unique_names` may have put behind it."""
    return re.sub(r" \(\d+\)$", "", name)
