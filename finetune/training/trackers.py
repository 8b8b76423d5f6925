"""Trackers: Weights & Biases or TensorBoard get recipe, origin, leak audit, evaluated captions and final scores."""

import hashlib
import importlib.util
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from secrets import token_hex
from typing import Any, Literal

import numpy as np
from PIL import ImageOps
from torch.utils.tensorboard import SummaryWriter

from finetune.config.overrides import flat
from finetune.data.mixture import Mixture
from finetune.runs.exposure import audited
from finetune.runs.folder import RunFolder
from finetune.runs.provenance import git_hash, hardware, versions
from finetune.training.caption_evaluation import EvaluatedCaptions
from metrics.common.errors import UserError
from metrics.common.files import make_folder, read_bytes, read_json_object, write_text
from metrics.records.json_reader import JsonReader

PROJECT = "lookbook"
SECONDS = {"init_timeout": 30, "finish_timeout": 120}
# Where W&B keeps media, artifacts and caches, in the run's folder unless the user names other places.
WANDB_FOLDERS = {
    "WANDB_DIR": ".",
    "WANDB_DATA_DIR": "wandb/data",
    "WANDB_CACHE_DIR": "wandb/cache",
    "WANDB_ARTIFACT_DIR": "wandb/artifacts",
}
_places: dict[str, str] = {}  # those of the run that this process last began: the next one has its own
PHOTO = (160, 160)
Facts = Mapping[str, Any]


class Tracker(ABC):
    """Shows a run, beside the losses that Trainer sends it."""

    @abstractmethod
    def begin(self, facts: Facts) -> None:
        """Keep what the run is: recipe, commit, versions, machine, leak audit."""

    @abstractmethod
    def show(self, captions: EvaluatedCaptions) -> None:
        """Keep a table of photo, reference and caption."""

    @abstractmethod
    def conclude(self, scores: Mapping[str, float], facts: Facts) -> None:
        """Keep the report's scores, x100 as there, by `test/SYSTEM/MEASURE`, and what they were measured with."""

    @abstractmethod
    def close(self) -> None:
        """Write all; print what was not sent, and how to send it."""


def check_tracker(name: str) -> None:
    """Raise `UserError` if the tracker is not installed, or has no credentials."""
    if name != "wandb" or os.environ.get("WANDB_MODE") in ("offline", "disabled"):
        return
    if importlib.util.find_spec("wandb") is None:
        raise UserError("training.tracker: wandb is not installed; pip install '.[track]' in Lookbook's folder")
    netrc = Path("~/.netrc").expanduser()
    if not os.environ.get("WANDB_API_KEY") and not (netrc.is_file() and "wandb" in netrc.read_text(encoding="utf-8")):
        raise UserError("training.tracker: wandb has no credentials; run `wandb login`, or set WANDB_MODE=offline")


def open_tracker(name: str, run: RunFolder) -> Tracker | None:
    """The tracker of that name; a run that it has already is continued. None for "none"."""
    trackers: Mapping[str, Callable[[RunFolder], Tracker]] = {"wandb": WeightsAndBiases, "tensorboard": TensorBoard}
    return trackers[name](run) if name in trackers else None


def facts_of(recipe: Mapping[str, Any], mixture: Mixture, run: RunFolder) -> dict[str, Any]:
    """What a tracker gets to know of a training run; none of it comes from environment variables."""
    return {
        "recipe": recipe,
        "git": git_hash(),
        "versions": versions(),
        "hardware": hardware(),
        "leak_audit": {
            name: audited(part, part.records("test"), run.trained_on)[1].as_dict()
            for name, part in mixture.parts.items()
        },
    }


def attach_reports(name: str, run: RunFolder, recipe: Mapping[str, Any], reports: Mapping[str, Path]) -> None:
    """Give the scores in the `report.json` of each catalogue to the run's tracker, once for each state of the reports.

    `name` is the tracker's, `recipe` the recipe's plain values, `reports` the files by catalogue.
    """
    digest = hashlib.sha256(b"".join(map(read_bytes, reports.values()))).hexdigest()
    if name == "none" or _read_notes(run).get("reported") == digest:
        return
    scores, signatures = {}, {}
    for catalogue, path in reports.items():
        prefix = f"test/{catalogue}" if len(reports) > 1 else "test"
        remedy = "`lookbook run RECIPE` makes it again"
        for system in JsonReader(read_json_object(path, remedy), str(path), remedy).each("systems"):
            of_all = system.inside("scores").inside("all")
            for measure in of_all.values:
                score = of_all.inside(measure)
                if (value := score.number("value")) is not None:
                    scores[f"{prefix}/{system.text('name')}/{measure}"] = 100 * value
                signatures[f"{prefix}/{measure}"] = score.text("signature")
    tracker = open_tracker(name, run)
    if tracker:
        tracker.conclude(scores, {"recipe": recipe, "signatures": signatures})
        tracker.close()
    _note(run, {"reported": digest})


class TensorBoard(Tracker):
    """Texts, photos and hyper-parameters in the run's folder `tensorboard`."""

    def __init__(self, run: RunFolder) -> None:
        self._writer = SummaryWriter(str(run.tensorboard))

    def begin(self, facts: Facts) -> None:
        """Keep each fact as a text."""
        for name, value in facts.items():
            self._writer.add_text(name, _code(value))

    def show(self, captions: EvaluatedCaptions) -> None:
        """Keep the table as text, and the photos in its order."""
        self._writer.add_text("evaluation", _markdown(captions), captions.step)
        photos = np.stack([np.asarray(ImageOps.pad(photo, PHOTO)) for photo in captions.photos])
        self._writer.add_images("evaluation", photos, captions.step, dataformats="NHWC")
        self._writer.flush()

    def conclude(self, scores: Mapping[str, float], facts: Facts) -> None:
        """Keep the scores as the results of the recipe's values, for the page of hyper-parameters."""
        self._writer.add_hparams(
            {
                key: value if isinstance(value, int | float | str) else str(value)
                for key, value in flat(facts["recipe"])
            },
            dict(scores),
            run_name=".",
        )
        self._writer.add_text("test", _code({"scores": dict(scores), "signatures": facts["signatures"]}))

    def close(self) -> None:
        """Write all."""
        self._writer.close()


class WeightsAndBiases(Tracker):
    """A run of Weights & Biases, online or (WANDB_MODE=offline, or if it cannot be reached) kept in a folder.

    Its id is kept in our run's folder, so that a resumed training and the final report continue the same run.
    Raises `UserError` if W&B refuses the key.
    """

    def __init__(self, run: RunFolder) -> None:
        import wandb  # noqa: PLC0415

        make_folder(run.path)
        self._folder, self._unsent = run.path, ""
        run_id = os.environ.get("WANDB_RUN_ID") or _read_notes(run).get("wandb_id") or token_hex(4)
        _note(run, {"wandb_id": run_id})
        given = {name for name, value in os.environ.items() if value != _places.get(name)}
        _places.update({name: str(run.path.absolute() / place) for name, place in WANDB_FOLDERS.items()})
        os.environ.update({name: place for name, place in _places.items() if name not in given})
        try:
            self._run = self._start(run_id)
        except wandb.errors.AuthenticationError as error:
            raise UserError(f"training.tracker: W&B refuses the key: {error}; run `wandb login`") from None
        except (wandb.errors.Error, TimeoutError) as error:
            self._unsent = f"W&B could not be reached when the run began ({str(error).splitlines()[0]})"
            wandb.teardown()  # its process holds the id of the run that did not begin
            self._run = self._start(run_id, "offline")

    def _start(self, run_id: str, mode: Literal["offline"] | None = None) -> Any:
        import wandb  # noqa: PLC0415

        return wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            dir=os.environ["WANDB_DIR"],
            id=run_id,
            name=os.environ.get("WANDB_NAME", self._folder.name),
            resume="allow",
            reinit="finish_previous",
            mode=mode,
            settings=wandb.Settings(**SECONDS, finish_timeout_raises=True),
        )

    def begin(self, facts: Facts) -> None:
        """Keep the facts in the run's configuration."""
        self._run.config.update(dict(facts), allow_val_change=True)

    def show(self, captions: EvaluatedCaptions) -> None:
        """Log the table at its step."""
        import wandb  # noqa: PLC0415

        rows = [
            [wandb.Image(photo), one.references[0], one.caption]
            for photo, one in zip(captions.photos, captions.records, strict=False)
        ]
        table = wandb.Table(columns=["image", "reference", "caption"], data=rows)
        self._run.log({"evaluation": table, "train/global_step": captions.step})

    def conclude(self, scores: Mapping[str, float], facts: Facts) -> None:
        """Keep the scores in the run's summary, their signatures in its configuration."""
        self._run.config.update({"signatures": facts["signatures"]}, allow_val_change=True)
        self._run.summary.update(dict(scores))

    def close(self) -> None:
        """Send what is left, for at most two minutes."""
        folder = Path(self._run.settings.sync_dir)
        try:
            self._run.finish()
        except TimeoutError:
            self._unsent = "W&B could not be reached when the run ended"
        for name in [name for name, place in _places.items() if os.environ.get(name) == place]:
            del os.environ[name]  # processes that this one starts have places of their own
        if self._unsent:
            print(f"{self._unsent}; nothing is lost: send it by `wandb sync {folder}`")


def _read_notes(run: RunFolder) -> dict[str, Any]:
    """The id of the run at W&B, and the reports that its tracker has; empty for a new run."""
    remedy = "remove it: W&B then shows what follows as another run"
    return read_json_object(run.tracker, remedy) if run.tracker.is_file() else {}


def _note(run: RunFolder, values: Mapping[str, str]) -> None:
    write_text(run.tracker, json.dumps(_read_notes(run) | dict(values), indent=1))


def _code(value: Any) -> str:
    """JSON as a block of Markdown."""
    return "\n".join(f"    {line}" for line in json.dumps(value, indent=1).splitlines())


def _markdown(captions: EvaluatedCaptions) -> str:
    shown = captions.records[: len(captions.photos)]
    rows = [(one.id, one.references[0], one.caption or "") for one in shown]
    lines = [("id", "reference", "caption"), ("---",) * 3, *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)
