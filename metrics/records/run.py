"""What a captioning run says of itself: `run.json`, beside its captions."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from metrics.common.errors import UserError
from metrics.common.files import read_bytes

KINDS = ("baseline", "control", "pretrained", "finetuned")
_HUGE = 1e30  # no loss, time or count; NaN fails the comparison too
RUN_FILE = "run.json"
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Where the items come from.

    Attributes:
        name: the catalogue's name.
        folder: the folder that record images are relative to.
        counts: (preparation step, articles left after it), in order.
        split_method: how the split was made.
        split_sizes: split name to number of items.
    """

    name: str | None = None
    folder: Path | None = None
    counts: tuple[tuple[str, int], ...] = ()
    split_method: str | None = None
    split_sizes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunInfo:
    """A run's description; every part may be missing, since anybody's captions can be scored.

    Attributes:
        system: name of the system in tables.
        kind: one of `KINDS`; a control is a system whose photos were shuffled.
        leak_audit: `test_items`, `captions_in_train` (share), `siblings_in_train` (share),
            `test_captions` (distinct ones).
        leak_note: what the audit cannot tell of, since nobody knows it.
        loss_history: dicts with `step`, `epoch`, and `loss` (training) or `eval_loss` (validation), nats a token.
        parameters: tower name to `total` and `trainable` parameters.
        times: seconds, by what they were spent on.
        raw: the whole file.
    """

    system: str | None = None
    kind: str | None = None
    model: str | None = None
    adapter: str | None = None
    recipe: Json = field(default_factory=dict)
    recipe_path: str | None = None
    catalogue: Catalogue = field(default_factory=Catalogue)
    leak_audit: Mapping[str, float] = field(default_factory=dict)
    leak_note: str | None = None
    loss_history: tuple[Mapping[str, float], ...] = ()
    parameters: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    versions: Json = field(default_factory=dict)
    hardware: Json = field(default_factory=dict)
    times: Mapping[str, float] = field(default_factory=dict)
    git: str | None = None
    seed: int | None = None
    decoding: Json = field(default_factory=dict)
    raw: Json = field(default_factory=dict)


def read_run(captions: Path) -> RunInfo | None:
    """Read the `run.json` in the folder of a captions file; None where there is none, or one of another file.

    Numbers that are not finite are left out, unknown keys are ignored.

    Raises:
        UserError: naming file and key, when it is not a JSON object or a key has the wrong type.
    """
    path = captions.parent / RUN_FILE
    if not path.exists():
        return None
    try:
        data = json.loads(read_bytes(path).decode("utf-8"), parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not UTF-8 JSON ({error})") from error
    reader = _Reader(data, str(path))
    if reader.text("file") not in (None, captions.name):
        return None
    kind = reader.text("kind")
    if kind is not None and kind not in KINDS:
        raise UserError(f'{path}: "kind" must be one of {", ".join(KINDS)}, found {kind!r}')
    return RunInfo(
        system=reader.text("system"),
        kind=kind,
        model=reader.text("model"),
        adapter=reader.text("adapter"),
        recipe=reader.mapping("recipe"),
        recipe_path=reader.text("recipe_path"),
        catalogue=_read_catalogue(reader.inside("catalogue")),
        leak_audit=reader.numbers("leak_audit"),
        leak_note=reader.text("leak_note"),
        loss_history=tuple(entry.numbers() for entry in reader.each("loss_history")),
        parameters={tower: reader.inside("parameters").numbers(tower) for tower in reader.mapping("parameters")},
        versions=reader.mapping("versions"),
        hardware=reader.mapping("hardware"),
        times=reader.numbers("times"),
        git=reader.text("git"),
        seed=reader.whole("seed"),
        decoding=reader.mapping("decoding"),
        raw=data,
    )


def _read_catalogue(reader: "_Reader") -> Catalogue:
    folder = reader.text("folder")
    split = reader.inside("split")
    return Catalogue(
        name=reader.text("name"),
        folder=Path(folder) if folder else None,
        counts=tuple((step.text("step") or "", step.whole("articles") or 0) for step in reader.each("counts")),
        split_method=split.text("method"),
        split_sizes=split.numbers("sizes"),
    )


class _Reader:
    """Typed access to one JSON object; a wrong type is a `UserError` that names the place."""

    def __init__(self, data: object, where: str) -> None:
        if not isinstance(data, dict):
            raise UserError(f"{where}: expected a JSON object, found {type(data).__name__}")
        self._data = data
        self._where = where

    def text(self, key: str) -> str | None:
        value: str | None = self._typed(key, "a string", lambda value: isinstance(value, str))
        return value

    def whole(self, key: str) -> int | None:
        value: int | None = self._typed(
            key, "a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool)
        )
        return value

    def mapping(self, key: str) -> Json:
        value: Json | None = self._typed(key, "an object", lambda value: isinstance(value, dict))
        return value or {}

    def inside(self, key: str) -> "_Reader":
        return _Reader(self.mapping(key), f"{self._where}: {key}")

    def each(self, key: str) -> list["_Reader"]:
        values = self._typed(key, "a list", lambda value: isinstance(value, list)) or []
        return [_Reader(value, f"{self._where}: {key}[{place}]") for place, value in enumerate(values)]

    def numbers(self, key: str | None = None) -> dict[str, Any]:
        """Return the finite numbers of this object, or of the object at `key`."""
        values = self._data if key is None else self.mapping(key)
        return {name: value for name, value in values.items() if _is_finite(value)}

    def _typed(self, key: str, expected: str, holds: Callable[[object], bool]) -> Any:
        value = self._data.get(key)
        if value is not None and not holds(value):
            raise UserError(f'{self._where}: "{key}" must be {expected}, found {value!r:.60}')
        return value


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _HUGE
