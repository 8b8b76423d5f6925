"""What a model trained on several catalogues has seen of each."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny import finetune, lines, photo, prepared, write_csv
from tiny_models import write_recipe

from finetune import load_recipe
from finetune.data.mixture import Mixture, prepare_all


def loaded(recipe: Path, *overrides: str) -> Mixture:
    loaded = load_recipe(recipe, overrides)
    return prepare_all(loaded.catalogues, loaded.training.seed)


def two_folders(root: Path, one: list[dict[str, str]], two: list[dict[str, str]], **both: Any) -> Path:
    """A recipe with two folder catalogues, `one` and `two`, of these rows."""
    data = []
    for name, rows in (("one", one), ("two", two)):
        for number, row in enumerate(rows):
            photo(root / name / row["file_name"], (number * 9 % 256, 60, len(name) * 40))
        write_csv(root / name / "metadata.csv", rows)
        data.append({"catalogue": "folder", "folder": str(root / name), "name": name} | both)
    path = write_recipe(root, training={"epochs": 1}, decoding={"max_new_tokens": 4, "batch_size": 16})
    values = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(values | {"data": data}))
    return path


@pytest.mark.slow
def test_seen_refers_to_all_catalogues_and_siblings_to_their_own(tmp_path: Path) -> None:
    """Each test caption of `two` is in `one`'s training alone; both number their products alike."""
    one = [{"file_name": f"{number}.png", "text": f"thing {number}", "product": str(number)} for number in range(40)]
    columns = {"caption": "text", "product_id": "product"}
    both = {"columns": columns, "split": {"method": "published", "train": 0.5, "validation": 0.25}}
    recipe = two_folders(tmp_path, one, [row | {"text": f"other {row['text']}"} for row in one], **both)
    test = list(loaded(recipe).parts["two"].splits["test"]["file"])
    train = list(loaded(recipe).parts["one"].splits["train"]["file"])
    given = {file: f"thing {Path(source).stem}" for file, source in zip(test[:7], train, strict=False)}
    two = [row | {"text": given.get(row["file_name"], f"other {row['text']}")} for row in one]
    recipe = two_folders(tmp_path, one, two, **both)
    base = tmp_path / "base"

    assert f"{7 / 10:9.1%}  captions that are verbatim in training" in prepared(recipe)
    assert finetune("train", recipe).exit_code == 0
    for model, folder in ((base, "base-captions"), (tmp_path / "run", "captions")):
        out = tmp_path / folder / "captions.jsonl"
        options = ["--model", model, "--data", recipe, "--catalogue", "two", "--out", out]
        done = finetune("caption", *options)
        assert done.exit_code == 0, done.output
        assert {record["id"] for record in lines(out) if record["seen"]} == set(given)
        audit = json.loads((out.parent / "run.json").read_text())["leak_audit"]
        shares = {"captions_in_train": 0.7, "siblings_in_train": 0.0, "photos_in_train": 0.0}
        assert audit == shares | {"test_items": 10, "test_captions": 10}


@pytest.mark.slow
def test_a_model_of_one_catalogue_has_not_seen_the_other(tmp_path: Path) -> None:
    """The mixture's captions are in `two`'s training, but this model was trained on `one` alone."""
    one = [{"file_name": f"{number}.png", "text": f"thing {number}"} for number in range(20)]
    both = {"columns": {"caption": "text"}, "split": {"method": "published"}}
    recipe = two_folders(tmp_path, one, one, **both)
    values = yaml.safe_load(recipe.read_text())
    alone = tmp_path / "alone.yaml"
    alone.write_text(yaml.safe_dump(values | {"data": values["data"][0], "output": str(tmp_path / "alone")}))
    assert finetune("train", alone).exit_code == 0
    trained = {record["references"][0] for record in lines(tmp_path / "alone" / "trained-on.jsonl")}
    out = tmp_path / "captions.jsonl"
    arguments = ["--model", tmp_path / "alone", "--data", recipe, "--catalogue", "one", "--out", out]
    assert finetune("caption", *arguments, "--split", "test").exit_code == 0
    assert [record["seen"] for record in lines(out)] == [record["references"][0] in trained for record in lines(out)]
    assert not any(record["seen"] for record in lines(out))
