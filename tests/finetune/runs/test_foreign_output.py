"""Folders of other people stay as they are, whatever writes into an output; those of earlier versions go on."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny import finetune, prepared, recipe

from finetune.config.recipe import load_recipe
from finetune.experiments.cells import Cell
from finetune.experiments.runner import Experiment
from finetune.runs.claim import is_finished, own_output
from finetune.runs.folder import RunFolder
from finetune.training.checkpoints import remove_others
from metrics.common.errors import UserError
from metrics.common.ownership import MARK


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """The output of `shop_recipe`, with other people's files under names of ours."""
    folder = tmp_path / "out"
    for name in ("checkpoints/checkpoint-final/weights", "checkpoints/checkpoint-3/optimizer.pt", "model/README.md"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("theirs")
    return folder


@pytest.mark.parametrize("command", ["prepare", "train", "run", "validate"])
def test_an_output_of_others_is_refused(shop_recipe: Path, theirs: Path, command: str) -> None:
    before = contents(theirs)
    result = finetune(command, shop_recipe)
    assert (result.exit_code, contents(theirs)) == (2, before)
    assert f"{theirs}: holds what Lookbook did not write there: checkpoints, model; choose another output=" in (
        result.stderr
    )


@pytest.fixture
def mixture(shop: Path, tmp_path: Path) -> Path:
    """A recipe of two catalogues, `a` and `b`."""
    data = {"catalogue": "hm", "folder": str(shop)}
    made = recipe(tmp_path, data)
    values = yaml.safe_load(made.read_text()) | {"data": [{"name": name} | data for name in "ab"]}
    made.write_text(yaml.safe_dump(values))
    return made


@pytest.mark.parametrize("name", ["a/catalogue.md", "a/items.parquet", "b/references-train.jsonl", "b/notes.txt"])
def test_folders_of_a_mixture_s_catalogues_are_refused_too(mixture: Path, tmp_path: Path, name: str) -> None:
    theirs = tmp_path / "out" / name
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs")
    result = finetune("prepare", mixture)
    assert (result.exit_code, contents(tmp_path / "out")) == (2, {name: b"theirs"}), result.output
    assert f"{theirs.parent}: holds what Lookbook did not write there: {theirs.name};" in result.stderr


def test_a_prepared_mixture_is_ours_with_marks_and_of_earlier_versions_without(mixture: Path, tmp_path: Path) -> None:
    prepared(mixture)
    out = tmp_path / "out"
    (out / "a" / "notes.txt").touch()
    prepared(mixture)
    (out / "a" / "notes.txt").unlink()
    for folder in ("a", "b"):
        (out / folder / MARK).unlink()
        (out / folder / "captions").mkdir()
    prepared(mixture)


def test_what_only_looks_like_ours_is_not_replaced(shop_recipe: Path, tmp_path: Path) -> None:
    theirs = {"catalogue.json": '{"categories": ["own shop"]}', "recipe.json": '{"catalogue": "summer"}'}
    theirs["references-test.jsonl"] = '{"id": "1", "references": ["A coat."]}'
    (tmp_path / "out").mkdir()
    for name, text in theirs.items():
        (tmp_path / "out" / name).write_text(text)
    assert f"did not write there: {', '.join(theirs)};" in finetune("prepare", shop_recipe).stderr
    assert contents(tmp_path / "out") == {name: text.encode() for name, text in theirs.items()}


def test_what_systems_shells_and_users_leave_beside_ours_stays(shop_recipe: Path, tmp_path: Path) -> None:
    names = (".DS_Store", ".gitkeep", "Thumbs.db", "log.txt", "train.log", "recipe.yaml")
    (tmp_path / "out").mkdir()
    for name in names:
        (tmp_path / "out" / name).write_text("theirs")
    prepared(shop_recipe)
    assert {contents(tmp_path / "out")[name] for name in names} == {b"theirs"}


@pytest.mark.parametrize("name", ["category", "consensus"])
def test_baselines_are_all_written_or_none(shop_recipe: Path, tmp_path: Path, name: str) -> None:
    theirs = tmp_path / "lists" / name / "captions.jsonl"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs")
    result = finetune("baselines", shop_recipe, tmp_path / "lists", "baselines.encoder=none")
    assert (result.exit_code, "exists and is no file of captions" in result.stderr) == (2, True), result.output
    assert contents(tmp_path / "lists") == {f"{name}/captions.jsonl": b"theirs"}


@pytest.mark.parametrize("record", ["", '{"recipe": "bread"}'])
def test_a_record_of_others_makes_no_run(shop_recipe: Path, theirs: Path, record: str) -> None:
    (theirs / "training.json").write_text(record)
    before = contents(theirs)
    result = finetune("train", shop_recipe)
    assert (result.exit_code, contents(theirs)) == (2, before)
    assert "did not write there: checkpoints, model, training.json;" in result.stderr


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("model/README.md", "model: holds what Lookbook did not write there: README.md;"),
        ("checkpoints/notes", "checkpoints: holds what Lookbook did not write there: notes;"),
    ],
)
def test_what_others_put_where_the_training_will_write_is_refused(
    shop_recipe: Path, tmp_path: Path, name: str, shown: str
) -> None:
    prepared(shop_recipe)
    (tmp_path / "out" / name).parent.mkdir()
    (tmp_path / "out" / name).write_text("theirs")
    result = finetune("train", shop_recipe)
    assert (result.exit_code, shown in result.stderr) == (2, True), result.output


def test_a_prepared_output_is_ours_with_a_mark_and_of_earlier_versions_without(
    shop_recipe: Path, tmp_path: Path
) -> None:
    prepared(shop_recipe)
    out = tmp_path / "out"
    (out / "notes.txt").touch()
    prepared(shop_recipe)
    (out / "notes.txt").unlink()
    (out / MARK).unlink()
    (out / "features").mkdir()
    assert not is_finished(load_recipe(shop_recipe), resume=True)
    (out / "references-test.jsonl").write_text("theirs")
    with pytest.raises(UserError, match=r"did not write there: references-test.jsonl;"):
        own_output(load_recipe(shop_recipe))


def test_only_checkpoints_of_ours_are_removed(tmp_path: Path) -> None:
    names = ("checkpoint-1", "checkpoint-2", "checkpoint-final", "checkpoint-2-copy")
    for name in names:
        (tmp_path / name).mkdir()
    remove_others(tmp_path, {"checkpoint-2"})
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names[1:])


@pytest.mark.parametrize(
    ("command", "name"), [("baselines", "sibling/captions.jsonl"), ("baselines", "notes"), ("compare", "catalogues.md")]
)
def test_folders_of_other_commands_are_refused(shop_recipe: Path, tmp_path: Path, command: str, name: str) -> None:
    out = tmp_path / "theirs"
    (out / name).parent.mkdir(parents=True)
    (out / name).write_text("theirs")
    arguments: list[Any] = ["baselines", shop_recipe, out, "baselines.encoder=none"]
    if command == "compare":
        arguments = ["compare-catalogues", shop_recipe, shop_recipe, "--out", out]
    result = finetune(*arguments)
    assert (result.exit_code, contents(out)[name]) == (2, b"theirs"), result.output
    assert "did not write there" in result.stderr or "captions.jsonl: exists and is no file" in result.stderr


class _Nothing(Experiment[Cell]):
    """An experiment whose cells are finished."""

    def is_finished(self, cell: Cell) -> bool:
        return True

    def check(self, cell: Cell) -> None: ...

    def run_cell(self, cell: Cell) -> None: ...

    def write_table(self) -> None:
        self.table.write_text("Lookbook\n")

    def show_table(self) -> None: ...


def test_tables_of_experiments_stay_out_of_folders_of_others(shop_recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    inside = load_recipe(shop_recipe, [f"output={out}/rate-1/run"])
    cells = [Cell("one", shop_recipe, (), inside)]
    (RunFolder(inside.output).path).mkdir(parents=True)
    assert _Nothing(cells, "sweep.yaml", out / "sweep.md").run() == out / "sweep.md"
    assert (out / MARK).is_file()
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "sweep.md").write_text("theirs")
    with pytest.raises(UserError, match=r"did not write there: sweep.md; choose another output"):
        _Nothing(cells, "sweep.yaml", tmp_path / "theirs" / "sweep.md").run()


@pytest.mark.parametrize("command", ["make-demo-base", "make-demo-stanza"])
def test_demo_models_stay_out_of_folders_of_others(tmp_path: Path, command: str) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "made.json").write_text("theirs")
    made = recipe(tmp_path, {"catalogue": "folder", "folder": str(tmp_path / "drawings")})
    options = ["--out", theirs, "--recipe", made] if command == "make-demo-base" else [theirs]
    result = finetune(command, *options)
    assert (result.exit_code, contents(theirs)) == (2, {"made.json": b"theirs"}), result.output
    assert not (tmp_path / "drawings").exists()
