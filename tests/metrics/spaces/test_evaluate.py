"""Our measures as modules of Hugging Face `evaluate`: loaded from their folders, combined, and laid out as Spaces."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from places import ROOT

from metrics import Bleu, CaptionRecord, Cider, Meteor, RougeL, Spice, UserError, score_captions
from metrics.spaces import path

SPACES = ROOT / "metrics" / "spaces"
NAMES = sorted(folder.name for folder in SPACES.iterdir() if (folder / "README.md").is_file())
PREDICTIONS = ["a red dress with long sleeves", "soft jeans", ""]
REFERENCES = [["a long red dress with sleeves", "red dress"], ["soft blue jeans"], ["a hat"]]
BIAS = [0.0, 5.0, 0.0]
MEASURES = {"bleu": Bleu, "cider": Cider, "meteor": Meteor, "rouge_l": RougeL, "spice": Spice}


@pytest.fixture(scope="module")
def evaluate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The library, with its caches in a folder of the test."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("huggingface")
        patch.setenv("HF_EVALUATE_OFFLINE", "1")
        module = pytest.importorskip("evaluate")
        patch.setattr(module.config, "HF_MODULES_CACHE", folder / "modules")
        patch.setattr(module.config, "HF_METRICS_CACHE", folder / "metrics")
        yield module


@pytest.fixture
def classifier(tmp_path: Path) -> Path:
    """A tiny BERT that reads every caption as of the category `Jeans`."""
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "dress", "jeans"]
    (tmp_path / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    labels = {"id2label": {0: "Dress", 1: "Jeans", 2: "Hat"}, "label2id": {"Dress": 0, "Jeans": 1, "Hat": 2}}
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    config = transformers.BertConfig(vocab_size=len(words), **sizes, **labels)
    model = transformers.BertForSequenceClassification(config)
    model.classifier.bias.data = torch.tensor(BIAS)
    model.save_pretrained(tmp_path)
    transformers.BertTokenizerFast(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    return tmp_path


def test_all_eight_are_there() -> None:
    assert NAMES == ["attributes", "bleu", "category_accuracy", "cider", "clip_score", "meteor", "rouge_l", "spice"]


@pytest.mark.java
@pytest.mark.parametrize("name", MEASURES)
def test_a_module_gives_what_our_suite_gives(evaluate: Any, name: str) -> None:
    measure = MEASURES[name]()
    module = evaluate.load(path(name))
    assert (module.name, module.module_type) == (name, "metric")
    if measure.absent():
        with pytest.raises(UserError, match="install"):
            module.compute(predictions=PREDICTIONS, references=REFERENCES)
        return
    records = [
        CaptionRecord(str(n), caption, references=tuple(texts))
        for n, (caption, texts) in enumerate(zip(PREDICTIONS, REFERENCES, strict=True))
    ]
    expected = {}
    for measured, score in score_captions(records, measures=[measure]).results[0].scores["all"].items():
        key = {"ROUGE-L": "rouge_l"}.get(measured, measured.lower().replace("bleu-", "bleu_"))
        expected |= {key: score.value, f"{key}_low": score.interval[0], f"{key}_high": score.interval[1]}
        expected[f"{key}_signature"] = score.signature
    result = module.compute(predictions=PREDICTIONS, references=REFERENCES)
    assert result == expected
    assert json.loads(json.dumps(result)) == result


@pytest.mark.torch
def test_category_accuracy_takes_categories_as_references(evaluate: Any, classifier: Path) -> None:
    module = evaluate.load(path("category_accuracy"), classifier=str(classifier))
    result = module.compute(predictions=["a dress", "jeans", "blue jeans"], references=["Dress", "Jeans", "Hat"])
    assert result["acc"] == pytest.approx(1 / 3)
    assert f"{result['acc_signature']}|".startswith("Acc|")


@pytest.mark.torch
def test_clip_score_takes_photos_as_references(evaluate: Any, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from tiny_clip import cosine, write_clip, write_photos

    model, names = write_clip(tmp_path / "clip"), write_photos(tmp_path, 2)
    module = evaluate.load(path("clip_score"), clip=str(model), images=str(tmp_path))
    result = module.compute(predictions=["a red dress", "a hat"], references=names)
    first, second = (
        2.5 * max(cosine(model, tmp_path / name, f"A photo depicts {text}"), 0)
        for name, text in zip(names, ("a red dress", "a hat"), strict=True)
    )
    assert result["clipscore"] == pytest.approx((first + second) / 2, abs=1e-5)
    assert f"{result['clipscore_signature']}|".startswith("CLIPScore|tok:model|refs:0|n:2|model:")
    with pytest.raises(UserError, match="is not inside"):
        module.compute(predictions=["a dress"], references=["../secret.png"])


@pytest.mark.torch
def test_attributes_names_a_vocabulary_that_is_not_there(evaluate: Any, tmp_path: Path) -> None:
    pytest.importorskip("stanza")
    module = evaluate.load(path("attributes"), vocabulary=str(tmp_path / "none.json"))
    with pytest.raises(UserError, match=re.escape("none.json")):
        module.compute(predictions=["a dress"], references=["a dress"])


@pytest.mark.java
def test_one_reference_or_several_one_item_or_a_batch(evaluate: Any) -> None:
    module = evaluate.load(path("rouge_l"))
    one = module.compute(predictions=["a red dress"], references=["red dress"])
    # Precision 2/3, recall 1; F with beta 1.2.
    assert one["rouge_l"] == pytest.approx((1 + 1.2**2) * (2 / 3) / (1 + 1.2**2 * 2 / 3))
    assert module.compute(predictions=["a red dress"], references=[["red dress"]]) == one
    assert module.compute(predictions=["a red dress"], references=[["hat", "red dress"]])["rouge_l"] == one["rouge_l"]
    module.add(prediction="a hat", reference="a hat")
    module.add_batch(predictions=["a red dress"], references=["red dress"])
    assert module.compute()["rouge_l"] == pytest.approx((1 + one["rouge_l"]) / 2)
    with pytest.raises(ValueError, match="Mismatch in the number"):
        module.compute(predictions=["a", "b"], references=["a"])


@pytest.mark.java
def test_they_combine(evaluate: Any) -> None:
    both = evaluate.combine([path("bleu"), path("cider")])
    result = both.compute(predictions=PREDICTIONS, references=REFERENCES)
    assert {"bleu_1", "bleu_4", "bleu_4_low", "cider", "cider_high", "cider_signature"} <= result.keys()
    assert (
        result["cider"] == evaluate.load(path("cider")).compute(predictions=PREDICTIONS, references=REFERENCES)["cider"]
    )
    # Where two modules give the same score, evaluate puts their names before it.
    twice = evaluate.combine({"ours": path("cider"), "again": evaluate.load(path("cider"))})
    again = twice.compute(predictions=PREDICTIONS, references=REFERENCES)
    assert again["ours_cider"] == again["again_cider"] == result["cider"]


@pytest.mark.parametrize("name", MEASURES)
def test_a_module_says_what_goes_in_and_whose_it_is(evaluate: Any, name: str) -> None:
    module = evaluate.load(path(name))
    assert "predictions: the caption" in module.inputs_description
    assert "PTB tokenisation" in module.description
    assert module.citation.startswith("@inproceedings{")
    assert module.citation.count("{") == module.citation.count("}")
    several, one = module.features
    assert set(several) == set(one) == {"predictions", "references"}
    assert one["references"].dtype == several["references"].feature.dtype == "string"


@pytest.mark.parametrize("name", NAMES)
def test_a_space_can_be_pushed(name: str) -> None:
    yaml = pytest.importorskip("yaml")
    folder = SPACES / name
    assert {file.name for file in folder.iterdir() if file.is_file()} == {
        "app.py",
        "README.md",
        "requirements.txt",
        f"{name}.py",
    }
    head = yaml.safe_load((folder / "README.md").read_text(encoding="utf-8").split("---")[1])
    assert (head["sdk"], head["app_file"], head["tags"]) == ("gradio", "app.py", ["evaluate", "metric"])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = {*project["dependencies"], *extras["evaluate"]}
    wanted |= {*extras["measures"]} if name in ("attributes", "category_accuracy", "clip_score") else set()
    lines = (folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert {line for line in lines if not line.startswith("#")} == wanted


@pytest.mark.processes
@pytest.mark.slow
@pytest.mark.java
def test_a_space_runs_alone_and_offline(tmp_path: Path) -> None:
    """A Space as its README lays it out, in a process that reaches no network and knows this repository not."""
    pytest.importorskip("evaluate")
    shutil.copytree(SPACES / "bleu", tmp_path / "space")
    shutil.copytree(ROOT / "metrics", tmp_path / "space" / "metrics", ignore=shutil.ignore_patterns("__pycache__"))
    code = (
        "import socket, evaluate, metrics, json, sys\n"
        "def refuse(*_): raise AssertionError('it went to the network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "found = evaluate.load('bleu.py').compute(predictions=['a red dress'], references=['a red dress'])\n"
        "print(json.dumps([metrics.__file__, found['bleu_2']]))"
    )
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"HF_HOME": str(tmp_path / "hf"), "HF_EVALUATE_OFFLINE": "1"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path / "space", env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    origin, bleu_2 = json.loads(done.stdout)
    assert Path(origin).is_relative_to(tmp_path)
    assert bleu_2 == pytest.approx(1.0, abs=1e-6)


@pytest.mark.processes
def test_scoring_does_not_need_evaluate() -> None:
    assert Bleu().absent() is None
    code = (
        "import sys, metrics.spaces, metrics.__main__; print([n for n in ('evaluate', 'datasets') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
