"""MAP and MAR by real Stanza, with the demo's own tiny models."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from places import ROOT
from typer.testing import CliRunner, Result

from metrics import CaptionRecord, UserError, score_captions
from metrics.__main__ import app
from metrics.measures.attributes.measure import Attributes
from metrics.measures.attributes.stanza_models import load_pipeline, signature
from metrics.measures.attributes.vocabulary import Vocabulary, read_vocabulary
from metrics.measures.attributes.worker_main import parse
from metrics.measures.rouge import RougeL

pytestmark = pytest.mark.torch

DEMO = ROOT / "finetune" / "assets" / "demo-stanza"
REFERENCES = ["Striped dress in linen.", "Striped dress in linen.", "Short, striped skirt with pockets."]


@pytest.fixture
def attributes(tmp_path: Path) -> Callable[..., Result]:
    """Run `lookbook attributes ... --out vocabulary.json`."""
    out = ["--out", str(tmp_path / "vocabulary.json")]
    return lambda *arguments: CliRunner().invoke(app, ["attributes", *map(str, arguments), *out])


def references_file(folder: Path, texts: list[str]) -> Path:
    path = folder / "references-train.jsonl"
    rows = [{"id": str(number), "references": [text]} for number, text in enumerate(texts)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_vocabulary_of_training_captions(attributes: Callable[..., Result], tmp_path: Path) -> None:
    result = attributes(references_file(tmp_path, REFERENCES), "--stanza", DEMO, "--minimum", 2)
    assert result.exit_code == 0, result.output
    assert "vocabulary.json: 3 attributes" in result.output
    vocabulary_file = read_vocabulary(tmp_path / "vocabulary.json")
    assert dict(vocabulary_file.attributes) == {"striped": 3, "dress": 2, "linen": 2}
    assert vocabulary_file.pipeline == signature(str(DEMO))
    assert vocabulary_file.source == {"file": "references-train.jsonl", "captions": 3, "distinct": 2, "minimum": 2}


def test_a_given_list_as_vocabulary(attributes: Callable[..., Result], tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("Linen\nv-neck\n")
    result = attributes("--list", listed, "--stanza", DEMO)
    assert result.exit_code == 0, result.output
    assert "1 of them contain a hyphen or a space, so that no lemma can equal them: v-neck" in result.output
    assert read_vocabulary(tmp_path / "vocabulary.json").attributes == {"linen": None, "v-neck": None}


def test_what_the_command_cannot_use_is_named(attributes: Callable[..., Result], tmp_path: Path) -> None:
    path = references_file(tmp_path, REFERENCES)
    for arguments, message in [
        ([], "expected either the training captions or --list FILE"),
        ([path, "--list", path], "expected either the training captions or --list FILE"),
        ([path, "--stanza", tmp_path / "no"], "no: expected `en` or a folder with tokenizer.pt, pos.pt, lemma.pt"),
        ([path, "--stanza", DEMO, "--minimum", 50], "no lemma occurs 50 times in its 3 captions"),
    ]:
        result = attributes(*arguments)
        assert (result.exit_code, message in result.output) == (2, True), result.output
    path.write_text('{"id": "7", "caption": "a dress"}\n')
    assert "id '7' has no \"references\"" in attributes(path, "--stanza", DEMO).output


def vocabulary(*words: str) -> Vocabulary:
    return Vocabulary(dict.fromkeys(words, 10), signature(str(DEMO)))


def test_scores_through_the_suite() -> None:
    records = [
        CaptionRecord("1", "Striped skirt in linen.", references=("Striped dress in linen.", "Short dress in linen.")),
        CaptionRecord("2", "Linen dress with a hood.", references=("Dress with pockets.",)),
        CaptionRecord("3", "Soft dress.", references=("Sleeves.",)),
        CaptionRecord("4", references=("Linen dress.",)),
    ]
    words = vocabulary("striped", "skirt", "linen", "dress", "short", "pocket", "hood")
    evaluation = score_captions(
        [record for record in records if record.caption], records, [Attributes(words, str(DEMO))]
    )
    scores = evaluation.results[0].scores["all"]
    # 1: {striped, skirt, linen} against {striped, dress, linen, short}; 2: {linen, dress, hood} against {dress, pocket};
    # 3: no reference attribute, left out; 4: no caption.
    precision, recall = np.mean([2 / 3, 1 / 3, 0]), np.mean([2 / 4, 1 / 2, 0])
    expected = [precision, recall, 2 * precision * recall / (precision + recall)]
    assert [scores[name].value for name in ("MAP", "MAR", "Attr-F1")] == pytest.approx(expected)
    assert [bool(np.isnan(value)) for value in scores["MAP"].per_item] == [False, False, True, False]
    assert f"tok:stanza-{signature(str(DEMO))}|" in scores["MAP"].signature
    assert f"vocabulary:7-{words.signature[2:]}" in scores["MAP"].signature
    low, high = scores["Attr-F1"].interval
    assert 0 <= low <= scores["Attr-F1"].value <= high <= 1
    details = evaluation.results[0].details["MAP"]
    assert (details["vocabulary"], details["left_out"]) == (7, 1)
    assert details["never_produced"] == ["pocket", "short"]
    assert details["hallucinated"] == [{"attribute": word, "count": 1} for word in ("hood", "linen", "skirt")]


def test_a_vocabulary_of_other_models_is_refused_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    record = CaptionRecord("1", "a dress", references=("a dress",))
    other = Vocabulary({"dress": 10}, "1.0.0-other")
    monkeypatch.setattr(RougeL, "measure", lambda *_: pytest.fail("a measure ran"))
    with pytest.raises(UserError, match=rf"made by Stanza 1.0.0-other, but .* is {signature(str(DEMO))}"):
        score_captions([record], measures=[RougeL(), Attributes(other, str(DEMO))])


def test_a_vocabulary_that_no_reference_has_is_refused() -> None:
    record = CaptionRecord("1", "a dress", references=("a dress",))
    with pytest.raises(UserError, match="no reference has one of the vocabulary's 1 attributes"):
        score_captions([record], measures=[Attributes(vocabulary("hem"), str(DEMO))])


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"nonsense",
        lambda _: b"",
        lambda whole: whole[: len(whole) // 2],
        lambda whole: bytes(len(whole)),
        lambda _: (DEMO / "lemma.pt").read_bytes(),
    ],
    ids=["nonsense", "empty", "cut off", "zeros", "another model"],
)
def test_broken_models_are_named(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    folder = tmp_path / "models"
    shutil.copytree(DEMO, folder)
    (folder / "pos.pt").write_bytes(damage((DEMO / "pos.pt").read_bytes()))
    with pytest.raises(UserError, match=r"models: Stanza cannot load its models"):
        load_pipeline(str(folder))


def test_what_is_missing_is_said_and_nothing_is_downloaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STANZA_RESOURCES_DIR", str(tmp_path))
    assert "stanza.download('en')" in str(Attributes(vocabulary("hem")).absent())
    assert Attributes(vocabulary("hem"), str(DEMO)).absent() is None
    monkeypatch.setattr("metrics.measures.attributes.stanza_models.find_spec", lambda name: None)
    for source in ("en", str(DEMO)):
        assert "pip install '.[measures]'" in str(Attributes(vocabulary("hem"), source).absent())


@pytest.mark.processes
@pytest.mark.slow
def test_its_models_are_looked_for_where_stanza_keeps_them_and_nothing_is_loaded(tmp_path: Path) -> None:
    code = """import sys
from metrics.measures.attributes.stanza_models import _english_folder, absent
said, folder = absent("en"), _english_folder()
assert not {"torch", "stanza"} & sys.modules.keys()
import stanza.resources.common
assert str(folder) == stanza.resources.common.DEFAULT_MODEL_DIR
print(said)"""
    for variables in ({}, {"STANZA_RESOURCES_DIR": str(tmp_path / "models")}):
        environment = os.environ | {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
        environment.pop("STANZA_RESOURCES_DIR", None)
        command = [sys.executable, "-c", code]
        reason = subprocess.check_output(command, cwd=ROOT, env=environment | variables, text=True)
        assert "stanza.download('en')" in reason


def test_stanzas_own_english_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    packages = {"tokenize": "x", "pos": "x_charlm", "lemma": "x"}
    listed = {name: {package: {}} for name, package in packages.items()}
    english = {"lang_name": "English", "default_processors": packages, "packages": {"default": packages}, **listed}
    (tmp_path / "resources.json").write_text(json.dumps({"en": english}))
    for (name, package), file in zip(packages.items(), ("tokenizer.pt", "pos.pt", "lemma.pt"), strict=True):
        (tmp_path / "en" / name).mkdir(parents=True)
        shutil.copy(DEMO / file, tmp_path / "en" / name / f"{package}.pt")
    monkeypatch.setenv("STANZA_RESOURCES_DIR", str(tmp_path))
    assert Attributes(vocabulary("hem")).absent() is None
    assert parse(load_pipeline("en"), ["a striped dress"]) == [["striped", "dress"]]
    signature.cache_clear()
    assert signature("en") == signature(str(DEMO))
    signature.cache_clear()
