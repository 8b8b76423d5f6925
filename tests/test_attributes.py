"""Attributes by real Stanza: the demo's own tiny models, and the small real ones where STANZA_DIR names their folder."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from typer.testing import CliRunner, Result

from finetune.demo.stanza import accuracy
from finetune.demo.tagging import captions, tagged, written
from metrics import CaptionRecord, UserError, score_captions
from metrics.__main__ import app
from metrics.attributes import Attributes
from metrics.contests import one_at_a_time
from metrics.lemma_worker import parse
from metrics.lemmas import Lemmas
from metrics.made_up import descriptions
from metrics.rouge import RougeL
from metrics.stanza_models import load_pipeline, signature
from metrics.vocabulary import Vocabulary, read_vocabulary

ROOT = Path(__file__).parent.parent
DEMO = ROOT / "finetune" / "demo" / "stanza"
MODELS = [str(DEMO), *filter(None, [os.environ.get("STANZA_DIR")])]
REFERENCES = ["Striped dress in linen.", "Striped dress in linen.", "Short, striped skirt with pockets."]
ODD = [
    *("", " ", "\n", "-", "...", "!?", "\x00", "😀", "👩‍👩‍👧 dress", "שלום עולם", "\u202edress", "\ufeff", "\u200b", "日本語"),
    *("a\n\ndress\n\n", "\n\nskirt", "a\u2028b", "\ud800", "İstanbul ﬁne", "<PAD>", "http://a.b/c", "1,000 3/4", "x" * 3000),
]  # fmt: skip


@pytest.fixture(params=MODELS, ids=lambda folder: Path(folder).name)
def models(request: pytest.FixtureRequest) -> str:
    """Each set of models in its turn."""
    return str(request.param)


@pytest.fixture
def attributes(tmp_path: Path) -> Callable[..., Result]:
    """Run `python -m metrics attributes ... --out vocabulary.json`."""
    out = ["--out", str(tmp_path / "vocabulary.json")]
    return lambda *arguments: CliRunner().invoke(app, ["attributes", *map(str, arguments), *out])


def references_file(folder: Path, texts: list[str]) -> Path:
    path = folder / "references-train.jsonl"
    rows = [{"id": str(number), "references": [text]} for number, text in enumerate(texts)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_demo_models_are_small_and_hold_weights_alone() -> None:
    paths = list(DEMO.glob("*.pt"))
    assert {path.name for path in paths} == {"tokenizer.pt", "pos.pt", "lemma.pt"}
    assert sum(path.stat().st_size for path in paths) <= 2_000_000
    for path in paths:
        torch.load(path, map_location="cpu", weights_only=True)
    made = json.loads((DEMO / "made.json").read_text())
    assert made["command"].startswith("python -m finetune make-demo-stanza")
    assert {"stanza", "torch"} <= made["versions"].keys()


@pytest.mark.parametrize("damaged", [0.0, 1.0])
def test_they_are_right_on_captions_they_never_saw(damaged: float) -> None:
    found = accuracy(DEMO, captions(150, 77, damaged))
    assert min(found["cut"], found["tags"], found["lemmas"]) >= 0.99


def test_the_grammar_knows_its_words() -> None:
    words = tagged("A-line skirt with front pockets, pleated. Buttons down the front.")
    assert [(word.upos, word.lemma) for word in words if word.upos in {"NOUN", "ADJ"}] == [
        *[("NOUN", "a"), ("NOUN", "line"), ("NOUN", "skirt"), ("ADJ", "front"), ("NOUN", "pocket"), ("ADJ", "pleated")],
        *[("NOUN", "button"), ("NOUN", "front")],
    ]
    assert written(words) == "a line skirt with front pockets, pleated. buttons down the front."
    with pytest.raises(KeyError, match="spaceship"):
        tagged("a spaceship")


def test_their_command_makes_them(tmp_path: Path) -> None:
    from finetune.__main__ import app as finetune

    arguments = ["make-demo-stanza", str(tmp_path / "models"), "--captions", "60", "--steps", "100"]
    result = CliRunner().invoke(finetune, arguments)
    assert result.exit_code == 0, result.output
    assert {path.name for path in DEMO.iterdir()} == {path.name for path in (tmp_path / "models").iterdir()}
    made = json.loads((tmp_path / "models" / "made.json").read_text())
    assert made.keys() == json.loads((DEMO / "made.json").read_text()).keys()
    assert parse(load_pipeline(str(tmp_path / "models")), ["a dress"])


def test_a_vocabulary_of_training_captions(attributes: Callable[..., Result], tmp_path: Path) -> None:
    result = attributes(references_file(tmp_path, REFERENCES), "--stanza", DEMO, "--minimum", 2)
    assert result.exit_code == 0, result.output
    assert "vocabulary.json: 3 attributes" in result.output
    found = read_vocabulary(tmp_path / "vocabulary.json")
    assert dict(found.attributes) == {"striped": 3, "dress": 2, "linen": 2}
    assert found.pipeline == signature(str(DEMO))
    assert found.source == {"file": "references-train.jsonl", "captions": 3, "distinct": 2, "minimum": 2}


def test_a_given_list_as_vocabulary(attributes: Callable[..., Result], tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("Linen\nv-neck\n")
    result = attributes("--list", listed, "--stanza", DEMO)
    assert result.exit_code == 0, result.output
    assert "1 of them hold a hyphen or a space, so that no lemma can equal them: v-neck" in result.output
    assert read_vocabulary(tmp_path / "vocabulary.json").attributes == {"linen": None, "v-neck": None}


def test_what_the_command_cannot_use_is_named(attributes: Callable[..., Result], tmp_path: Path) -> None:
    path = references_file(tmp_path, REFERENCES)
    for arguments, says in [
        ([], "expected either the training captions or --list FILE"),
        ([path, "--list", path], "expected either the training captions or --list FILE"),
        ([path, "--stanza", tmp_path / "no"], "no: expected `en` or a folder with tokenizer.pt, pos.pt, lemma.pt"),
        ([path, "--stanza", DEMO, "--minimum", 50], "no lemma stands 50 times in its 3 captions"),
    ]:
        result = attributes(*arguments)
        assert (result.exit_code, says in result.output) == (2, True), result.output
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


def test_broken_models_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    shutil.copytree(DEMO, folder)
    (folder / "pos.pt").write_bytes(b"nonsense")
    with pytest.raises(UserError, match=r"models: Stanza cannot load its models"):
        load_pipeline(str(folder))


def test_what_is_missing_is_said_and_nothing_is_downloaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STANZA_RESOURCES_DIR", str(tmp_path))
    assert "stanza.download('en')" in str(Attributes(vocabulary("hem")).absent())
    assert Attributes(vocabulary("hem"), str(DEMO)).absent() is None
    monkeypatch.setattr("metrics.stanza_models.find_spec", lambda name: None)
    for source in ("en", str(DEMO)):
        assert "pip install '.[measures]'" in str(Attributes(vocabulary("hem"), source).absent())


def test_its_models_are_looked_for_where_stanza_keeps_them_and_nothing_is_loaded(tmp_path: Path) -> None:
    code = """import sys
from metrics.stanza_models import _english_folder, absent
said, folder = absent("en"), _english_folder()
assert not {"torch", "stanza"} & sys.modules.keys()
import stanza.resources.common
assert str(folder) == stanza.resources.common.DEFAULT_MODEL_DIR
print(said)"""
    for told in ({}, {"STANZA_RESOURCES_DIR": str(tmp_path / "models")}):
        environment = os.environ | {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
        environment.pop("STANZA_RESOURCES_DIR", None)
        command = [sys.executable, "-c", code]
        said = subprocess.check_output(command, cwd=ROOT, env=environment | told, text=True)
        assert "stanza.download('en')" in said


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


def test_a_batch_gives_what_each_caption_gives_alone(models: str) -> None:
    rng = random.Random(1)  # noqa: S311
    shop = descriptions(200 if models == str(DEMO) else 400)
    words = [*ODD, "dress", "in", "soft", "cotton", "pockets", ".", ",", "and", "the", "Top-Front"]
    jumbled = ["".join(rng.choice(words) + rng.choice(["", " "]) for _ in range(rng.randrange(9))) for _ in range(80)]
    given = list(dict.fromkeys([*ODD, *jumbled, *shop, *map(written, captions(60, 3, 0.5))]))
    together = Lemmas(models).of(given)
    assert [together[caption] for caption in given] == one_at_a_time(given, models)


def test_a_caption_of_ten_thousand_words() -> None:
    caption = "striped dress " * 5_000
    assert len(Lemmas(str(DEMO)).of([caption, "a dress"])[caption]) >= 9_900


@pytest.fixture
def two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metrics.lemma_processes.cores", lambda: 2)
    monkeypatch.setattr("metrics.lemma_processes._CAPTIONS_A_PROCESS", 20)
    monkeypatch.setattr("metrics.lemma_processes._CHUNK_CAPTIONS", 16)
    monkeypatch.setattr("metrics.lemma_processes._has_gpu", lambda: False)


def test_several_processes_give_the_same_as_one_caption_at_a_time(two_processes: None) -> None:
    given = [*descriptions(100), *ODD]
    assert [Lemmas(str(DEMO)).of(given)[caption] for caption in given] == one_at_a_time(given, str(DEMO))
    assert not children()


def test_nothing_is_parsed_twice() -> None:
    given = descriptions(50)
    first, again = Lemmas(str(DEMO)), Lemmas(str(DEMO))
    found = first.of(given)
    shouted = [f"  {caption}\n".upper() for caption in given]
    assert list(again.of(shouted).values()) == list(found.values())
    assert (first.parsed, first.cached) == (20, 0)  # 41% of 50, rounded
    assert (again.parsed, again.cached) == (0, 20)


def test_a_process_that_dies_ends_in_a_message(two_processes: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metrics.lemma_processes._Worker.parse", killing(signal.SIGKILL))
    with pytest.raises(UserError, match="a process of Stanza ended with exit code -9"):
        Lemmas(str(DEMO)).of(descriptions(100))
    assert not children()


def test_a_process_that_hangs_ends_in_a_message(two_processes: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metrics.lemma_processes._LOADING_SECONDS", 2)
    monkeypatch.setattr("metrics.lemma_processes._Worker.parse", killing(signal.SIGSTOP))
    with pytest.raises(UserError, match=r"a process of Stanza gave no answer for \d+ s; .* run it again"):
        Lemmas(str(DEMO)).of(descriptions(100))
    assert not children()


def killing(number: int) -> Callable[..., Any]:
    from metrics.lemma_processes import _Worker

    parse_chunk = _Worker.parse

    def parse_after_death(worker: _Worker, chunk: list[str]) -> list[list[str]]:
        worker.process.send_signal(number)
        return parse_chunk(worker, chunk)

    return parse_after_death


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whatever_ends_the_command_ends_its_processes(number: int, tmp_path: Path) -> None:
    path = references_file(tmp_path, descriptions(6000, share=1.0))
    code = "import metrics.lemma_processes as p; p.cores = lambda: 2; p._has_gpu = lambda: False\n"
    code += "from metrics.__main__ import app; app()"
    command = [sys.executable, "-c", code, "attributes", str(path), "--stanza", str(DEMO), "--out", str(tmp_path / "v")]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    started: list[psutil.Process] = []
    deadline = time.monotonic() + 120
    while len(started) < 2:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
        started = psutil.Process(process.pid).children(recursive=True)
    time.sleep(0.5)
    process.send_signal(number)
    assert process.wait(60) != 0
    _, alive = psutil.wait_procs(started, timeout=30)
    assert not alive
    assert not (tmp_path / "v").exists()


def children() -> list[psutil.Process]:
    return [one for one in psutil.Process().children(recursive=True) if "metrics.lemma_worker" in one.cmdline()]
