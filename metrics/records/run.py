"""The records of a training (`training.json`) and of a captioning run (`run.json`, beside its captions)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Self

from metrics.common.files import read_json_object, write_text
from metrics.common.secrets import without_secrets
from metrics.records.json_reader import JsonReader

KINDS = ("baseline", "control", "pretrained", "finetuned")
RUN_FILE = "run.json"
_USUAL_NAMES = {"hm": "H&M", "facad": "FACAD", "demo": "the demo catalogue"}
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CatalogueInfo:
    """Where the items come from, and how they were prepared.

    Attributes:
        name: the catalogue's name in recipes and folders.
        title: what readers call it; records of earlier versions have none.
        folder: the folder that record images are relative to.
        counts: (preparation step, articles left after it), in order.
        split_method: how the split was made.
        split_sizes: split name to number of items.
        dropped: rule to the number of articles that it dropped.
        bad_images: photos that were left out, each with the reason.
        notes: further lines on the preparation, under titles.
        outside_middle_square: the share of the photos' area that a model that crops them never sees.
    """

    name: str | None = None
    title: str | None = None
    folder: Path | None = None
    counts: tuple[tuple[str, int], ...] = ()
    split_method: str | None = None
    split_sizes: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    bad_images: tuple[str, ...] = ()
    notes: Mapping[str, list[str]] = field(default_factory=dict)
    outside_middle_square: float | None = None

    @property
    def called(self) -> str | None:
        """What readers call it: without a title a folder of photos by its own name, others by their usual ones."""
        if self.title or not self.name:
            return self.title
        own = self.folder.name if self.name == "folder" and self.folder else ""
        return own or _USUAL_NAMES.get(self.name, self.name)

    @classmethod
    def read(cls, reader: JsonReader) -> Self:
        """Take the object that `to_json` writes. Raises `UserError` if a key has the wrong type."""
        folder, split = reader.text("folder"), reader.inside("split")
        return cls(
            name=reader.text("name"),
            title=reader.text("title"),
            folder=Path(folder) if folder else None,
            counts=tuple((step.text("step") or "", step.whole("articles") or 0) for step in reader.each("counts")),
            split_method=split.text("method"),
            split_sizes=split.numbers("sizes"),
            dropped=reader.numbers("dropped"),
            bad_images=tuple(reader.texts("bad_images")),
            notes=reader.mapping("notes"),
            outside_middle_square=reader.number("outside_middle_square"),
        )

    def to_json(self) -> dict[str, Any]:
        """The object in `run.json`."""
        return {
            "name": self.name,
            "title": self.title,
            "folder": str(self.folder) if self.folder else None,
            "counts": [{"step": step, "articles": articles} for step, articles in self.counts],
            "split": {"method": self.split_method, "sizes": dict(self.split_sizes)},
            "bad_images": list(self.bad_images),
            "notes": dict(self.notes),
            "dropped": dict(self.dropped),
            "outside_middle_square": self.outside_middle_square,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRecord:
    """How a model was trained; every part may be missing.

    Attributes:
        recipe: the recipe as it was run, as plain values.
        recipe_path: the recipe's file.
        loss_history: dicts with `step`, `epoch`, and `loss` (training) or `eval_loss` (validation), nats a token.
        best: what the kept step was chosen by (`of`) and its value there.
        parameters: tower name to `total` and `trainable` parameters.
        times: seconds, by what they were spent on.
        cut_captions: split to the ids of captions longer than the model reads.
        init_from: the adapter that training began from: `adapter`, `sha256`, `is_known`.
        catalogue_fingerprint: hash of the prepared data.
        mixture: for several catalogues, the weight and the number of items drawn from each.
    """

    REMEDY: ClassVar[str] = (
        "remove that file and resume with `train RECIPE --resume`, which needs the last checkpoint alone"
    )

    recipe: Json = field(default_factory=dict)
    recipe_path: str | None = None
    loss_history: tuple[Mapping[str, float], ...] = ()
    best: Json = field(default_factory=dict)
    best_validation_loss: float | None = None
    best_step: int | None = None
    parameters: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    versions: Json = field(default_factory=dict)
    hardware: Json = field(default_factory=dict)
    processes: int | None = None
    threads: int | None = None
    git: str | None = None
    seed: int | None = None
    times: Mapping[str, float] = field(default_factory=dict)
    cut_captions: Json = field(default_factory=dict)
    init_from: Json = field(default_factory=dict)
    micro_batch_size: int | None = None
    catalogue_fingerprint: str | None = None
    mixture: tuple[Json, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the record in a file; numbers that are not finite are left out, unknown keys are ignored.

        Raises:
            UserError: naming file and key, if it is not a JSON object or a key has the wrong type.
        """
        values = read_json_object(path, cls.REMEDY, parse_constant=lambda _: None)
        return cls(**cls._values(JsonReader(values, str(path), cls.REMEDY)))

    @classmethod
    def _values(cls, reader: JsonReader) -> dict[str, Any]:
        return {
            "recipe": reader.mapping("recipe"),
            "recipe_path": reader.text("recipe_path"),
            "loss_history": tuple(entry.numbers() for entry in reader.each("loss_history")),
            "best": reader.mapping("best"),
            "best_validation_loss": reader.number("best_validation_loss"),
            "best_step": reader.whole("best_step"),
            "parameters": {tower: reader.inside("parameters").numbers(tower) for tower in reader.mapping("parameters")},
            "versions": reader.mapping("versions"),
            "hardware": reader.mapping("hardware"),
            "processes": reader.whole("processes"),
            "threads": reader.whole("threads"),
            "git": reader.text("git"),
            "seed": reader.whole("seed"),
            "times": reader.numbers("times"),
            "cut_captions": reader.mapping("cut_captions"),
            "init_from": reader.mapping("init_from"),
            "micro_batch_size": reader.whole("micro_batch_size"),
            "catalogue_fingerprint": reader.text("catalogue_fingerprint"),
            "mixture": tuple(reader.mappings("mixture")),
        }

    def to_json(self) -> dict[str, Any]:
        """The content of the file; what is unknown or empty is left out."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in values.items() if value is not None and value not in ((), {})}

    def write(self, path: Path) -> None:
        """Write the record as JSON without secrets, atomically. Raises `UserError` if it cannot be written."""
        write_text(path, json.dumps(without_secrets(self.to_json()), indent=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord(TrainingRecord):
    """How a system's captions were written, and how its model was trained; anybody's captions can be scored without.

    Attributes:
        system: name of the system in tables.
        kind: one of `KINDS`; a control is a system whose photos were shuffled.
        file: name of the captions file that the record belongs to.
        sha256: hash of that file.
        digest: short hash of all that decides the captions.
        leak_audit: `test_items`, `captions_in_train` (share), `siblings_in_train` (share),
            `test_captions` (distinct ones), and `photos_in_train` (share) where known.
        leak_note: what the audit cannot know of the system's training.
        lookup: of a baseline that copies training captions of similar photos: `rule` (`nearest`, or `consensus` of
            several), `encoder` and hash of the photos' `features`, and the number `k` of training items looked up.
        raw: the whole file as it was read.
    """

    REMEDY: ClassVar[str] = "write the captions again, or remove that file: they can be scored without it"

    system: str | None = None
    kind: str | None = None
    file: str | None = None
    sha256: str | None = None
    digest: str | None = None
    model: str | None = None
    adapter: str | None = None
    quantization: str | None = None
    prompt: str | None = None
    decoding: Json = field(default_factory=dict)
    split: str | None = None
    catalogue: CatalogueInfo = field(default_factory=CatalogueInfo)
    leak_audit: Mapping[str, float] = field(default_factory=dict)
    leak_note: str | None = None
    lookup: Json = field(default_factory=dict)
    raw: Json = field(default_factory=dict, compare=False)

    @classmethod
    def _values(cls, reader: JsonReader) -> dict[str, Any]:
        kind = reader.text("kind")
        if kind is not None and kind not in KINDS:
            raise reader.error(f'"kind" must be one of {", ".join(KINDS)}, found {kind!r}')
        names = (
            "system",
            "file",
            "sha256",
            "digest",
            "model",
            "adapter",
            "quantization",
            "prompt",
            "split",
            "leak_note",
        )
        own = {name: reader.text(name) for name in names}
        return (
            super(RunRecord, cls)._values(reader)
            | own
            | {
                "kind": kind,
                "leak_note": reader.text("leak_note"),
                "decoding": reader.mapping("decoding"),
                "catalogue": CatalogueInfo.read(reader.inside("catalogue")),
                "leak_audit": reader.numbers("leak_audit"),
                "lookup": reader.mapping("lookup"),
                "raw": reader.values,
            }
        )

    def to_json(self) -> dict[str, Any]:
        """The content of `run.json`; what is unknown or empty is left out."""
        values = super(RunRecord, self).to_json()
        values.pop("raw", None)
        return values | {"catalogue": self.catalogue.to_json()}


def read_run(captions: Path) -> RunRecord | None:
    """Read the `run.json` in the folder of a captions file; None if there is none, or one of another file.

    Raises:
        UserError: naming file and key, if it is not a JSON object or a key has the wrong type.
    """
    path = captions.parent / RUN_FILE
    if not path.exists():
        return None
    record = RunRecord.read(path)
    return record if record.file in (None, captions.name) else None
