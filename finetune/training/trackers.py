"""Trackers: Weights & Biases or TensorBoard get recipe, origin, leak audit, judgements and final scores."""

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from secrets import token_hex
from typing import Any, Literal

import numpy as np
from PIL import ImageOps
from torch.utils.tensorboard import SummaryWriter

from finetune.config.overrides import flat
from finetune.config.recipe import Recipe
from finetune.data.mixture import Mixture
from finetune.runs.claim import recipe_values
from finetune.runs.exposure import audited
from finetune.runs.folder import TRAINED_ON
from finetune.runs.provenance import git_hash, hardware, versions
from finetune.training.caption_evaluation import Judgement
from metrics.common.errors import UserError
from metrics.common.files import make_folder, read_bytes, write_text

TRACKER_FILE = "tracker.json"
PROJECT = "lookbook"
SECONDS = {"init_timeout": 30, "finish_timeout": 120}
PHOTO = (160, 160)
Facts = Mapping[str, Any]


class Tracker(ABC):
    """Where a run is shown beside the losses that Trainer sends there."""

    @abstractmethod
    def begin(self, facts: Facts) -> None:
        """Keep what the run is: recipe, commit, versions, machine, leak audit."""

    @abstractmethod
    def show(self, judgement: Judgement) -> None:
        """Keep a table of photo, reference and caption."""

    @abstractmethod
    def conclude(self, scores: Mapping[str, float], facts: Facts) -> None:
        """Keep the report's scores by `test/SYSTEM/MEASURE`, and with what they were measured."""

    @abstractmethod
    def close(self) -> None:
        """Write all; say what was not sent, and how to send it."""


def open_tracker(recipe: Recipe) -> Tracker | None:
    """The tracker that the recipe names; one that the run's folder knows goes on."""
    if recipe.training.tracker == "wandb":
        return WeightsAndBiases(recipe.output)
    return TensorBoard(recipe.output) if recipe.training.tracker == "tensorboard" else None


def facts_of(recipe: Recipe, mixture: Mixture) -> dict[str, Any]:
    """What a tracker is told of a training run; nothing of it comes from the environment's variables."""
    return {
        "recipe": recipe_values(recipe),
        "git": git_hash(),
        "versions": versions(),
        "hardware": hardware(),
        "leak_audit": {
            name: audited(part, part.records("test"), recipe.output / TRAINED_ON)[1].as_dict()
            for name, part in mixture.parts.items()
        },
    }


def attach_reports(recipe: Recipe, reports: Mapping[str, Path]) -> None:
    """Give the scores of each catalogue's report to the run's tracker, once for each state of the reports."""
    told = {name: read_bytes(folder / "report.json") for name, folder in reports.items()}
    digest = hashlib.sha256(b"".join(told.values())).hexdigest()
    if recipe.training.tracker == "none" or _read(recipe.output).get("reported") == digest:
        return
    scores, signatures = {}, {}
    for name, text in told.items():
        prefix = f"test/{name}" if len(told) > 1 else "test"
        for system in json.loads(text)["systems"]:
            for measure, score in system["scores"]["all"].items():
                scores[f"{prefix}/{system['name']}/{measure}"] = float(score["value"])
                signatures[f"{prefix}/{measure}"] = score["signature"]
    tracker = open_tracker(recipe)
    if tracker:
        tracker.conclude(scores, {"recipe": recipe_values(recipe), "signatures": signatures})
        tracker.close()
    _note(recipe.output, {"reported": digest})


class TensorBoard(Tracker):
    """Texts, photos and hyper-parameters in the run's folder `tensorboard`."""

    def __init__(self, folder: Path) -> None:
        self._writer = SummaryWriter(str(folder / "tensorboard"))

    def begin(self, facts: Facts) -> None:
        """Keep each fact as a text."""
        for name, value in facts.items():
            self._writer.add_text(name, _code(value))

    def show(self, judgement: Judgement) -> None:
        """Keep the table as text, and the photos in its order."""
        self._writer.add_text("judgement", _markdown(judgement), judgement.step)
        photos = np.stack([np.asarray(ImageOps.pad(photo, PHOTO)) for photo in judgement.photos])
        self._writer.add_images("judgement", photos, judgement.step, dataformats="NHWC")
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
    """A run of Weights & Biases, online or (WANDB_MODE=offline, or where it cannot be reached) kept in a folder.

    Its id stays in the run's folder, so that a resumed training and the final report go on with the same run.
    Raises `UserError` where W&B refuses the key.
    """

    def __init__(self, folder: Path) -> None:
        import wandb  # noqa: PLC0415

        make_folder(folder)
        self._folder, self._unsent = folder, ""
        key = os.environ.get("WANDB_RUN_ID") or _read(folder).get("wandb_id") or token_hex(4)
        _note(folder, {"wandb_id": key})
        try:
            self._run = self._start(key)
        except wandb.errors.AuthenticationError as error:
            raise UserError(f"training.tracker: W&B refuses the key: {error}; run `wandb login`") from None
        except (wandb.errors.Error, TimeoutError) as error:
            self._unsent = f"W&B could not be reached when the run began ({str(error).splitlines()[0]})"
            wandb.teardown()  # its process holds the id of the run that did not begin
            self._run = self._start(key, "offline")

    def _start(self, key: str, mode: Literal["offline"] | None = None) -> Any:
        import wandb  # noqa: PLC0415

        return wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            dir=os.environ.get("WANDB_DIR", self._folder),
            id=key,
            name=os.environ.get("WANDB_NAME", self._folder.name),
            resume="allow",
            reinit="finish_previous",
            mode=mode,
            settings=wandb.Settings(**SECONDS, finish_timeout_raises=True),
        )

    def begin(self, facts: Facts) -> None:
        """Keep the facts in the run's configuration."""
        self._run.config.update(dict(facts), allow_val_change=True)

    def show(self, judgement: Judgement) -> None:
        """Log the table at its step."""
        import wandb  # noqa: PLC0415

        rows = [
            [wandb.Image(photo), one.references[0], one.caption]
            for photo, one in zip(judgement.photos, judgement.records, strict=False)
        ]
        table = wandb.Table(columns=["image", "reference", "caption"], data=rows)
        self._run.log({"judgement": table, "train/global_step": judgement.step})

    def conclude(self, scores: Mapping[str, float], facts: Facts) -> None:
        """Keep the scores in the run's summary, their signatures in its configuration."""
        self._run.config.update({"signatures": facts["signatures"]}, allow_val_change=True)
        self._run.summary.update(dict(scores))

    def close(self) -> None:
        """Send what is left, for two minutes at the most."""
        kept = Path(self._run.settings.sync_dir)
        try:
            self._run.finish()
        except TimeoutError:
            self._unsent = "W&B could not be reached when the run ended"
        if self._unsent:
            print(f"{self._unsent}; nothing is lost: send it by `wandb sync {kept}`")


def _read(folder: Path) -> dict[str, Any]:
    path = folder / TRACKER_FILE
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: damaged ({error}); remove it: W&B then shows what follows as another run") from None


def _note(folder: Path, values: Mapping[str, str]) -> None:
    write_text(folder / TRACKER_FILE, json.dumps(_read(folder) | dict(values), indent=1))


def _code(value: Any) -> str:
    """JSON as a block of Markdown."""
    return "\n".join(f"    {line}" for line in json.dumps(value, indent=1).splitlines())


def _markdown(judgement: Judgement) -> str:
    shown = judgement.records[: len(judgement.photos)]
    rows = [(one.id, one.references[0], one.caption or "") for one in shown]
    lines = [("id", "reference", "caption"), ("---",) * 3, *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)
