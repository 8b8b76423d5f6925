"""Recipes: what they may say, how they are overridden, and what is said of wrong ones."""

import json
from pathlib import Path
from typing import get_args

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from places import RECIPES
from tiny import recipe, refused

from finetune.config.catalogues import CatalogueConfig
from finetune.config.recipe import Recipe, load_recipe, parse_recipe
from metrics.common.errors import UserError

KNOWN = ", ".join(
    get_args(kind.model_fields["catalogue"].annotation)[0] for kind in get_args(get_args(CatalogueConfig)[0])
)
MINIMAL = {"output": "out", "data": {"catalogue": "hm", "folder": "hm"}, "model": {"base": "base"}}
PLAIN_TEXT = st.text(st.characters(codec="ascii", min_codepoint=32, max_codepoint=126))


@pytest.fixture
def minimal(tmp_path: Path) -> Path:
    path = tmp_path / "minimal.yaml"
    path.write_text(yaml.safe_dump(MINIMAL))
    return path


def errors_of(values: dict[str, object]) -> list[str]:
    with pytest.raises(UserError) as caught:
        parse_recipe(values, "r.yaml")
    first, *rest = str(caught.value).splitlines()
    assert first == f"r.yaml: {len(rest)} error(s) in the recipe"
    return sorted(line.strip() for line in rest)


def test_published_hyper_parameters_are_the_defaults() -> None:
    made = parse_recipe(MINIMAL, "r.yaml")
    assert (made.lora.rank, made.lora.alpha, made.lora.dropout, made.lora.rslora) == (32, 64, 0.05, True)
    training = made.training
    assert (training.learning_rate, training.minimum_learning_rate, training.weight_decay) == (1e-4, 1e-6, 1e-6)
    assert (training.batch_size, training.micro_batch_size, training.epochs) == (16, 4, 10)
    assert (training.patience, training.seed, made.model.dtype) == (3, 42, "bfloat16")
    assert (made.decoding.beams, made.decoding.max_new_tokens) == (1, 100)
    assert made.tune.model_dump() == {"vision": "frozen", "connector": "frozen", "language": "lora"}
    assert made.augmentation.model_dump() == {"flip": 0, "crop": 0}


def test_catalogues_in_the_kaggle_layout_default_to_the_published_split() -> None:
    methods = [
        parse_recipe(MINIMAL | {"data": {"catalogue": name, "folder": "x"}}, "r").data.split.method
        for name in ("hm", "demo", "folder")
    ]
    assert methods == ["published", "published", "product"]


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.name)
def test_every_recipe_in_the_folder_parses(path: Path) -> None:
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert load_recipe(path).model.base == values["model"]["base"]


@given(st.floats(min_value=1e-9, max_value=1e3))
def test_an_override_is_the_number_it_says(rate: float) -> None:
    made = load_recipe(RECIPES / "demo.yaml", [f"training.learning_rate={rate!r}"])
    assert made.training.learning_rate == rate


@given(PLAIN_TEXT)
def test_an_override_in_quotes_is_the_text_it_says(text: str) -> None:
    assert load_recipe(RECIPES / "demo.yaml", [f"prompt={json.dumps(text + '.')}"]).prompt == text + "."


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_the_last_override_wins_and_leaves_the_rest(first: int, last: int) -> None:
    plain = load_recipe(RECIPES / "demo.yaml")
    made = load_recipe(RECIPES / "demo.yaml", [f"data.articles={first}", f"data.articles={last}"])
    assert made == plain.model_copy(update={"data": plain.data.model_copy(update={"articles": last})})


@given(st.one_of(PLAIN_TEXT, PLAIN_TEXT.map("training.seed=".__add__), PLAIN_TEXT.map("data.split.seed=".__add__)))
def test_any_override_gives_a_recipe_or_a_message(override: str) -> None:
    try:
        made = load_recipe(RECIPES / "demo.yaml", [override])
    except UserError as error:
        assert str(error)
    else:
        assert isinstance(made, Recipe)


def test_scientific_notation_without_a_point_is_a_number(minimal: Path) -> None:
    assert load_recipe(minimal, ["training.learning_rate=5e-5"]).training.learning_rate == 0.00005


def test_an_override_fills_a_section_the_recipe_lacks_or_leaves_empty(minimal: Path) -> None:
    minimal.write_text(minimal.read_text() + "lora:\n")
    made = load_recipe(minimal, ["lora.rank=8", "data.split.train=0.5", "data.limit=null"])
    assert (made.lora.rank, made.data.split.train, made.data.limit) == (8, 0.5, None)


def test_all_errors_are_in_one_message_with_the_nearest_key() -> None:
    values = MINIMAL | {
        "prmpt": "",
        "zzz": 1,
        "training": {"learning_rat": 1, "epochs": "many", "batch_size": 0},
        "model": {"base": "b", "family": "blip3", "tiny": {"hiden_size": 1}},
        "tune": {"vision": "warm"},
        "lora": {"dropout": 1.5},
    }
    errors = errors_of(values)
    assert [line.partition(": ")[0] for line in errors] == [
        "lora.dropout",
        "model.family",
        "model.tiny.hiden_size",
        "prmpt",
        "training.batch_size",
        "training.epochs",
        "training.learning_rat",
        "tune.vision",
        "zzz",
    ]
    assert "model.tiny.hiden_size: unknown key; did you mean 'hidden_size'?" in errors
    assert "prmpt: unknown key; did you mean 'prompt'?" in errors
    assert "training.learning_rat: unknown key; did you mean 'learning_rate'?" in errors
    assert errors[-1].startswith("zzz: unknown key; known: output, prompt, data, model")
    assert "'frozen', 'lora' or 'full'" in errors[-2]
    assert errors[5].endswith("found 'many'")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"catalogue": "folder", "folder": "x", "tabel": "t"}, "data.tabel: unknown key; did you mean 'table'?"),
        (
            {"catalogue": "folder", "folder": "x", "columns": {"captoin": "t"}},
            "data.columns.captoin: unknown key; did you mean 'caption'?",
        ),
        ({"catalogue": "demo", "article": 5}, "data.article: unknown key; did you mean 'articles'?"),
        (
            {"catalogue": "hm", "folder": "x", "split": {"metod": "product"}},
            "data.split.metod: unknown key; did you mean 'method'?",
        ),
        ({"catalogue": "hm", "folder": 3}, "data.folder: expected text, found 3; write it in quotes"),
        ({"catalogue": "folder", "folder": 3}, "data.folder: expected text, found 3; write it in quotes"),
        ({"catalogue": "hm"}, "data.folder: missing; the recipe must give it"),
        (
            {"catalogue": "hmm", "folder": "x"},
            f"data.catalogue: expected one of {KNOWN}; found hmm; did you mean 'hm'?",
        ),
        ({"folder": "x"}, f"data.catalogue: expected one of {KNOWN}; found nothing"),
    ],
)
def test_errors_of_a_catalogue_name_the_key_as_the_recipe_writes_it(data: dict[str, object], expected: str) -> None:
    assert errors_of(MINIMAL | {"data": data}) == [expected]


def test_a_folder_catalogue_is_a_folder_or_a_dataset_not_both() -> None:
    both = {"catalogue": "folder", "folder": "x", "dataset": "y"}
    for data in (both, {"catalogue": "folder"}):
        (error,) = errors_of(MINIMAL | {"data": data})
        assert "give either folder (of images) or dataset (a datasets id)" in error


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lora: 3", "lora: expected a section with keys, found 3"),
        ("lora: []", "lora: expected a section with keys, found []"),
        ("lora:", "lora: expected a section with keys, found no value; write one, or leave the key out"),
        ("model:", "model: expected a section with keys, found no value; write one, or leave the key out"),
        ("data: 3", "data: expected a section with keys, found 3"),
        ("output: 3", "output: expected a path, found 3"),
        ("training: {epochs: many}", "training.epochs: expected a number, found 'many'"),
        ("training: {epochs: 2001-01-01}", "training.epochs: expected a number, found 2001-01-01"),
        ("training: {epochs: .nan}", "training.epochs: expected a finite number, found nan"),
        ("training: {batch_size: many}", "training.batch_size: expected a whole number, found 'many'"),
        ("training: {batch_size: 1.5}", "training.batch_size: expected a whole number, found 1.5"),
        (
            "training: {batch_size: }",
            "training.batch_size: expected a whole number, found no value; write one, or leave the key out",
        ),
        ("lora: {dropout: 2}", "lora.dropout: expected a number less than or equal to 1, found 2"),
        ("lora: {rslora: maybe}", "lora.rslora: expected true or false, found 'maybe'"),
        ("prompt: 2001-01-01", "prompt: expected text, found 2001-01-01; write it in quotes"),
        ("prompt: no", "prompt: expected text, found false; write it in quotes"),
        ("scoring: {attributes: 3}", "scoring.attributes: expected catalogue or the path of a file, found 3"),
        ("evaluation: {measures: CIDEr}", "evaluation.measures: expected a list, found 'CIDEr'"),
        ("evaluation: {measures: []}", "evaluation.measures: expected at least one entry, found []"),
        ("evaluation: {measures: [3]}", "evaluation.measures.0: expected text, found 3; write it in quotes"),
        ("3: 4", "3: unknown key; known: output, prompt, data"),
    ],
)
def test_a_value_of_another_kind_is_a_sentence(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "wrong.yaml"
    values = {key: value for key, value in MINIMAL.items() if not text.startswith(f"{key}:")}
    path.write_text(f"{yaml.safe_dump(values)}{text}\n")
    first, line = refused("validate", path).splitlines()
    assert first == f"{path}: 1 error(s) in the recipe"
    assert line.strip().startswith(expected)


def test_the_key_on_is_text_in_files_and_overrides(minimal: Path) -> None:
    assert load_recipe(minimal, ["labels={on: prompt}"]).labels.on == "prompt"
    minimal.write_text(minimal.read_text() + "labels:\n  on: all\n")
    assert load_recipe(minimal).labels.on == "all"


@pytest.mark.parametrize("overrides", [["judging.every=3", "evaluation.every=4"], ["evaluation.every=4", "judging={}"]])
def test_the_old_and_the_new_name_of_a_section_are_refused_together(minimal: Path, overrides: list[str]) -> None:
    expected = "overrides: judging is the old name of evaluation; found both, give one of them"
    assert refused("validate", minimal, *overrides) == expected
    assert load_recipe(minimal, ["judging.every=3", "judging.captions=4"]).evaluation.every == 3


def test_missing_sections_are_named() -> None:
    assert errors_of({}) == [f"{key}: missing; the recipe must give it" for key in ("data", "model", "output")]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("training", "expected section.key=value"),
        ("=3", "expected section.key=value"),
        ("training..epochs=3", "expected section.key=value"),
        ("output.x=3", "output is a value, not a section"),
        ("training.epochs=[3", "not valid YAML"),
        ("training.seed=2024-99-99", "not valid YAML"),
        ("training.epoch=3", "did you mean 'epochs'?"),
        ("training.epochs=.nan", "training.epochs"),
        ("training.learning_rate=-1", "greater than 0"),
        (
            "training.seed=" + "[" * 3000,
            "override training.seed=...: the value is not valid YAML: lists or objects nested too",
        ),
    ],
)
def test_a_wrong_override_is_refused(minimal: Path, override: str, expected: str) -> None:
    assert expected in refused("prepare", minimal, override)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("output: [", "not valid YAML"),
        ("- output", "expected the keys of the recipe, found a list"),
        ("", "the file is empty; expected the keys of the recipe"),
        ("# output: a", "the file is empty; expected the keys of the recipe"),
        ("output", "expected the keys of the recipe, found the value output"),
        ("output: a\noutput: b\n", "key 'output' occurs twice"),
        ("lora: {rank: 1, rank: 2}\n", "key 'rank' occurs twice"),
        ("output: " + "[" * 3000 + "]" * 3000, "not valid YAML: lists or objects nested too deeply"),
    ],
)
@pytest.mark.parametrize("command", ["prepare", "validate", "train"])
def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, command: str, text: str, expected: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    message = refused(command, path)
    assert message.startswith(f"{path}: ")
    assert expected in message


def test_a_missing_recipe_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    path = recipe(tmp_path, MINIMAL["data"])  # type: ignore[arg-type]
    wanted = path.with_name("recipes.yaml")
    assert refused("validate", wanted) == f"{wanted}: no such recipe; did you mean {path}?"
    unlike = path.with_name("missing.yaml")
    assert refused("validate", unlike) == f"{unlike}: no such recipe"


def test_a_recipe_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes("output: Prêt".encode("latin-1"))
    assert "cannot read the recipe" in refused("prepare", path)


FOLDER = {"catalogue": "folder", "folder": "x"}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ([FOLDER, FOLDER], "data: entries 0 and 1 are both called folder; give one a name of its own"),
        ([FOLDER | {"name": "a"}, FOLDER | {"name": "A"}], "data: entries 0 and 1 are both called A"),
        ([FOLDER, FOLDER | {"name": "model"}], "data: entry 1 is called model, as a folder of every run"),
        ([FOLDER, FOLDER | {"name": "a/b"}], "data.1.name: expected text that matches ^[A-Za-z0-9_-]+$, found 'a/b'"),
        ([FOLDER, FOLDER | {"name": "a", "tabel": "t"}], "data.1.tabel: unknown key; did you mean 'table'?"),
        (
            [FOLDER, FOLDER | {"columns": {"captoin": "t"}}],
            "data.1.columns.captoin: unknown key; did you mean 'caption'?",
        ),
        ([FOLDER, {"catalogue": "hm"}], "data.1.folder: missing; the recipe must give it"),
        (
            [FOLDER, {"catalogue": "hm", "folder": "x", "weight": 0}],
            "data.1.weight: expected a number greater than 0, found 0",
        ),
        ([FOLDER, {"folder": "x"}], "data.1.catalogue: expected one of "),
        ([{"catalogue": "hmm"}, FOLDER], "data.0.catalogue: expected one of "),
        ([FOLDER, [FOLDER, FOLDER]], "data.1: expected a section with keys, found [{"),
        ([FOLDER], "data: a list mixes two catalogues or more"),
        ([], "data: a list mixes two catalogues or more"),
        ("x", "data: expected a section with keys, found 'x'"),
        (FOLDER | {"weight": 2}, "data: weight: a single catalogue has none"),
    ],
)
def test_errors_of_a_list_name_their_entry(data: object, expected: str) -> None:
    (error,) = errors_of(MINIMAL | {"data": data})
    assert error.startswith(expected)


def test_all_errors_of_all_entries_are_in_one_message() -> None:
    data = [FOLDER | {"tabel": "t"}, {"catalogue": "hm", "weight": -1}]
    keys = [line.partition(":")[0] for line in errors_of(MINIMAL | {"data": data, "prmpt": ""})]
    assert keys == ["data.0.tabel", "data.1.folder", "data.1.weight", "prmpt"]


@pytest.mark.parametrize("modules", ["nonsense", [1], {"language": "all-linear"}])
def test_modules_that_are_none_are_one_error(modules: object) -> None:
    expected = "lora.modules: expected query-value, all-linear or a list of layer names, found"
    assert errors_of(MINIMAL | {"lora": {"modules": modules}}) == [f"{expected} {modules!r}"]


def test_a_secret_in_a_recipe_is_refused_before_anything_records_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", "5ec2e7-of-the-shop")
    path = recipe(tmp_path, {"catalogue": "hm", "folder": "hm"}, output="runs/$SHOP_PASSWORD")
    message = refused("validate", path)
    assert "output: contains the secret in $SHOP_PASSWORD, and records and reports keep recipes" in message
    assert "5ec2e7" not in message


@pytest.mark.parametrize("language", ["en", "de", "pt-BR"])
def test_the_language_of_captions_decides_nothing_about_a_run(language: str) -> None:
    assert parse_recipe(MINIMAL | {"language": language}, "r.yaml").language == language
    assert any("language" in line for line in errors_of(MINIMAL | {"language": f"{language}!"}))
