"""Runs that an earlier version began are resumed by this one, and end as they ended there.

`tests/fixtures/unfinished_runs` was made by `make_unfinished_runs.py` beside it, with commit 2ee0956.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pytest
from typer.testing import CliRunner

from finetune.__main__ import app
from finetune.config.history import with_old_values
from finetune.config.recipe import parse_recipe
from finetune.data.arrow_cache import fingerprint
from finetune.data.catalogues.base import COLUMNS, Catalogue

FIXTURES = Path(__file__).parents[2] / "fixtures" / "unfinished_runs"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))
GOLDEN = json.loads((FIXTURES / "golden_fingerprints.json").read_text(encoding="utf-8"))
CAPTIONS = Path("captions") / "fine-tuned" / "captions.jsonl"
OPTIONS = {"init-from": ["--init-from", "unfinished/trained"]}
STOPPED_AFTER = {"blip2": 5, "llava": 5, "mixture": 3, "init-from": 3}


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The fixtures elsewhere, all files of the time at which the earlier version captioned; the working folder."""
    folder = shutil.copytree(FIXTURES, tmp_path / "copy")
    for path in folder.rglob("*"):
        os.utime(path, (GOLDEN["time"], GOLDEN["time"]))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets-cache")
    monkeypatch.chdir(folder)
    return folder


def succeeds(*arguments: Any) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
    return result.output


def resume(name: str, *overrides: str) -> dict[str, Any]:
    """The record of the training, which must continue from its checkpoint."""
    checkpoints = Path("unfinished") / name / "checkpoints"
    assert (checkpoints / f"checkpoint-{STOPPED_AFTER[name]}").is_dir()
    output = succeeds("train", f"{name}.yaml", *overrides, "--resume", *OPTIONS.get(name, []))
    assert "training begins" not in output
    return dict(json.loads((checkpoints.parent / "training.json").read_text(encoding="utf-8")))


def assert_captions(name: str, expected: dict[str, dict[str, Any]]) -> None:
    """The test split captioned by a trained run: texts and log-probabilities."""
    run = Path("unfinished") / name
    succeeds("caption", "--model", run, "--data", f"{name}.yaml", "--split", "test", "--out", run / CAPTIONS)
    rows = map(json.loads, (run / CAPTIONS).read_text(encoding="utf-8").splitlines())
    found = {row["id"]: row for row in rows}
    assert {key: row["caption"] for key, row in found.items()} == {
        key: wanted["caption"] for key, wanted in expected.items()
    }
    for key, wanted in expected.items():
        assert found[key]["logprob"] == pytest.approx(wanted["logprob"], rel=1e-4)


def journal_of(name: str) -> Path:
    (journal,) = (Path("unfinished") / name / CAPTIONS.parent).glob(".captions.jsonl.*.0.partial")
    return journal


@pytest.mark.java
@pytest.mark.slow
@pytest.mark.parametrize("name", STOPPED_AFTER)
def test_an_unfinished_run_ends_as_it_did(copy: Path, name: str) -> None:
    """Losses, rates and scores of every logged step, those from before the interruption among them."""
    record, expected = resume(name), EXPECTED[name]
    assert "train_since_resume_s" in record["times"]
    assert [one["step"] for one in record["loss_history"]] == [one["step"] for one in expected["loss_history"]]
    for found, wanted in zip(record["loss_history"], expected["loss_history"], strict=True):
        assert found == pytest.approx(wanted, rel=1e-4, abs=1e-6)
    assert record["best_step"] == expected["best_step"]
    assert record["best"]["of"] == expected["best"]["of"]
    assert record["best"]["value"] == pytest.approx(expected["best"]["value"], rel=1e-4)
    assert (Path("unfinished") / name / "model").is_dir()
    if "captions" in expected:
        assert_captions(name, expected["captions"])


def test_an_unfinished_run_resumes_with_other_micro_batches(copy: Path) -> None:
    """They decide how much memory a step takes, not what the run is."""
    history = resume("mixture", "training.micro_batch_size=4")["loss_history"]
    expected = EXPECTED["mixture"]["loss_history"]
    assert [(one["step"], one.get("learning_rate")) for one in history] == [
        (one["step"], one.get("learning_rate")) for one in expected
    ]


def test_a_resumed_run_has_waited_before(copy: Path) -> None:
    """Its validations without a better one count on: it ends before the step at which a forgetful one would."""
    state = json.loads(Path("unfinished/blip2/checkpoints/checkpoint-5/trainer_state.json").read_text(encoding="utf-8"))
    attributes = state["stateful_callbacks"]["EarlyStopping"]["attributes"]
    assert attributes == {"early_stopping_patience_counter": 1}
    assert EXPECTED["blip2"]["loss_history"][-1]["step"] == 8


def test_a_finished_training_is_left_alone_and_captions(copy: Path) -> None:
    journal_of("trained").unlink()
    assert "this recipe is trained already" in succeeds("train", "trained.yaml", "--resume")
    assert_captions("trained", EXPECTED["trained"]["captions"])


def test_captions_written_before_the_kill_are_kept(copy: Path) -> None:
    """The journal is found by its name, which tells all that decides the captions."""
    journal = journal_of("trained")
    rows = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]
    journal.write_text("".join(json.dumps(row | {"caption": "from the journal"}) + "\n" for row in rows))
    captions = EXPECTED["trained"]["captions"]
    kept = {row["id"]: captions[row["id"]] | {"caption": "from the journal"} for row in rows}
    assert 0 < len(kept) < len(captions)
    assert_captions("trained", captions | kept)
    assert not journal.exists()


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["fingerprint"])
def test_a_data_section_has_the_fingerprint_that_it_had(
    case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prepared catalogues are found again by it, and unfinished runs are resumed."""
    monkeypatch.chdir(tmp_path)
    for name, size in GOLDEN["files"].items():
        file = Path("here") / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(size))
        os.utime(file, (GOLDEN["time"], GOLDEN["time"]))
    values = {"output": "out", "data": case["data"], "model": {"base": "x"}}
    defaults = parse_recipe(values, "golden").model_dump(mode="json")
    recipe = parse_recipe(with_old_values(values, {}, defaults), "golden")
    section = next(iter(recipe.catalogues.values()))
    parts = {split: pd.DataFrame(rows, columns=list(COLUMNS)) for split, rows in GOLDEN["rows"].items()}
    for part in parts.values() if case["of"] is None else ():
        part["image"] = [image.encode() for image in part["image"]]
    described = pd.concat([parts[split] for split in ("train", "validation", "test")], ignore_index=True)
    folder = Path(case["of"]) if case["of"] else None
    catalogue = Catalogue(section.called, folder, described, parts["undescribed"], notes=case.get("notes", {}))
    assert fingerprint(catalogue, parts, section) == case["fingerprint"]
