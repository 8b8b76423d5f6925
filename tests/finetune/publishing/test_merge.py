"""`merge`: the merged model says what base and adapter said, and plain transformers loads it."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from dead_drafts import dead_draft
from safetensors.torch import load_file
from tiny_models import captions_of, photo, write_recipe
from typer.testing import CliRunner, Result

from finetune.__main__ import app
from finetune.data.demo.catalogue import write_demo
from finetune.publishing.merging import merge
from finetune.runs.captioning_system import load_system

TINY = {"image_size": 32, "hidden_size": 64, "layers": 1, "queries": 4, "vocabulary": 400, "dropout": 0}
CLASSES = {"blip2": "Blip2ForConditionalGeneration", "llava": "LlavaForConditionalGeneration"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("merge")
    write_demo(folder / "demo", 150, 0)
    return folder


def finetune(*arguments: Any) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def trained(root: Path, name: str, family: str = "blip2", model: Any = (), **sections: Any) -> Path:
    """The folder of a run on two thirds of the demo's articles."""
    base = {"family": family, "base": str(root / family), "tiny": TINY} | dict(model)
    fixed = {"decoding": {"max_new_tokens": 10}, "lora": {"modules": "all-linear"} | sections.pop("lora", {})}
    path = write_recipe(root, name, model=base, **fixed, **sections)
    result = finetune("train", path)
    assert result.exit_code == 0, result.output
    return root / name


def captions(run: Path) -> list[str]:
    captioner = load_system(str(run), None, None).captioner
    texts = captions_of(captioner, [photo(seed) for seed in range(4)], max_new_tokens=10)
    return [text.caption for text in texts]


def plain_captions(folder: Path, family: str) -> list[str]:
    """As somebody without Lookbook would write them."""
    processor = transformers.AutoProcessor.from_pretrained(folder)
    model = getattr(transformers, CLASSES[family]).from_pretrained(folder).eval()
    prompt = {"blip2": "", "llava": "USER: <image>\nDescribe the appearance of the clothing item.\nASSISTANT:"}[family]
    inputs = processor(images=[photo(seed) for seed in range(4)], text=[prompt] * 4, return_tensors="pt")
    with torch.inference_mode():
        tokens = model.generate(**inputs, max_new_tokens=10, do_sample=False)[:, inputs["input_ids"].shape[1] :]
    stop = processor.tokenizer("\n", add_special_tokens=False)["input_ids"][0] if family == "blip2" else 2
    ended = [row[: row.index(stop)] if stop in row else row for row in tokens.tolist()]
    return [" ".join(processor.tokenizer.decode(row, skip_special_tokens=True).split()) for row in ended]


FULL_CONNECTOR = {"vision": "lora", "connector": "full", "language": "lora"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "sections"),
    [("blip2", {}), ("llava", {}), ("blip2", {"tune": FULL_CONNECTOR, "lora": {"dora": True}})],
    ids=["blip2", "llava", "dora-and-a-full-tower"],
)
def test_merged_weights_write_the_same_captions(
    root: Path, tmp_path: Path, family: str, sections: dict[str, Any]
) -> None:
    run = trained(root, f"{family}-{len(sections)}", family, **sections)
    result = finetune("merge", run, "--out", tmp_path / "whole")
    assert result.exit_code == 0, result.output
    assert "in float32; 8 of 8 captions of validation photos are equal" in result.stdout
    mark = json.loads((tmp_path / "whole" / "merged.json").read_text())
    assert 0 <= mark.pop("largest") < 1e-4
    digest = hashlib.sha256((run / "model" / "adapter_model.safetensors").read_bytes()).hexdigest()
    assert mark == {"adapter_sha256": digest, "base": family, "dtype": "float32", "photos": 8, "equal": 8}
    assert plain_captions(tmp_path / "whole", family) == captions(run)
    decoding = json.loads((tmp_path / "whole" / "generation_config.json").read_text())
    assert (decoding["max_new_tokens"], decoding["do_sample"]) == (10, False)
    base, merged = (load_file(folder / "model.safetensors") for folder in (root / family, tmp_path / "whole"))
    assert base.keys() == merged.keys()
    language = [name for name in base if "language_model" in name and "q_proj.weight" in name]
    assert language
    assert not any(torch.equal(base[name], merged[name]) for name in language)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_a_quantised_base_is_merged_in_bfloat16_and_the_difference_is_reported(
    root: Path, tmp_path: Path, kind: str
) -> None:
    run = trained(root, kind, model={"quantization": kind})
    found = merge(run, tmp_path / "whole")
    assert found.photos == 8
    assert 0 < found.largest < 0.1
    merged = load_file(tmp_path / "whole" / "model.safetensors")
    assert {tensor.dtype for tensor in merged.values()} == {torch.bfloat16}
    config = json.loads((tmp_path / "whole" / "config.json").read_text())
    parts = [config, *(config[f"{part}_config"] for part in ("vision", "qformer", "text"))]
    assert [part["dtype"] for part in parts] == ["bfloat16"] * 4
    model = transformers.Blip2ForConditionalGeneration.from_pretrained(tmp_path / "whole")
    assert not hasattr(model.config, "quantization_config")
    assert merge(run, tmp_path / "exact", "float32").largest < found.largest


def test_what_cannot_be_merged_is_one_message(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = trained(root, "full", tune=dict.fromkeys(("vision", "connector", "language"), "full"))
    run = trained(root, "small", lora={"rank": 2})
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    for arguments, message in [
        ((full,), f"{full / 'model'} is the whole model already"),
        ((tmp_path,), "no finished run"),
        ((run, "--dtype", "float16"), "--dtype float16: expected one of float32, bfloat16"),
        ((run, "--out", tmp_path / "taken"), "exists and is not empty"),
    ]:
        result = finetune("merge", "--out", tmp_path / "whole", *arguments)
        assert (result.exit_code, message in result.stderr) == (2, True), result.output
    dead_draft(tmp_path / "whole")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 99, 1))  # type: ignore[attr-defined]
    result = finetune("merge", run, "--out", tmp_path / "whole")
    assert (result.exit_code, "GB free on its disk" in result.stderr) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
