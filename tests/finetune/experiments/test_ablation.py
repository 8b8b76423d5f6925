"""`bench-recipe`: the published recipe, ours, and each correction alone."""

import json
from pathlib import Path
from typing import Any

import places
import pytest
import yaml
from tiny import finetune
from tiny_models import write_recipe
from training_processes import finished

from finetune.config.experiments import load_ablation
from finetune.config.recipe import load_recipe
from finetune.experiments.ablation_cells import plan

FOLDER = places.RECIPES / "ablation"
PUBLISHED = {"stop token": ["labels.stop_token=false"], "padding": ["labels.pad_to=128", "labels.on=all"]}


def write_ablation(root: Path, **changes: Any) -> Path:
    recipe = write_recipe(root, training={"epochs": 1}, decoding={"max_new_tokens": 12})
    subject = {"name": "BLIP-2", "recipe": str(recipe), "published": PUBLISHED} | changes
    path = root / "ablation.yaml"
    path.write_text(yaml.safe_dump({"output": str(root / "bench"), "models": [subject]}))
    return path


@pytest.mark.java
@pytest.mark.processes
@pytest.mark.slow
def test_every_run_has_a_row_and_finished_runs_are_not_repeated(tmp_path: Path) -> None:
    path = write_ablation(tmp_path, published={"all": [*PUBLISHED["stop token"], *PUBLISHED["padding"]]})
    finished("bench-recipe", str(path), log=tmp_path / "log")
    rows = json.loads((tmp_path / "bench" / "ablation.json").read_text())["models"][0]["rows"]
    assert [row["title"] for row in rows] == ["published recipe", "ours"]
    for row in rows:
        folder = tmp_path / "bench" / "blip-2" / row["title"].replace(" ", "-")
        training = json.loads((folder / "training.json").read_text())
        captions = [json.loads(line) for line in (folder / "captions" / "captions.jsonl").read_text().splitlines()]
        assert row["validation_loss"] == training["best_validation_loss"]
        assert row["steps"] == 3
        assert row["captions"] == len(captions) == 12
        assert row["finished"] == sum(caption["finished"] for caption in captions) / 12
        assert row["words"] == pytest.approx(sum(len(caption["caption"].split()) for caption in captions) / 12)
        assert row["step_s"] == training["times"]["step_s"] > 0
        assert row["speed"] == rows[0]["step_s"] / row["step_s"]
    page = (tmp_path / "bench" / "ablation.md").read_text()
    assert "| published recipe |" in page
    assert f"| ours | {rows[1]['validation_loss']:.4f} |" in page
    before = {
        file: file.stat().st_mtime_ns
        for file in (tmp_path / "bench").rglob("*.json*")
        if file.parts[-1] != "ablation.json"
    }
    again = finetune("bench-recipe", path)
    assert again.exit_code == 0, again.output
    assert {file: file.stat().st_mtime_ns for file in before} == before


def test_a_run_lacks_the_corrections_that_its_title_names(tmp_path: Path) -> None:
    path = write_ablation(tmp_path)
    cells = {cell.variant: cell.recipe for cell in plan(load_ablation(path), "x")}
    corrections = {
        title: (recipe.labels.stop_token, recipe.labels.on, recipe.labels.pad_to) for title, recipe in cells.items()
    }
    assert corrections == {
        "published recipe": (False, "all", 128),
        "published + stop token": (True, "all", 128),
        "published + padding": (False, "caption", None),
        "ours - stop token": (False, "caption", None),
        "ours - padding": (True, "all", 128),
        "ours": (True, "caption", None),
    }
    assert len({recipe.output for recipe in cells.values()}) == 6


def test_the_errors_of_all_runs_are_listed_before_any(tmp_path: Path) -> None:
    path = write_ablation(tmp_path, published={"rate": ["training.learning_rat=1"], "padding": ["labels.pad_to=0"]})
    refused = finetune("bench-recipe", path)
    assert (refused.exit_code, refused.stderr.count("error: ")) == (2, 1)
    assert "did you mean 'learning_rate'" in refused.stderr
    assert "labels.pad_to" in refused.stderr
    assert "3 error(s) in its cells" in refused.stderr  # the published recipe has both, two others have each of them
    assert refused.stderr.count("(and 1 more)") == 2
    assert not (tmp_path / "bench").exists()
    unknown = write_ablation(tmp_path, publish={})
    assert "publish: unknown key; did you mean 'published'?" in finetune("bench-recipe", unknown).stderr


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_ablations_are_read_and_undo_every_correction(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As omgwenxx/multimodal-fashion-analysis trains: FACTS of both families, in the published run alone."""
    monkeypatch.chdir(FOLDER.parent.parent)
    monkeypatch.setenv("HM_DIR", "/none")
    assert f"recipes/ablation/{path.name}" in path.read_text().split("output:")[0]
    ablation = load_ablation(path)
    for subject in ablation.models:
        undone = [override for overrides in subject.published.values() for override in overrides]
        ours, theirs = (load_recipe(subject.recipe, [*ablation.set, *subject.set, *more]) for more in ([], undone))
        assert (ours.labels.stop_token, ours.labels.on, ours.labels.pad_to) == (True, "caption", None)
        assert ours.training.cosine_steps is None
        assert ours.tune.vision == "frozen"
        expected = {"blip2": ("all", 512, "frozen"), "llava": ("prompt", None, "lora")}[theirs.model.family]
        assert (theirs.labels.on, theirs.labels.pad_to, theirs.tune.vision) == expected
        assert not theirs.labels.stop_token
        assert theirs.training.cosine_steps
        assert ours.training.model_copy(update={"cosine_steps": theirs.training.cosine_steps}) == theirs.training
