"""Records of trainings and runs: what is written is what is read, by anybody's hand or ours."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.common.errors import UserError
from metrics.records.run import CatalogueInfo, RunRecord, TrainingRecord, read_run

TEXT = st.text(max_size=8)
NUMBERS = st.dictionaries(TEXT, st.floats(-1e9, 1e9) | st.integers(0, 10**9), max_size=3)
JSON = st.dictionaries(TEXT, TEXT | st.integers() | st.none() | st.lists(TEXT, max_size=2), max_size=3)
CATALOGUES = st.builds(
    CatalogueInfo,
    name=st.none() | TEXT,
    folder=st.none() | st.just(Path("photos")),
    counts=st.lists(st.tuples(TEXT, st.integers(0, 2**63 - 1)), max_size=2).map(tuple),
    split_method=st.none() | TEXT,
    split_sizes=NUMBERS,
    dropped=NUMBERS,
    bad_images=st.lists(TEXT, max_size=2).map(tuple),
    notes=st.dictionaries(TEXT, st.lists(TEXT, max_size=2), max_size=2),
)
RUNS = st.builds(
    RunRecord,
    kind=st.none() | st.sampled_from(["baseline", "control", "pretrained", "finetuned"]),
    system=st.none() | TEXT,
    recipe=JSON,
    loss_history=st.lists(NUMBERS, max_size=2).map(tuple),
    parameters=st.dictionaries(TEXT, NUMBERS, max_size=2),
    times=NUMBERS,
    best_step=st.none() | st.integers(-(2**63), 2**63 - 1),
    best_validation_loss=st.none() | st.floats(-1e9, 1e9),
    mixture=st.lists(JSON, max_size=2).map(tuple),
    catalogue=CATALOGUES,
    leak_audit=NUMBERS,
)


@given(record=RUNS)
def test_a_run_reads_as_it_was_written(record: RunRecord, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("run") / "run.json"
    record.write(path)
    read = RunRecord.read(path)
    assert read == record
    assert read.raw == json.loads(path.read_text())


def test_a_training_is_part_of_the_run_that_it_made(tmp_path: Path) -> None:
    training = TrainingRecord(recipe={"output": "runs/a"}, seed=3, times={"train_s": 2.0})
    training.write(tmp_path / "training.json")
    run = RunRecord(**TrainingRecord.read(tmp_path / "training.json").to_json(), system="fine-tuned")
    assert (run.recipe, run.seed, run.times, run.system) == ({"output": "runs/a"}, 3, {"train_s": 2.0}, "fine-tuned")


def test_a_run_of_another_file_is_nobodys(tmp_path: Path) -> None:
    record = RunRecord(system="a", file="captions.jsonl")
    record.write(tmp_path / "run.json")
    assert read_run(tmp_path / "captions.jsonl") == record
    assert read_run(tmp_path / "others.jsonl") is None
    replace(record, file=None).write(tmp_path / "run.json")
    assert read_run(tmp_path / "others.jsonl") == RunRecord(system="a")


def test_numbers_that_are_none_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text('{"loss_history": [{"step": 1, "loss": NaN}], "best_validation_loss": Infinity, "unknown": 1}')
    assert RunRecord.read(path) == RunRecord(loss_history=({"step": 1},))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "expected a JSON object, found list"),
        ("{", "expected a JSON object, found damaged text"),
        ({"kind": "other"}, '"kind" must be one of baseline'),
        ({"seed": "3"}, "\"seed\" must be a whole number, found '3'"),
        ({"catalogue": {"counts": [3]}}, "catalogue: counts[0]: expected a JSON object, found int"),
        ({"catalogue": {"bad_images": [3]}}, '"bad_images" must be a list of strings, found 3 in it'),
        ({"best_validation_loss": True}, '"best_validation_loss" must be a number'),
    ],
)
def test_what_is_no_record_is_named(content: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(UserError) as error:
        RunRecord.read(path)
    assert str(path) in str(error.value)
    assert message in str(error.value)
    assert str(error.value).endswith("; write the captions again, or remove that file: they can be scored without it")
