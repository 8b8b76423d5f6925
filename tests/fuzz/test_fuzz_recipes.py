"""Recipes of every kind, what the command line changes in them, and the records of runs that hold one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from fuzzing import NESTED, TEXTS, changed, damaged, files, folder, fuzz, put, reads_or_refuses
from hypothesis import strategies as st
from places import RECIPES
from tiny import finetune
from typer.testing import CliRunner

from finetune.config import recipe as captioner
from finetune.config.experiments import load_ablation, load_grid, load_sweep
from finetune.config.overrides import apply_override, read_yaml
from finetune.runs.claim import as_begun, is_finished, refuse_other_data
from finetune.runs.training_record import read_training, trained_recipe
from metrics.records.run import TrainingRecord
from recommend.__main__ import app
from recommend.experiments import recipe as recommenders
from recommend.ranker import recipe as rankers
from recommend.retrieval import recipe as composers
from recommend.retrieval.run_folder import ComposedRun

LOADERS: dict[str, Callable[..., Any]] = {
    "hm-tiny.yaml": captioner.load_recipe,
    "llava-1.5-7b-facad.yaml": captioner.load_recipe,
    "sweeps/demo.yaml": load_sweep,
    "grids/demo.yaml": load_grid,
    "ablation/demo.yaml": load_ablation,
    "recommend/demo.yaml": recommenders.load_recipe,
    "recommend/demo-masking.yaml": recommenders.load_recipe,
    "recommend/rank-demo.yaml": rankers.load_recipe,
    "composed/demo.yaml": composers.load_recipe,
}
KINDS = st.sampled_from(sorted(LOADERS))
TAGS = st.sampled_from(["int", "float", "bool", "null", "timestamp", "binary", "set", "omap", "pairs", "map", "seq"])
TAGGED = st.builds("output: !!{} {}".format, TAGS, st.sampled_from(["", "x", "'1'", "[a]", "{a: b}", "99-99", "[[a]]"]))
BOMBS = [
    "a: &a [1]\n" + "\n".join(f"b{n}: &b{n} [{', '.join([f'*b{n - 1}' if n else '*a'] * 10)}]" for n in range(10)),
    "a: &a {x: 1}\n"
    + "\n".join(f"b{n}: &b{n} {{<<: [{', '.join([f'*b{n - 1}' if n else '*a'] * 10)}]}}" for n in range(10)),
    "output: &a [*a]",
    "output: &a {a: *a}",
    "output: &a {<<: *a}",
    f"output: {NESTED}",
    "output: 0x" + "f" * 5000,
    "output: " + "9" * 5000,
    'output: "\\0"',
    'output: "\\ud800"',
    'output: "\\UFFFFFFFF"',
    "? [a]\n: b",
    "? {a: b}\n: c",
    "\ufeffoutput: a",
]
VALUES = st.one_of(
    st.sampled_from([*BOMBS, ".inf", "-.nan", "~", "1e400", "2020-01-01", "!!set {a}", "[", "{}", "1:30", "0o7", "=a"]),
    st.text(max_size=8),
)


def original(kind: str) -> bytes:
    return (RECIPES / kind).read_bytes()


@fuzz("finetune.config.overrides", cost=12, kind=KINDS, data=st.data())
def test_recipes_with_another_value(kind: str, data: st.DataObject) -> None:
    values = json.loads(json.dumps(yaml.safe_load(original(kind)), default=str))
    text = json.dumps(data.draw(changed(values)))  # JSON is YAML
    reads_or_refuses(LOADERS[kind], put(folder("recipes") / "recipe.yaml", text.encode()))


@fuzz("finetune.config.overrides", cost=25, kind=KINDS, data=st.data())
def test_damaged_recipes(kind: str, data: st.DataObject) -> None:
    reads_or_refuses(LOADERS[kind], put(folder("damaged") / "recipe.yaml", data.draw(damaged(original(kind)))))


@fuzz("finetune.config.overrides", text=TAGGED | st.text(max_size=20))
def test_texts_that_are_no_recipe(text: str) -> None:
    path = put(folder("texts") / "recipe.yaml", text.encode("utf-8", "surrogatepass"))
    for load in (captioner.load_recipe, load_sweep, rankers.load_recipe):
        reads_or_refuses(load, path)


@pytest.mark.parametrize("text", BOMBS)
def test_hostile_yaml_is_read_or_refused(text: str, tmp_path: Path) -> None:
    reads_or_refuses(read_yaml, put(tmp_path / "recipe.yaml", text.encode()), "recipe")


KEYS = st.sampled_from(["training.seed", "output", "data.split", "data.0.limit", "models.0.tune", "prompt", "lora"])
OVERRIDES = st.builds(
    "{}={}".format, KEYS | st.lists(TEXTS, max_size=4).map(".".join) | st.just("a." * 5000 + "a"), VALUES
)


@fuzz("finetune.config.overrides", cost=10, override=OVERRIDES | TEXTS)
def test_overrides(override: str) -> None:
    reads_or_refuses(apply_override, {"data": [{"limit": 1}, {}], "training": {"seed": 1}}, override)
    reads_or_refuses(captioner.load_recipe, RECIPES / "demo.yaml", [override])


def begun(name: str) -> tuple[Path, captioner.Recipe, dict[str, Any]]:
    root = folder(name)
    recipe = captioner.load_recipe(RECIPES / "demo.yaml", [f"output={root}"])
    (root / "checkpoints" / "checkpoint-1").mkdir(parents=True, exist_ok=True)
    return root, recipe, recipe.model_dump(mode="json")


@fuzz("finetune.runs.claim", cost=12, data=st.data())
def test_claims_of_runs(data: st.DataObject) -> None:
    root, recipe, values = begun("claim")
    claim = {"catalogue": "1234", "recipe": values, "init_from": {"adapter": "a", "sha256": "0"}}
    put(root / "recipe.json", data.draw(files(claim)))
    reads_or_refuses(lambda: is_finished(recipe, resume=True))
    reads_or_refuses(as_begun, recipe)
    reads_or_refuses(refuse_other_data, recipe)


@fuzz("finetune.runs.training_record", cost=12, data=st.data())
def test_records_of_trainings_as_recipes(data: st.DataObject) -> None:
    root, _, values = begun("trained")
    put(root / "training.json", data.draw(files({"recipe": values, "seed": 3})))
    reads_or_refuses(lambda: trained_recipe(read_training(root) or TrainingRecord(), "training.json"))


@fuzz("recommend.retrieval.run_folder", cost=12, data=st.data())
def test_claims_of_composed_runs(data: st.DataObject) -> None:
    recipe = composers.load_recipe(RECIPES / "composed" / "demo.yaml", [f"output={folder('composed')}"])
    run = ComposedRun(recipe.output)
    put(run.training, b"{}")
    put(run.recipe_file, data.draw(files({"recipe": recipe.model_dump(mode="json"), "data": "12"})))
    reads_or_refuses(run.recipe)
    reads_or_refuses(run.claim, recipe, [])


# What was reported: each ended in a traceback.


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("training.seed=4294967296", "training.seed: expected a number less than 4294967296"),
        ("data.split.seed=4294967296", "data.split.seed: expected a number less than 4294967296"),
        ("training.learning_rate=1e300", "training.learning_rate: expected at most 1e+30"),
        ("training.learning_rates.language=1e38", "language: expected at most 1e+30"),
        ('output="a\\0b"', "output: expected text, found '\\x00' in it"),
        ('prompt="\\ud800"', "prompt: expected text, found '\\ud800' in it"),
        ('data.folder="\\0"', "data.folder: expected text, found '\\x00' in it"),
        ("a." * 2000 + "b=3", "expected section.key=value"),
        ("training.seed=0x" + "f" * 5000, "more than 64 bits"),
    ],
)
@pytest.mark.parametrize("command", ["validate", "train", "prepare"])
def test_a_value_that_cannot_be_used_is_named(command: str, override: str, expected: str, tmp_path: Path) -> None:
    result = finetune(command, RECIPES / "demo.yaml", f"output={tmp_path / 'out'}", override)
    assert (result.exit_code, expected in result.stderr) == (2, True), result.output
    assert "Traceback" not in result.output
    assert result.stderr.startswith("error: ")


@pytest.mark.parametrize("seed", ["seed=4294967296", "models.10.learning_rate=1e300", 'output="\\0"'])
def test_the_same_of_recommenders(seed: str) -> None:
    result = CliRunner().invoke(app, ["recommend", str(RECIPES / "recommend" / "demo.yaml"), seed])
    assert (result.exit_code, result.stderr[:7]) == (2, "error: ")
