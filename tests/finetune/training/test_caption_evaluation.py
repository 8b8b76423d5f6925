"""Scores while training: the sample, the numbers, what they decide, and that they change nothing else."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from markupsafe import escape
from safetensors.torch import load_file
from tiny import lines
from tiny_models import write_recipe
from training_processes import end, start_two
from typer.testing import CliRunner, Result

from finetune.__main__ import app
from metrics.records.captions import read_records
from metrics.scoring.registry import choose_measures
from metrics.scoring.suite import score_captions

Write = Callable[..., Path]
SAMPLE = 9


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the demo catalogue lies, and the tiny base models."""
    return tmp_path_factory.mktemp("evaluation")


@pytest.fixture
def recipe(root: Path, tmp_path: Path) -> Write:
    """Write a recipe that learns with dropout; keywords change its evaluation."""

    def write(name: str = "run", training: dict[str, Any] | None = None, **evaluation: Any) -> Path:
        model = {"base": str(root / "base")}
        tiny = {"image_size": 32, "hidden_size": 32, "layers": 1, "queries": 4, "vocabulary": 400, "dropout": 0.1}
        return write_recipe(
            tmp_path,
            name,
            data={"folder": str(root / "demo")},
            model=model | {"tiny": tiny},
            tune={"vision": "full", "connector": "full", "language": "full"},
            training={"epochs": 2, "micro_batch_size": 4} | (training or {}),
            evaluation=evaluation,
            decoding={"max_new_tokens": 8, "batch_size": 4},
        )

    return write


def train(path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["train", str(path), *arguments])


def trained(path: Path, *arguments: str) -> Path:
    """The folder of a run that must succeed."""
    result = train(path, *arguments)
    assert result.exit_code == 0, result.output
    return path.with_suffix("")


def record(run: Path) -> dict[str, Any]:
    return dict(json.loads((run / "training.json").read_text()))


def validations(run: Path) -> list[dict[str, float]]:
    return [entry for entry in record(run)["loss_history"] if "eval_loss" in entry]


def same_weights(one: Path, other: Path) -> bool:
    left, right = (load_file(run / "model" / "model.safetensors") for run in (one, other))
    return all(torch.equal(tensor, right[name]) for name, tensor in left.items())


@pytest.mark.java
@pytest.mark.slow
def test_a_sample_is_captioned_and_scored_as_metrics_does(recipe: Write) -> None:
    run = trained(recipe(captions=SAMPLE, measures=["cider", "BLEU-4", "ROUGE-L"]))
    found = validations(run)
    assert len(found) == 2
    captioned = [read_records(path) for path in sorted((run / "evaluation").glob("step-*.jsonl"))]
    assert [path.name for path in sorted((run / "evaluation").glob("step-*"))] == [
        f"step-{entry['step']:06.0f}.jsonl" for entry in found
    ]
    ids = [[one.id for one in records] for records in captioned]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == SAMPLE
    whole = {one.id: one for one in read_records(run / "references-validation.jsonl")}
    assert set(ids[0]) < set(whole)
    assert all(one.references == whole[one.id].references for records in captioned for one in records)
    for records, entry in zip(captioned, found, strict=True):
        scores = score_captions(records, measures=choose_measures(["BLEU-4", "ROUGE-L"])).results[0]
        for name in ("BLEU-4", "ROUGE-L"):
            assert entry[f"eval_{name.lower()}"] == scores.scores["all"][name].value
        everything = score_captions(records, list(whole.values()), choose_measures(["CIDEr"])).results[0]
        cider = dict(zip(whole, everything.scores["all"]["CIDEr"].per_item, strict=True))
        assert entry["eval_cider"] == pytest.approx(sum(cider[key] for key in ids[0]) / SAMPLE)
    assert not (run / "judgements").exists()
    page = (run / "evaluation" / "index.html").read_text()
    assert page.count("data:image/jpeg;base64,") == SAMPLE
    assert all(page.count(escape(one.caption or "")) for records in captioned for one in records)
    assert f"<td>{100 * found[1]['eval_cider']:.1f}</td>" in page
    kept = json.loads((run / "evaluation" / "scores.json").read_text())
    assert f"|n:{SAMPLE}|df:{len(whole)}|" in kept["signatures"]["CIDEr"]
    assert kept["steps"][str(found[1]["step"])]["CIDEr"] == found[1]["eval_cider"]


@pytest.mark.java
def test_the_last_evaluated_captions_are_those_of_the_saved_model(recipe: Write, tmp_path: Path) -> None:
    path = recipe(training={"epochs": 1}, captions=SAMPLE)
    run = trained(path)
    evaluated = {one["id"]: one["caption"] for one in lines(*(run / "evaluation").glob("step-*.jsonl"))}
    out = tmp_path / "captions.jsonl"
    options = ["--model", str(run), "--data", str(path), "--split", "validation", "--out", str(out)]
    assert CliRunner().invoke(app, ["caption", *options]).exit_code == 0
    assert evaluated.items() <= {one["id"]: one["caption"] for one in lines(out)}.items()


@pytest.mark.java
def test_a_run_begun_by_an_earlier_version_keeps_the_folder_of_its_captions(recipe: Write) -> None:
    path = recipe(training={"epochs": 1}, captions=4)
    (path.with_suffix("") / "judgements").mkdir(parents=True)
    run = trained(path)
    assert len(list((run / "judgements").glob("step-*.jsonl"))) == 1
    assert not (run / "evaluation").exists()


@pytest.mark.java
@pytest.mark.slow
def test_evaluation_changes_no_weight(recipe: Write) -> None:
    plain = trained(recipe("plain"))
    evaluated = trained(recipe("evaluated", captions=SAMPLE))
    assert same_weights(plain, evaluated)
    losses = [[entry["eval_loss"] for entry in validations(run)] for run in (plain, evaluated)]
    assert losses[0] == losses[1]


@pytest.mark.java
@pytest.mark.slow
def test_training_does_not_depend_on_how_often_it_is_evaluated(recipe: Write) -> None:
    """Twelve steps with dropout, evaluated after every one of them or after every third."""
    settings = {"epochs": 4, "patience": 99}
    often = trained(recipe("often", settings, captions=4, every=1))
    seldom = trained(recipe("seldom", settings, captions=4))
    assert [len(list((run / "evaluation").glob("step-*"))) for run in (often, seldom)] == [12, 4]
    every, third = ({one["step"]: one for one in validations(run)} for run in (often, seldom))
    assert sorted(third) == [3, 6, 9, 12]
    assert [every[step]["eval_loss"] for step in third] == [third[step]["eval_loss"] for step in third]


@pytest.mark.java
@pytest.mark.slow
def test_the_best_checkpoint_and_the_end_are_chosen_by_a_measure(recipe: Write) -> None:
    """The kept weights are those of the highest score, whatever the loss says, and waiting for a better one ends it."""
    settings = {"epochs": 30, "patience": 2, "learning_rate": 1e-2}
    run = trained(recipe(training=settings, captions=SAMPLE, measures=["ROUGE-L", "CIDEr"], best="rouge-l"))
    scores = [entry["eval_rouge-l"] for entry in validations(run)]
    losses = [entry["eval_loss"] for entry in validations(run)]
    best = scores.index(max(scores))
    assert len(scores) < 30
    assert best == len(scores) - 1 - 2
    kept = record(run)
    assert kept["best"] == {"of": "ROUGE-L", "value": max(scores)}
    assert (kept["best_step"], kept["best_validation_loss"]) == (validations(run)[best]["step"], losses[best])
    assert losses.index(min(losses)) != best


@pytest.mark.java
@pytest.mark.processes
@pytest.mark.slow
def test_two_processes_evaluate_as_one(recipe: Write) -> None:
    """An odd sample on two processes: each item once, the same captions and scores as of one process."""
    settings = {"epochs": 1, "micro_batch_size": 4, "learning_rate": 1e-9}
    alone = trained(recipe("alone", settings, captions=SAMPLE, measures=["BLEU-4", "CIDEr"], best="CIDEr"))
    path = recipe("launched", settings, captions=SAMPLE, measures=["BLEU-4", "CIDEr"], best="CIDEr")
    log = path.with_suffix(".log")
    codes = end(start_two("train", str(path), log=log))
    assert codes == [0, 0], log.read_text()[-3000:]
    launched = path.with_suffix("")
    assert record(launched)["processes"] == 2
    (one,), (other,) = (list((run / "evaluation").glob("step-*.jsonl")) for run in (alone, launched))
    written = [[(line["id"], line["caption"]) for line in lines(path)] for path in (one, other)]
    assert written[0] == written[1]
    assert len({key for key, _ in written[0]}) == SAMPLE
    for name in ("eval_bleu-4", "eval_cider"):
        assert validations(launched)[0][name] == validations(alone)[0][name]


@pytest.mark.parametrize(
    ("evaluation", "message"),
    [
        ("{best: CIDEr}", "evaluation.best: expected loss, since no captions are written"),
        (
            "{captions: 4, measures: [BLEU-4], best: CIDEr}",
            "evaluation.best: expected loss or one of evaluation.measures",
        ),
        ("{captions: 4, measures: [CIDr]}", "evaluation.measures.0: expected one of BLEU-1"),
        ("{captions: 4, measures: []}", "evaluation.measures"),
        ("{captions: 4, measures: [CIDEr, Acc]}", "evaluation.measures: Acc: no classifier given"),
        ("{captions: 4, measures: [MAP]}", "evaluation.measures: MAP: no vocabulary given"),
        ("{captions: 4, measures: [SPICE]}", "evaluation.measures: SPICE: "),
    ],
)
def test_what_cannot_score_is_refused_before_training(recipe: Write, evaluation: str, message: str) -> None:
    path = recipe()
    result = train(path, f"evaluation={evaluation}")
    assert (result.exit_code, message in result.stderr) == (2, True), result.output
    assert "Traceback" not in result.output
    assert not path.with_suffix("").exists()


@pytest.mark.slow
def test_a_missing_java_is_found_before_training(recipe: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", "/nonexistent")
    path = recipe(captions=4)
    result = CliRunner().invoke(app, ["train", str(path)])
    assert (result.exit_code, "JAVA_HOME is /nonexistent" in result.stderr) == (2, True), result.output
    assert not path.with_suffix("").exists()
    assert trained(recipe("unscored", {"epochs": 1}))
