"""`reproduce`: a grid of runs with real processes; killed, it resumes; the published figures beside ours."""

import copy
import json
import time
from pathlib import Path
from typing import Any

import places
import pytest
import yaml
from tiny import finetune
from tiny_models import write_recipe
from training_processes import finished, kill_all, start

from finetune.config.experiments import load_grid
from finetune.config.recipe import load_recipe
from finetune.experiments.grid_cells import plan
from finetune.experiments.grid_table import compare
from finetune.experiments.pipeline import finished_report
from metrics.reports.published import improvement, published_scores

GRIDS = places.RECIPES / "grids"
MODELS = ("BLIP-2-2.7B", "BLIP-2-6.7B", "LLaVA-1.5-7B", "LLaVA-1.5-13B")
SCORED = ("BLEU-4", "METEOR", "ROUGE-L", "CIDEr")
NOT_SCORED = ("SPICE", "MAP", "MAR", "Acc")
# The column "% Impr." of Tables 3 and 4.
PRINTED = {
    "H&M": (2685.50, 2696.34, 1289.53, 1255.67),
    "FACAD": (313.21, 297.97, 288.39, 17.27),
}


def write_grid(root: Path, *cells: dict[str, Any], **values: Any) -> Path:
    path = root / "grid.yaml"
    path.write_text(yaml.safe_dump({"output": str(root / "table"), "cells": list(cells)} | values))
    return path


def cell(recipe: Path, model: str = "BLIP-2-2.7B", **values: Any) -> dict[str, Any]:
    return {"dataset": "H&M", "model": model, "recipe": str(recipe)} | values


def state(folder: Path) -> dict[str, int]:
    """Every file with the time it was written."""
    return {str(path): path.stat().st_mtime_ns for path in sorted(folder.rglob("*")) if path.is_file()}


def table(grid: Path) -> dict[str, Any]:
    """The rows of the grid's first table by name and setting."""
    dataset = json.loads((grid.parent / "table" / "reproduction.json").read_text())["datasets"][0]
    return dataset | {"rows": {(row["name"], row["setting"]): row for row in dataset["rows"]}}


def refused(grid: Path) -> str:
    result = finetune("reproduce", grid)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert "Traceback" not in result.output
    assert not (grid.parent / "table").exists()
    return result.stderr


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int], str]:
    """A grid of two runs, killed in the second one's training and started again.

    The grid, the first run's files as they were at the kill, and what was printed afterwards.
    """
    root = tmp_path_factory.mktemp("grid")
    tiny = {"image_size": 32, "hidden_size": 32, "layers": 1, "queries": 4, "vocabulary": 400, "dropout": 0}
    one, two = (
        write_recipe(root, name, model={"family": family, "base": str(root / f"base-{name}"), "tiny": tiny})
        for name, family in (("a", "blip2"), ("b", "llava"))
    )
    shared = ["decoding={max_new_tokens: 8}", "training.epochs=1"]
    second = cell(two, "LLaVA-1.5-7B", set=["training.epochs=8", "training.seed=7"])
    grid = write_grid(root, cell(one), second, set=shared)
    cache = str(root / "cache")
    process = start("reproduce", str(grid), log=root / "killed.log", LOOKBOOK_CACHE=cache)
    while not list((root / "b" / "checkpoints").glob("checkpoint-*/trainer_state.json")):
        assert process.is_alive(), "it ended before it could be killed"
        time.sleep(0.01)
    kill_all([process])
    assert not (root / "b" / "training.json").exists()
    partial = table(grid)
    assert partial["finished"] == 1
    assert partial["rows"]["BLIP-2-2.7B", "FT"]["ours"].keys() == set(SCORED)
    assert partial["rows"]["LLaVA-1.5-7B", "FT"]["ours"] == {}
    first_files = state(root / "a")
    return grid, first_files, finished("reproduce", str(grid), log=root / "resumed.log", LOOKBOOK_CACHE=cache)


@pytest.mark.java
@pytest.mark.processes
@pytest.mark.slow
def test_killed_and_started_again_it_repeats_nothing(resumed: tuple[Path, dict[str, int], str]) -> None:
    grid, first_files, printed = resumed
    assert "[1/2] H&M, BLIP-2-2.7B: finished already" in printed
    assert state(grid.parent / "a") == first_files
    training = json.loads((grid.parent / "b" / "training.json").read_text())
    epochs = [entry["epoch"] for entry in training["loss_history"] if "eval_loss" in entry]
    assert epochs == sorted(set(epochs))
    assert (epochs[0], training["seed"]) == (1, 7)
    assert "train_since_resume_s" in training["times"]
    both = state(grid.parent / "a") | state(grid.parent / "b")
    again = finetune("reproduce", grid)
    assert again.exit_code == 0, again.output
    assert "[2/2] H&M, LLaVA-1.5-7B: finished already" in again.stdout
    assert state(grid.parent / "a") | state(grid.parent / "b") == both


@pytest.mark.java
@pytest.mark.processes
@pytest.mark.slow
def test_the_table_holds_published_figures_and_ours(resumed: tuple[Path, dict[str, int], str]) -> None:
    grid, _, printed = resumed
    made = table(grid)
    assert [key for key in made["rows"] if key[1] in ("PT", "FT")] == [(m, s) for m in MODELS for s in ("PT", "FT")]
    assert made["rows"]["BLIP-2-6.7B", "FT"]["published"]["CIDEr"] == 281.3
    for name, model in (("a", "BLIP-2-2.7B"), ("b", "LLaVA-1.5-7B")):
        report = json.loads((grid.parent / name / "report" / "report.json").read_text())
        scores = {system["name"]: system["scores"] for system in report["systems"]}
        for setting, system in (("PT", "pretrained"), ("FT", "fine-tuned")):
            for part, key in (("all", "ours"), ("unseen", "unseen")):
                expected = {measure: round(100 * scores[system][part][measure]["value"], 1) for measure in SCORED}
                assert made["rows"][model, setting][key] == expected
        for baseline in ("sibling's caption", "category's most frequent caption"):
            row = made["rows"][baseline, "no photo"]
            assert row["ours"]["CIDEr"] == round(100 * scores[baseline]["all"]["CIDEr"]["value"], 1)
    assert made["rows"]["LLaVA-1.5-13B", "FT"]["ours"] == {}
    for word in ("BLIP-2-2.7B PT", "281.3", "sibling's caption", "not comparable", "reproduction.html"):
        assert word in printed


@pytest.mark.java
@pytest.mark.processes
@pytest.mark.slow
def test_the_page_is_plain_about_what_is_missing(resumed: tuple[Path, dict[str, int], str]) -> None:
    grid, _, _ = resumed
    made = json.loads((grid.parent / "table" / "reproduction.json").read_text())
    assert made["not_computed"] == list(NOT_SCORED)
    warning = made["datasets"][0]["warnings"]
    assert len(warning) == 1
    assert "published split of H&M (10,424 test items)" in warning[0]
    assert "catalogue 'demo'" in warning[0]
    html = (grid.parent / "table" / "reproduction.html").read_text()
    assert "H&amp;M" in html
    assert "H&M" not in html
    text = (grid.parent / "table" / "reproduction.md").read_text()
    assert ", ".join(NOT_SCORED) + ": not computed by this version" in text
    published = next(line for line in text.splitlines() if line.startswith("| BLIP-2-6.7B FT"))
    assert published == "| BLIP-2-6.7B FT | published | 41.4 | 33.9 | 63.8 | 281.3 | 45.4 | 70.8 | 66.0 | 83.8 |"
    following = text.splitlines()[text.splitlines().index(published) + 1]
    assert following == "|  | ours | – | – | – | – | – | – | – | – |"


@pytest.mark.java
@pytest.mark.processes
@pytest.mark.slow
def test_a_run_is_finished_only_with_its_own_captions_and_decoding(
    resumed: tuple[Path, dict[str, int], str],
) -> None:
    grid, _, _ = resumed
    planned = plan(load_grid(grid), "grid")[0]
    assert finished_report(planned.recipe) is not None
    longer = load_recipe(planned.recipe_path, [*planned.overrides, "decoding.max_new_tokens=9"])
    assert finished_report(longer) is None
    fewer = load_recipe(planned.recipe_path, [*planned.overrides, "baselines.encoder=none"])
    assert finished_report(fewer) is None
    (planned.recipe.output / "report" / "baselines.json").rename(grid.parent / "baselines.json")
    assert finished_report(fewer) is not None  # as after a run of a version without a choice of baselines
    (grid.parent / "baselines.json").rename(planned.recipe.output / "report" / "baselines.json")
    captions = planned.recipe.output / "captions" / "fine-tuned" / "captions.jsonl"
    whole = captions.read_bytes()
    captions.write_bytes(whole + b"\n")
    assert finished_report(planned.recipe) is None
    captions.write_bytes(whole)
    report = finished_report(planned.recipe)
    assert report is not None
    path = planned.recipe.output / "report" / "report.json"
    written = path.read_bytes()
    path.write_text(json.dumps({name: part for name, part in report.items() if name != "findings"}))
    assert finished_report(planned.recipe) is None
    path.write_bytes(written)
    assert finished_report(planned.recipe) is not None


@pytest.mark.java
@pytest.mark.processes
@pytest.mark.slow
def test_our_improvement_is_over_the_measures_that_we_have(resumed: tuple[Path, dict[str, int], str]) -> None:
    """Reports with known scores on the published test set: BLEU-4 2 -> 3, ROUGE-L 10 -> 30, CIDEr 0 -> 5."""
    grid, _, _ = resumed
    planned = plan(load_grid(grid), "grid")[:1]
    report = copy.deepcopy(finished_report(planned[0].recipe))
    assert report is not None
    data = next(system for system in report["systems"] if system["kind"] == "finetuned")["run"]["recipe"]["data"]
    data["catalogue"], report["slices"]["all"] = "hm", 10_424
    values = {"pretrained": (0.02, 0.10, 0.10, 0.0), "finetuned": (0.03, 0.20, 0.30, 0.05)}
    for system in report["systems"]:
        for measure, value in zip(SCORED, values.get(system["kind"], ()), strict=False):
            system["scores"]["all"][measure]["value"] = value
    made = compare(planned, {planned[0].title: report})["datasets"][0]
    assert made["warnings"] == []
    data["split"]["seed"] = 7
    warned = compare(planned, {planned[0].title: report})["datasets"][0]["warnings"]
    assert ["with other shares or seed" in warning for warning in warned] == [True]
    data["split"]["seed"] = 42
    ours = next(row for row in made["improvement"] if row["name"] == "BLIP-2-2.7B")
    assert ours["over"] == ["BLEU-4", "METEOR", "ROUGE-L"]
    assert ours["ours_over"] == pytest.approx((50 + 100 + 200) / 3)
    assert ours["published_over"] == pytest.approx(100 * ((40.8 / 0.3 - 1) + (33.5 / 5.3 - 1) + (63.4 / 14.8 - 1)) / 3)
    other = copy.deepcopy(report)
    next(system for system in other["systems"] if system["kind"] == "finetuned")["run"]["catalogue_fingerprint"] = "x"
    both = plan(load_grid(grid), "grid")
    made = compare(both, {both[0].title: report, both[1].title: other})["datasets"][0]
    assert ["changed between them" in warning for warning in made["warnings"]] == [True]


@pytest.mark.parametrize("dataset", PRINTED)
def test_published_improvements_come_out_as_printed(dataset: str) -> None:
    rows = {(row.dataset, row.model, row.setting): row.scores for row in published_scores()}
    for model, printed in zip(MODELS, PRINTED[dataset], strict=True):
        improved = improvement(rows[dataset, model, "PT"], rows[dataset, model, "FT"])
        assert improved is not None
        assert f"{improved:.2f}" == f"{printed:.2f}"


def test_eighteen_published_rows() -> None:
    rows = published_scores()
    assert len(rows) == 18
    assert [(row.model, row.setting) for row in rows[16:]] == [("CNN-C", ""), ("SRFC", "")]
    assert rows[17].scores == {"BLEU-4": 6.8, "METEOR": 13.2, "ROUGE-L": 24.2, "CIDEr": 42.1, "SPICE": 13.4} | {
        "MAP": 9.5,
        "Acc": 18.2,
    }


@pytest.mark.parametrize("path", sorted(GRIDS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_grid_has_all_runs_in_the_papers_order(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grid = load_grid(path)
    assert [(cell.dataset, cell.model) for cell in grid.cells] == [
        (data, model) for data in PRINTED for model in MODELS
    ]
    monkeypatch.chdir(GRIDS.parent.parent)
    for name in ("HM_DIR", "FACAD_DIR"):
        monkeypatch.setenv(name, "data")
    assert len(plan(grid, path.name)) == len(PRINTED) * len(MODELS)


def test_the_published_grid_changes_no_recipe() -> None:
    grid = load_grid(GRIDS / "published.yaml")
    assert [grid.set, *(cell.set for cell in grid.cells)] == [()] * 9


def test_errors_of_all_cells_are_listed_before_any_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_DIR", raising=False)
    sound = write_recipe(tmp_path, "sound")
    unset = cell(sound, "BLIP-2-6.7B", set=["data={catalogue: hm, folder: $NO_SUCH_DIR}", "output=x"], dataset="FACAD")
    absent = cell(sound, "LLaVA-1.5-7B", set=[f"output={tmp_path / 'y'}", "model={base: nowhere, dtype: float32}"])
    message = refused(write_grid(tmp_path, cell(sound), unset, absent))
    assert "grid.yaml: 2 error(s) in its cells" in message
    assert "FACAD, BLIP-2-6.7B: " in message
    assert "NO_SUCH_DIR" in message
    assert "H&M, LLaVA-1.5-7B: model.base: nowhere" in message
    assert not (tmp_path / "sound").exists()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"modle": "x"}, "cells.1.modle: unknown key; did you mean 'model'?"),
        ({"dataset": "HM"}, "dataset: expected one of FACAD, H&M; found HM; did you mean 'H&M'?"),
        ({"model": "BLIP-2-2.7b"}, "found BLIP-2-2.7b; did you mean 'BLIP-2-2.7B'?"),
        ({"model": "SRFC"}, "found SRFC"),
        ({"model": "BLIP-2-2.7B"}, "H&M, BLIP-2-2.7B: is in the grid twice"),
        ({}, "is that of H&M, BLIP-2-2.7B too; give each its own"),
        ({"set": ["output=elsewhere", "data.articles=99"]}, "data: differs from that of H&M, BLIP-2-2.7B"),
        ({"set": ["training.epoch=3"]}, "training.epoch: unknown key; did you mean 'epochs'?"),
        ({"recipe": "recipes/nothing.yaml"}, "recipes/nothing.yaml: no such recipe"),
    ],
)
def test_a_wrong_grid_is_refused(tmp_path: Path, values: dict[str, Any], message: str) -> None:
    recipe = write_recipe(tmp_path)
    assert message in refused(write_grid(tmp_path, cell(recipe), cell(recipe, "BLIP-2-6.7B") | values))


def test_a_wrong_file_is_refused(tmp_path: Path) -> None:
    assert "cells: missing; the grid must give it" in refused(write_recipe(tmp_path))
    assert "no such grid" in refused(tmp_path / "none.yaml")
    assert "expected at least one entry" in refused(write_grid(tmp_path))


@pytest.mark.processes
@pytest.mark.slow
def test_a_run_that_fails_is_named_and_the_table_is_written(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, data={"articles": 12, "max_caption_words": 1})
    grid = write_grid(tmp_path, cell(recipe, dataset="FACAD"))
    printed = finished("reproduce", str(grid), log=tmp_path / "log", code=2)
    assert "error: [1/1] FACAD, BLIP-2-2.7B: ended with code 2" in printed
    assert "Traceback" not in printed
    lines = (tmp_path / "table" / "reproduction.md").read_text().splitlines()
    assert "| CNN-C | published | 2.1 | 7.2 | 16.3 | 20.8 | 6.5 | 4.9 | – | 10.8 |" in lines
    assert "| SRFC | published | 6.8 | 13.2 | 24.2 | 42.1 | 13.4 | 9.5 | – | 18.2 |" in lines
    assert sum(line.startswith("|  | ours |") for line in lines) == 8
