"""Which run a folder holds: claims of this version and of earlier ones."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny_models import write_recipe
from typer.testing import CliRunner

from finetune.__main__ import app
from finetune.config import history
from finetune.config.recipe import Recipe, load_recipe, parse_recipe
from finetune.runs.claim import as_begun, claim_output, is_finished, load_begun, recipe_values, refuse_other_start
from finetune.runs.processes import locked
from metrics.common.errors import UserError

BEGUN = {"catalogue": "folder", "folder": "photos"}


def values(output: Path, **sections: Any) -> dict[str, Any]:
    return {"output": str(output), "data": BEGUN, "model": {"base": "base"}} | sections


def begun(output: Path, recipe: Recipe | None = None, **changes: Any) -> dict[str, Any]:
    """A run with a checkpoint, whose claim has been changed as an earlier version may have written it."""
    recipe = recipe or parse_recipe(values(output), "recipe")
    (output / "checkpoints" / "checkpoint-1").mkdir(parents=True)
    claim_output(recipe, "1234")
    claim = json.loads((output / "recipe.json").read_text())
    claim["recipe"] |= changes
    (output / "recipe.json").write_text(json.dumps(claim))
    return claim


def differing(output: Path, **sections: Any) -> str:
    with pytest.raises(UserError) as error:
        is_finished(parse_recipe(values(output, **sections), "recipe"), resume=True)
    return str(error.value)


def test_a_run_is_its_recipe_but_for_decoding_baselines_scoring_and_micro_batches(tmp_path: Path) -> None:
    begun(tmp_path)
    other = {"decoding": {"beams": 3}, "scoring": {"stanza": "en"}, "training": {"micro_batch_size": 2}}
    other["baselines"] = {"encoder": "none"}
    assert not is_finished(parse_recipe(values(tmp_path, **other), "recipe"), resume=True)
    assert "(training.seed differ)" in differing(tmp_path, training={"seed": 1, "micro_batch_size": 2})


def test_a_claim_with_the_old_name_of_a_section_is_the_same_run(tmp_path: Path) -> None:
    claim = begun(tmp_path, parse_recipe(values(tmp_path, evaluation={"captions": 4}), "recipe"))
    claim["recipe"]["judging"] = claim["recipe"].pop("evaluation")
    (tmp_path / "recipe.json").write_text(json.dumps(claim))
    assert not is_finished(parse_recipe(values(tmp_path, judging={"captions": 4}), "recipe"), resume=True)
    assert "(evaluation.captions differ)" in differing(tmp_path, evaluation={"captions": 5})


def test_the_packaged_base_is_the_same_under_its_old_path(tmp_path: Path) -> None:
    begun(
        tmp_path, parse_recipe(values(tmp_path, model={"base": "demo"}), "recipe"), model={"base": "finetune/demo/base"}
    )
    assert not is_finished(parse_recipe(values(tmp_path, model={"base": "demo"}), "recipe"), resume=True)


def test_a_run_without_a_key_added_since_resumes_with_what_was_done_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = begun(tmp_path)
    del claim["recipe"]["training"]["warmup_steps"]
    (tmp_path / "recipe.json").write_text(json.dumps(claim))
    monkeypatch.setattr(history, "ADDED", {"training.warmup_steps": 7})
    recipe = as_begun(parse_recipe(values(tmp_path), "recipe"))
    assert recipe.training.warmup_steps == 7
    assert not is_finished(recipe, resume=True)
    assert as_begun(parse_recipe(values(tmp_path / "new"), "recipe")).training.warmup_steps == 0
    assert "(training.warmup_steps differ)" in differing(tmp_path, training={"warmup_steps": 0})


def test_every_command_reads_a_recipe_as_its_run_was_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claim = begun(tmp_path / "run")
    del claim["recipe"]["training"]["warmup_steps"]
    (tmp_path / "run" / "recipe.json").write_text(json.dumps(claim))
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(values(tmp_path / "run")))
    monkeypatch.setattr(history, "ADDED", {"training.warmup_steps": 7})
    assert load_begun(tmp_path / "recipe.yaml").training.warmup_steps == 7
    assert load_begun(tmp_path / "recipe.yaml", [f"output={tmp_path / 'new'}"]).training.warmup_steps == 0
    result = CliRunner().invoke(app, ["validate", str(tmp_path / "recipe.yaml")])
    assert "another recipe" not in result.output
    result = CliRunner().invoke(app, ["validate", str(tmp_path / "recipe.yaml"), "training.warmup_steps=3"])
    assert result.exit_code == 2
    assert "holds a run of another recipe (training.warmup_steps differ)" in " ".join(result.stderr.split())


def test_a_claim_that_has_an_added_key_keeps_its_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(tmp_path)
    monkeypatch.setattr(history, "ADDED", {"training.warmup_steps": 7})
    assert as_begun(parse_recipe(values(tmp_path), "recipe")).training.warmup_steps == 0


def test_an_added_key_is_completed_in_each_of_several_catalogues(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "ADDED", {"data.split.seed": 3})
    mixed = {"data": [BEGUN, BEGUN | {"name": "b", "split": {"seed": 5}}]}
    assert [one["split"]["seed"] for one in history.with_old_values(mixed, {})["data"]] == [3, 5]
    assert history.with_old_values(mixed, mixed) == mixed


def test_another_start_is_another_run(tmp_path: Path) -> None:
    claim = begun(tmp_path)
    recipe = parse_recipe(values(tmp_path), "recipe")
    refuse_other_start(recipe, None)
    (tmp_path / "recipe.json").write_text(json.dumps(claim | {"init_from": {"adapter": "runs/a", "sha256": "1"}}))
    refuse_other_start(recipe, {"adapter": "elsewhere/a", "sha256": "1"})
    with pytest.raises(UserError, match="began from the adapter runs/a; give --init-from runs/a"):
        refuse_other_start(recipe, None)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "expected a JSON object, found damaged text"),
        ("[]", "expected a JSON object, found list"),
        ("{}", "expected the recipe of the run in this folder, found none"),
        ('{"recipe": [1]}', '"recipe" must be an object, found [1]'),
        ('{"recipe": {"output": "a"}, "init_from": "runs/a"}', "\"init_from\" must be an object, found 'runs/a'"),
    ],
)
def test_a_damaged_claim_is_named(tmp_path: Path, content: str, problem: str) -> None:
    begun(tmp_path)
    (tmp_path / "recipe.json").write_text(content)
    message = differing(tmp_path)
    assert message.startswith(f"{tmp_path / 'recipe.json'}: {problem}")
    assert message.endswith("; restore that file, or train into another output=FOLDER")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("garbage", "expected a JSON object, found damaged text"),
        ("{}", "expected the recipe of the training in it, found none"),
        ('{"recipe": {"output": "a"}, "seed": "3"}', "\"seed\" must be a whole number, found '3'"),
    ],
)
def test_a_damaged_record_of_a_finished_training_is_named_at_once(tmp_path: Path, content: str, problem: str) -> None:
    begun(tmp_path)
    (tmp_path / "training.json").write_text(content)
    message = differing(tmp_path)
    assert message.startswith(f"{tmp_path / 'training.json'}: {problem}")
    assert "; remove that file and resume with `train RECIPE --resume`" in message


def test_old_names_read_in_recipes_and_overrides(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(values(tmp_path, judging={"captions": 4})))
    assert load_recipe(path, ["judging.every=5"]).evaluation.model_dump(include={"captions", "every"}) == {
        "captions": 4,
        "every": 5,
    }
    path.write_text(yaml.safe_dump(values(tmp_path, judging={}, evaluation={})))
    with pytest.raises(UserError, match="judging is the old name of evaluation; found both"):
        load_recipe(path)
    assert "judging" not in recipe_values(parse_recipe(values(tmp_path, judging={}), "recipe"))


@pytest.mark.parametrize("command", ["train", "run"])
def test_a_folder_in_use_names_who_uses_it(tmp_path: Path, command: str) -> None:
    path = write_recipe(tmp_path)
    with locked(tmp_path / "run"):
        result = CliRunner().invoke(app, [command, str(path)])
    assert result.exit_code == 2
    used = f"error: {tmp_path / 'run'}: another training or run is using this folder: process {os.getpid()} ("
    assert result.stderr.startswith(used)
