"""Training through the command line, on a catalogue and models made on the spot."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_models import load_tiny, rows, write_recipe, write_tiny
from training_processes import end, finished, start_two
from transformers import TrainingArguments
from typer.testing import CliRunner, Result

from finetune.__main__ import app
from finetune.config.recipe import Training
from finetune.training.arguments import training_arguments
from finetune.training.collator import CaptionCollator
from finetune.training.losses import caption_losses
from finetune.training.trainer import CaptionTrainer

Write = Callable[..., Path]


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from finetune.data.demo.catalogue import write_demo

    folder = tmp_path_factory.mktemp("catalogue") / "demo"
    write_demo(folder, 150, 0)
    return folder


@pytest.fixture
def recipe(tmp_path: Path, catalogue: Path) -> Write:
    """Write a recipe that tunes everything on `catalogue`; keywords change its training."""

    def write(name: str = "run", **training: Any) -> Path:
        tune = {"vision": "full", "connector": "full", "language": "full"}
        data = {"folder": str(catalogue), "limit": 32}
        return write_recipe(tmp_path, name, data=data, tune=tune, training={"micro_batch_size": 4} | training)

    return write


def train(path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["train", str(path), *arguments])


def record(path: Path) -> dict[str, Any]:
    return dict(json.loads((path.with_suffix("") / "training.json").read_text()))


def weights(path: Path) -> dict[str, torch.Tensor]:
    return dict(load_file(path.with_suffix("") / "model" / "model.safetensors"))


def losses(path: Path) -> list[float]:
    """All training and validation losses of a run, in order."""
    return [entry.get("loss", entry.get("eval_loss")) for entry in record(path)["loss_history"]]


def test_training_learns_and_keeps_its_record(recipe: Write) -> None:
    path = recipe(epochs=3)
    result = train(path)
    assert result.exit_code == 0, result.output
    assert "leak audit" in result.output
    assert len(re.findall(r"^ *language +[\d,]+", result.output, re.MULTILINE)) == 1  # how many parameters
    assert "%|" not in result.output and "\r" not in result.output  # no bar in a log
    kept = record(path)
    validation = [entry["eval_loss"] for entry in kept["loss_history"] if "eval_loss" in entry]
    assert len(validation) == 3
    assert validation[-1] < validation[0] < 6.2
    assert kept["best_validation_loss"] == min(validation)
    assert kept["parameters"]["vision"]["trainable"] == kept["parameters"]["vision"]["total"] > 0
    assert {"torch", "transformers", "peft", "python"} <= kept["versions"].keys()
    assert not list((path.with_suffix("") / "model").glob("*.bin"))


@pytest.mark.slow
def test_same_seed_same_weights(recipe: Write) -> None:
    one, two, other = recipe("one"), recipe("two"), recipe("other", seed=7)
    for path in (one, two, other):
        assert train(path).exit_code == 0
    assert all(torch.equal(tensor, weights(two)[name]) for name, tensor in weights(one).items())
    assert not all(torch.equal(tensor, weights(other)[name]) for name, tensor in weights(one).items())


def test_prepare_leaves_the_references_of_a_run_alone(recipe: Write) -> None:
    path = recipe(epochs=1)
    quiet = train(path, "training.learning_rate=1e-4", "--quiet")
    assert (quiet.exit_code, quiet.stdout) == (0, "")
    kept = (path.with_suffix("") / "references-test.jsonl").read_text()
    prepared = CliRunner().invoke(app, ["prepare", str(path), "--quiet"])
    assert prepared.exit_code == 0
    assert all(Path(line).is_file() for line in prepared.stdout.splitlines())
    other = CliRunner().invoke(app, ["prepare", str(path), "--limit", "2"])
    assert (other.exit_code, "data.limit" in other.stderr) == (2, True)
    assert (path.with_suffix("") / "references-test.jsonl").read_text() == kept


@pytest.mark.slow
def test_the_best_epoch_is_kept_and_training_stops_early(recipe: Write) -> None:
    path = recipe(epochs=60, learning_rate=1e-2, patience=2)
    assert train(path).exit_code == 0
    kept = record(path)
    validation = [entry["eval_loss"] for entry in kept["loss_history"] if "eval_loss" in entry]
    assert len(validation) < 60
    assert validation.index(min(validation)) == len(validation) - 3
    assert kept["best_validation_loss"] == min(validation) < validation[-1]


@pytest.mark.slow
def test_a_finished_run_is_not_overwritten(recipe: Write) -> None:
    path = recipe()
    assert train(path).exit_code == 0
    again = train(path)
    assert again.exit_code == 2
    assert "--resume" in again.stderr
    assert "trained already" in train(path, "--resume").output
    changed = ("training.learning_rate=1e-5", "tune.vision=frozen", "evaluation.every=2", "labels.stop_token=false")
    other = train(path, *changed, "--resume")
    assert other.exit_code == 2
    assert "evaluation.every, labels.stop_token, training.learning_rate, tune.vision" in other.stderr


@pytest.mark.processes
@pytest.mark.slow
def test_two_processes_train_as_one(recipe: Write) -> None:
    """The same global batches on two processes give the same losses, to float tolerance."""
    alone, launched = recipe("alone", micro_batch_size=8), recipe("launched", micro_batch_size=4)
    assert train(alone).exit_code == 0
    log = launched.with_suffix(".log")
    assert end(start_two("train", str(launched), log=log)) == [0, 0], log.read_text()[-3000:]
    assert record(launched)["processes"] == 2
    assert losses(launched) == pytest.approx(losses(alone), rel=1e-4)


def test_validation_loss_is_per_token_whatever_the_batch(tmp_path: Path) -> None:
    captioner = load_tiny(write_tiny(tmp_path / "base"))
    items = rows(7)
    collate = CaptionCollator(captioner, "")
    with torch.no_grad():
        single = [caption_losses(captioner.model, collate([row])) for row in items]
    expected = sum(loss.item() for loss, _ in single) / sum(count.item() for _, count in single)
    for size in (1, 3, 8):
        config = Training(micro_batch_size=size, batch_size=size, workers=0, tracker="none")
        arguments = training_arguments(config, tmp_path, 1)
        trainer = CaptionTrainer(
            model=captioner.model,
            args=arguments,
            train_dataset=items,
            eval_dataset=items,
            data_collator=collate,
            eval_collator=collate,
        )
        assert trainer.evaluate()["eval_loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_accumulation_changes_no_loss(recipe: Write) -> None:
    """Two micro-batches of four are one batch of eight: the loss is per token of the whole batch."""
    whole, halves = recipe("whole", micro_batch_size=8), recipe("halves", micro_batch_size=4)
    assert train(whole).exit_code == train(halves).exit_code == 0
    assert losses(halves) == pytest.approx(losses(whole), rel=1e-4)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.batch_size=9", "no multiple of micro_batch_size"),
        ("training.tracker=wandb", "wandb"),
        ("model.attention=flash_attention_2", "flash"),
        ("model.dtype=bfloat16", "set model.dtype: float32"),
        ("tune={vision: frozen, connector: frozen, language: frozen}", "all towers are frozen"),
    ],
)
def test_what_cannot_work_is_said_before_training(
    recipe: Write, override: str, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    result = train(recipe(), override)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize("command", ["validate", "train", "run"])
def test_an_output_that_is_a_file_is_refused(recipe: Write, tmp_path: Path, command: str) -> None:
    file = tmp_path / "notes.txt"
    file.touch()
    result = CliRunner().invoke(app, [command, str(recipe()), f"output={file / 'inside'}"])
    assert result.exit_code == 2
    assert result.stderr == (
        f"error: cannot make the folder {file / 'inside'}: {file} is not a folder; choose another output=...\n"
    )


def test_validate_finds_a_full_disk(recipe: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 99, 1))  # type: ignore[attr-defined]
    result = CliRunner().invoke(app, ["validate", str(recipe())])
    assert result.exit_code == 2
    assert "GB free on its disk" in result.stderr


def test_a_diverging_training_ends_with_one_message(recipe: Write) -> None:
    path = recipe(learning_rate=1e30)
    result = train(path)
    assert result.exit_code == 2
    assert "training has diverged" in result.stderr
    assert not (path.with_suffix("") / "training.json").exists()


@pytest.mark.java
@pytest.mark.processes
@pytest.mark.slow
def test_a_changed_catalogue_is_not_taken_for_the_one_trained_on(
    recipe: Write, catalogue: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    shutil.copytree(catalogue, own)
    path = recipe()
    here = [f"data.folder={own}", "tune.vision=frozen"]
    finished("run", str(path), *here, log=tmp_path / "log")
    table = own / "articles.csv"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(lines[:-30]))
    again = CliRunner().invoke(app, ["run", str(path), *here])
    assert again.exit_code == 2
    assert "the catalogue has changed" in again.stderr


@pytest.mark.slow
def test_seen_refers_to_what_the_model_was_trained_on(recipe: Write, tmp_path: Path) -> None:
    """A model of the published split captions the product split's test items, many of which it was trained on."""
    path = recipe()
    assert train(path).exit_code == 0
    run = path.with_suffix("")
    trained = [json.loads(line) for line in (run / "references-train.jsonl").read_text().splitlines()]
    captions = {item["references"][0] for item in trained}
    out = tmp_path / "cross" / "captions.jsonl"
    options = ["--model", str(run), "--data", str(path), "--out", str(out), "--set", "data.split.method=product"]
    result = CliRunner().invoke(app, ["caption", *options])
    assert result.exit_code == 0, result.output
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert [record["seen"] for record in records] == [record["references"][0] in captions for record in records]
    assert any(record["seen"] for record in records)
    share = sum(record["seen"] for record in records) / len(records)
    assert json.loads((out.parent / "run.json").read_text())["leak_audit"]["captions_in_train"] == share


def test_one_training_at_a_time(recipe: Write) -> None:
    from finetune.training.train import locked

    path = recipe()
    with locked(path.with_suffix("")):
        result = train(path)
    assert (result.exit_code, "another training or run is using this folder" in result.stderr) == (2, True)


def test_a_failed_start_claims_nothing(recipe: Write) -> None:
    path = recipe()
    assert train(path, "data.on_bad_image=skip", "data.max_caption_words=1").exit_code == 2
    assert train(path).exit_code == 0


def test_no_git_no_matter(recipe: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    path = recipe(epochs=1)
    assert train(path).exit_code == 0
    assert "git" not in record(path)


def test_a_stale_tiny_base_is_refused(recipe: Write) -> None:
    path = recipe()
    assert CliRunner().invoke(app, ["make-tiny", str(path), "--limit", "4"]).exit_code == 0
    result = train(path)
    assert (result.exit_code, "made from other training texts" in result.stderr) == (2, True)


def test_one_process_trains_on_one_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainer would spread it over all GPUs it sees, each with a micro-batch of its own."""
    set_up = TrainingArguments.__post_init__

    def see_two(arguments: TrainingArguments) -> None:
        set_up(arguments)
        arguments._n_gpu = 2

    monkeypatch.setattr(TrainingArguments, "__post_init__", see_two)
    arguments = training_arguments(Training(micro_batch_size=4, batch_size=8), tmp_path, 1)
    assert (arguments.train_batch_size, arguments.gradient_accumulation_steps) == (4, 2)
