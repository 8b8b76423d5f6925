"""Trackers, with the real Weights & Biases in offline mode and TensorBoard's own reader of its files."""

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import wandb
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny import finetune
from tiny_models import write_recipe
from training_processes import finished
from wandb_files import OfflineRun

from finetune.config.recipe import load_recipe
from finetune.runs.claim import recipe_values
from finetune.runs.folder import RunFolder
from finetune.training import trackers

pytestmark = [pytest.mark.java, pytest.mark.processes, pytest.mark.slow]

SECRETS = ("WANDB_API_KEY", "HF_TOKEN")
MARKER = "5ec2e7" * 6 + "abcd"  # as long as a key
EVALUATION = {"captions": 5, "measures": ["CIDEr", "BLEU-4"]}


def recipe(root: Path, tracker: str, **sections: Any) -> Path:
    settings = {"epochs": 2, "tracker": tracker}
    decoding = {"max_new_tokens": 6, "batch_size": 8}
    return write_recipe(root, tracker, training=settings, evaluation=EVALUATION, decoding=decoding, **sections)


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, list[OfflineRun]]:
    """The folder of a whole `run` with secrets in its environment, what it printed, and its offline runs in order."""
    root = tmp_path_factory.mktemp("tracked")
    environment = dict.fromkeys((*SECRETS, "HUGGING_FACE_HUB_TOKEN"), MARKER)
    home = root / "home"
    home.mkdir()
    environment |= {"WANDB_MODE": "offline", "HOME": str(home), "XDG_DATA_HOME": "", "XDG_CACHE_HOME": ""}
    environment |= {"LOOKBOOK_CACHE": str(root / "cache")}
    printed = finished("run", str(recipe(root, "wandb")), log=root / "log", **environment)
    runs = [OfflineRun(folder) for folder in sorted((root / "wandb" / "wandb").glob("offline-run-*"))]
    return root / "wandb", printed, runs


def test_wandb_knows_what_the_run_is(tracked: tuple[Path, str, list[OfflineRun]]) -> None:
    folder, _, (training, _) = tracked
    kept = json.loads((folder / "training.json").read_text())
    assert training.config["recipe"] == kept["recipe"]
    assert training.config["git"] == kept["git"]
    assert training.config["versions"] == kept["versions"]
    audit = json.loads((folder / "captions" / "fine-tuned" / "run.json").read_text())["leak_audit"]
    assert training.config["leak_audit"] == {"demo": audit}


def test_wandb_has_losses_scores_and_tables(tracked: tuple[Path, str, list[OfflineRun]]) -> None:
    folder, _, (training, _) = tracked
    kept = [
        entry for entry in json.loads((folder / "training.json").read_text())["loss_history"] if "eval_loss" in entry
    ]
    for name, scale in (("loss", 1), ("CIDEr", 100), ("BLEU-4", 100)):
        logged = [entry[f"eval/{name}"] for entry in training.history if f"eval/{name}" in entry]
        assert logged == [scale * entry[f"eval_{name.lower()}"] for entry in kept]
    tables = sorted((folder / "wandb").glob("offline-run-*/files/media/table/*.json"))
    evaluated = sorted((folder / "evaluation").glob("step-*.jsonl"))
    assert len(tables) == len(evaluated) == 2
    for path in evaluated:
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        rows = [["Image", line["references"][0], line["caption"]] for line in lines]
        assert {"columns": ["image", "reference", "caption"], "data": rows} in [
            json.loads(table.read_text()) for table in tables
        ]
    photos = [entry.path for artifact in training.artifacts for entry in artifact.manifest.contents]
    assert sum(path.startswith("media/images/") for path in photos) >= EVALUATION["captions"]
    staged = [Path(entry.local_path) for artifact in training.artifacts for entry in artifact.manifest.contents]
    assert all(path.is_file() and path.is_relative_to(folder) for path in staged)
    assert not [path for path in (folder.parent / "home").rglob("*") if "wandb" in path.name]


def test_the_final_scores_join_the_same_wandb_run(tracked: tuple[Path, str, list[OfflineRun]]) -> None:
    folder, _, (training, report) = tracked
    assert training.id == report.id == json.loads((folder / "tracker.json").read_text())["wandb_id"]
    made = json.loads((folder / "report" / "report.json").read_text())
    scores = next(system for system in made["systems"] if system["kind"] == "finetuned")["scores"]["all"]
    assert {"CIDEr", "BLEU-4", "METEOR"} <= scores.keys()
    for name, score in scores.items():
        assert report.summary[f"test/fine-tuned/{name}"] == 100 * score["value"]
        assert report.config["signatures"][f"test/{name}"] == score["signature"]


def test_no_secret_is_written_or_printed(tracked: tuple[Path, str, list[OfflineRun]]) -> None:
    folder, printed, _ = tracked
    files = [path for path in folder.parent.rglob("*") if path.is_file()]
    assert len([path for path in files if "wandb" in path.parts]) > 10
    assert [path for path in files if MARKER.encode() in path.read_bytes()] == []
    assert MARKER not in printed


def test_tensorboard_has_all_that_wandb_has(tracked: tuple[Path, str, list[OfflineRun]], tmp_path: Path) -> None:
    path = recipe(tmp_path, "tensorboard")
    result = finetune("train", path)
    assert result.exit_code == 0, result.output
    folder = path.with_suffix("")
    reports = {"demo": tracked[0] / "report" / "report.json"}
    trackers.attach_reports("tensorboard", RunFolder(folder), recipe_values(load_recipe(path)), reports)
    found = [EventAccumulator(str(file)).Reload() for file in (folder / "tensorboard").glob("events*")]
    tags = {kind: {tag for one in found for tag in one.Tags()[kind]} for kind in ("scalars", "tensors", "images")}
    assert {"eval/loss", "eval/CIDEr", "eval/BLEU-4", "test/fine-tuned/CIDEr"} <= tags["scalars"]
    assert {f"{name}/text_summary" for name in ("recipe", "git", "versions", "leak_audit", "evaluation", "test")} <= (
        tags["tensors"]
    )
    assert tags["images"] == {"evaluation"}
    texts = [
        one.Tensors("evaluation/text_summary") for one in found if "evaluation/text_summary" in one.Tags()["tensors"]
    ]
    last = max((folder / "evaluation").glob("step-*.jsonl"))
    caption = json.loads(last.read_text().splitlines()[0])
    assert texts[0][-1].step == int(last.stem.removeprefix("step-"))
    assert f"| {caption['id']} | {caption['references'][0]} |" in texts[0][-1].tensor_proto.string_val[0].decode()


def test_a_resumed_training_continues_the_same_wandb_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked to end after its first checkpoint, and resumed: each epoch's loss is once in either of two files."""
    wandb.teardown()  # it reads its environment once in a process
    monkeypatch.setenv("WANDB_MODE", "offline")
    path = write_recipe(tmp_path, training={"epochs": 25, "patience": 99, "tracker": "wandb"})
    folder = path.with_suffix("")

    def end_us() -> None:
        while not list((folder / "checkpoints").glob("checkpoint-*/trainer_state.json")):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end_us, daemon=True).start()
    stopped = finetune("train", path)
    assert stopped.exit_code == 128 + signal.SIGTERM, stopped.output
    assert finetune("train", path, "--resume").exit_code == 0
    first, second = (OfflineRun(one) for one in sorted((folder / "wandb").glob("offline-run-*")))
    assert first.id == second.id
    steps = [[entry["train/global_step"] for entry in run.history if "eval/loss" in entry] for run in (first, second)]
    assert steps[0]
    assert steps[0] + steps[1] == [3 * epoch for epoch in range(1, 26)]


def test_training_continues_where_wandb_cannot_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens on port 9; the key is not tried. The folder that is named holds the whole run."""
    wandb.teardown()  # it reads its environment once in a process
    monkeypatch.setenv("WANDB_API_KEY", MARKER)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setattr(trackers, "SECONDS", {"init_timeout": 1, "finish_timeout": 1})
    path = recipe(tmp_path, "wandb")
    result = finetune("train", path)
    assert result.exit_code == 0, result.output
    notice = next(line for line in result.stdout.splitlines() if "wandb sync" in line)
    assert "could not be reached" in notice
    kept = OfflineRun(Path(notice.rpartition("`wandb sync ")[2].removesuffix("`")))
    assert [entry["eval/loss"] for entry in kept.history if "eval/loss" in entry]
    assert kept.id == json.loads((path.with_suffix("") / "tracker.json").read_text())["wandb_id"]
