"""A recipe's `scoring`: what is made of the training captions, and what is refused before anything is trained."""

import json
from pathlib import Path

import places
import pytest
import yaml
from tiny import captioned, prepared, recipe, references, refused, write_csv

from finetune.config.recipe import load_recipe
from finetune.experiments.scoring_models import VOCABULARY, classifier_folder, measures_of, prepare_scoring
from finetune.runs.folder import RunFolder
from metrics import UserError

STANZA = str(places.STANZA)


def with_scoring(path: Path, **scoring: object) -> Path:
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"scoring": scoring}))
    return path


def folder_recipe(root: Path, **scoring: object) -> Path:
    write_csv(root / "table.csv", captioned(root, 30))
    columns = {"image": "file_name", "caption": "text", "category": "kind"}
    data = {"catalogue": "folder", "folder": str(root), "table": "table.csv", "columns": columns}
    return with_scoring(recipe(root, data), **scoring)


def test_the_catalogues_own_attributes_are_the_vocabulary(facad_recipe: Path) -> None:
    path = with_scoring(facad_recipe, stanza=STANZA, attributes="catalogue")
    prepared(path)
    out = path.parent / "out"
    prepare_scoring(load_recipe(path).scoring, RunFolder(out))
    texts = [text for record in references(path.parent, "train") for text in record["attributes"].values()]
    given = {word for text in texts for word in text.split(", ")}
    assert set(json.loads((out / VOCABULARY).read_text())["attributes"]) == given


def test_a_catalogue_without_attributes_has_none_to_give(tmp_path: Path) -> None:
    path = folder_recipe(tmp_path, stanza=STANZA, attributes="catalogue")
    prepared(path)
    with pytest.raises(UserError, match=r"scoring.attributes: catalogue: its training items have none"):
        prepare_scoring(load_recipe(path).scoring, RunFolder(tmp_path / "out"))


@pytest.mark.slow
def test_runs_on_the_same_references_share_a_classifier(tmp_path: Path) -> None:
    path = folder_recipe(tmp_path, classifier={"tiny": True, "epochs": 1})
    prepared(path)
    prepared(path, f"output={tmp_path / 'other'}")
    loaded = load_recipe(path)
    scoring, first = loaded.scoring, RunFolder(loaded.output)
    prepare_scoring(scoring, first)
    assert scoring.classifier is not None
    made = classifier_folder(scoring.classifier, first)
    assert (made / "model.safetensors").is_file()
    assert classifier_folder(scoring.classifier, RunFolder(tmp_path / "other")) == made
    assert classifier_folder(scoring.classifier.model_copy(update={"seed": 1}), first) != made
    absent = {measure.names[0] for measure in measures_of(scoring, first) if measure.absent() is not None}
    assert absent == {"SPICE", "MAP"}


@pytest.mark.parametrize(
    ("scoring", "message"),
    [
        ({"stanza": "nowhere"}, "nowhere: expected `en` or a folder with tokenizer.pt"),
        ({"classifier": {"tiny": True, "base": "bert-base-uncased"}}, "--tiny makes its own base"),
        ({"classifier": {"epoch": 3}}, "scoring.classifier.epoch: unknown key; did you mean 'epochs'?"),
    ],
)
def test_what_cannot_be_measured_is_refused_at_the_start(
    tmp_path: Path, scoring: dict[str, object], message: str
) -> None:
    assert message in refused("validate", folder_recipe(tmp_path, **scoring))
