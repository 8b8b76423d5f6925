"""The demo's own Stanza models: small, right on its grammar, and made again by their command."""

import json
from pathlib import Path

import pytest
import torch
from places import ROOT
from typer.testing import CliRunner

from finetune.experiments.demo_stanza import accuracy
from finetune.experiments.demo_tagging import captions, tagged, written
from metrics.measures.attributes.stanza_models import load_pipeline
from metrics.measures.attributes.worker_main import parse

DEMO = ROOT / "finetune" / "assets" / "demo-stanza"


def test_the_demo_models_are_small_and_only_weights() -> None:
    paths = list(DEMO.glob("*.pt"))
    assert {path.name for path in paths} == {"tokenizer.pt", "pos.pt", "lemma.pt"}
    assert sum(path.stat().st_size for path in paths) <= 2_000_000
    for path in paths:
        torch.load(path, map_location="cpu", weights_only=True)
    made = json.loads((DEMO / "made.json").read_text())
    assert made["command"].startswith("python -m finetune make-demo-stanza")
    assert {"stanza", "torch"} <= made["versions"].keys()


@pytest.mark.slow
@pytest.mark.parametrize("damaged", [0.0, 1.0])
def test_they_are_right_on_captions_they_never_saw(damaged: float) -> None:
    shares = accuracy(DEMO, captions(150, 77, damaged))
    assert min(shares["cut"], shares["tags"], shares["lemmas"]) >= 0.99


def test_the_grammar_knows_its_words() -> None:
    words = tagged("A-line skirt with front pockets, pleated. Buttons down the front.")
    assert [(word.upos, word.lemma) for word in words if word.upos in {"NOUN", "ADJ"}] == [
        *[("NOUN", "a"), ("NOUN", "line"), ("NOUN", "skirt"), ("ADJ", "front"), ("NOUN", "pocket"), ("ADJ", "pleated")],
        *[("NOUN", "button"), ("NOUN", "front")],
    ]
    assert written(words) == "a line skirt with front pockets, pleated. buttons down the front."
    with pytest.raises(KeyError, match="spaceship"):
        tagged("a spaceship")


@pytest.mark.processes
@pytest.mark.slow
def test_their_command_makes_them(tmp_path: Path) -> None:
    from finetune.__main__ import app as finetune

    arguments = ["make-demo-stanza", str(tmp_path / "models"), "--captions", "50", "--steps", "100"]
    result = CliRunner().invoke(finetune, arguments)
    assert result.exit_code == 0, result.output
    assert {path.name for path in DEMO.iterdir()} == {path.name for path in (tmp_path / "models").iterdir()}
    made = json.loads((tmp_path / "models" / "made.json").read_text())
    assert made.keys() == json.loads((DEMO / "made.json").read_text()).keys()
    assert parse(load_pipeline(str(tmp_path / "models")), ["a dress"])
