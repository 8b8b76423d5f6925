"""Weights in 4 and 8 bits: which ones, what they compute, what is trained on them; real bitsandbytes on the CPU."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from bitsandbytes.nn import Linear4bit, Linear8bitLt
from tiny_models import CAPTIONS, SHAPE, captions_of, load_tiny, photo, rows, write_recipe, write_tiny
from typer.testing import CliRunner, Result

from finetune.__main__ import app
from finetune.config.recipe import Lora, Tune
from finetune.models.adapters import attach, count_parameters
from finetune.models.families.base import Captioner
from finetune.models.tiny import make_tiny
from finetune.training.collator import CaptionCollator
from finetune.training.losses import caption_losses

KINDS = {"nf4": Linear4bit, "int8": Linear8bitLt}
TINY = {"image_size": 32, "hidden_size": 64, "layers": 1, "queries": 4, "vocabulary": 400, "dropout": 0}
EVERYTHING = Tune(vision="lora", connector="lora", language="lora")


def loss(captioner: Captioner) -> torch.Tensor:
    batch = CaptionCollator(captioner, captioner.default_prompt)(rows())
    losses, counts = caption_losses(captioner.model, batch)
    return losses.sum() / counts.sum()


@pytest.mark.parametrize("kind", KINDS)
def test_layers_of_the_language_model_are_quantised_and_no_others(family: str, family_base: Path, kind: str) -> None:
    """Written out by hand: all linear layers of the language model's blocks; not its head, nor what sees the photo."""
    captioner = load_tiny(family_base, dtype="bfloat16", quantization=kind)
    quantised = {name for name, module in captioner.model.named_modules() if isinstance(module, KINDS[kind])}
    opt = (
        "language_model.model.decoder.layers",
        "self_attn.q_proj self_attn.k_proj self_attn.v_proj self_attn.out_proj fc1 fc2",
    )
    block, names = {
        "blip2": opt,
        "prefix": opt,
        "llava": (
            "model.language_model.layers",
            "self_attn.q_proj self_attn.k_proj self_attn.v_proj self_attn.o_proj mlp.gate_proj mlp.up_proj mlp.down_proj",
        ),
    }[family]
    assert quantised == {f"{block}.{layer}.{name}" for layer in range(SHAPE.layers) for name in names.split()}
    others = {
        name: parameter
        for name, parameter in captioner.model.named_parameters()
        if name.removesuffix(".weight") not in quantised
    }
    assert {parameter.dtype for name, parameter in others.items() if "qformer" not in name and "query" not in name} == {
        torch.bfloat16
    }
    assert all(parameter.dtype == torch.float32 for name, parameter in others.items() if name.startswith("qformer."))


@pytest.fixture(scope="module")
def family_base(family: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its rows are whole blocks of 64 weights, as those of the published models are."""
    folder = tmp_path_factory.mktemp(family) / "base"
    make_tiny(family, SHAPE.model_copy(update={"hidden_size": 64}), CAPTIONS, folder)  # type: ignore[arg-type]
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_quantised_weights_are_counted_as_what_they_stand_for(family_base: Path, kind: str) -> None:
    plain, quantised = (count_parameters(load_tiny(family_base, quantization=form)) for form in (None, kind))
    assert {tower: n["total"] for tower, n in quantised.items()} == {tower: n["total"] for tower, n in plain.items()}


def test_nf4_weights_are_those_of_the_paper(family_base: Path) -> None:
    """Dettmers et al. 2023, appendix E: 16 levels between -1 and 1 times the largest weight of each block of 64."""
    levels = [-1.0, -0.6961928, -0.52507305, -0.39491749, -0.28444138, -0.18477343, -0.09105004, 0.0]
    levels += [0.0795803, 0.1609302, 0.24611230, 0.33791524, 0.44070983, 0.56261700, 0.72295684, 1.0]
    name = "q_proj"
    plain, quantised = (
        next(
            m
            for n, m in load_tiny(family_base, quantization=kind).model.named_modules()
            if n.endswith(name) and "language" in n
        )
        for kind in (None, "nf4")
    )
    blocks = plain.weight.detach().reshape(-1, 64)
    scale = blocks.abs().amax(1, keepdim=True)
    nearest = (blocks / scale).unsqueeze(-1).sub(torch.tensor(levels)).abs().argmin(-1)
    expected = torch.tensor(levels)[nearest] * scale
    from peft.utils.integrations import dequantize_module_weight

    found = dequantize_module_weight(quantised).reshape(-1, 64)
    assert torch.allclose(found, expected, atol=float(scale.max()) * 0.02)  # the scales are in 8 bits themselves


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_quantised_model_sees_writes_and_stays_as_it_is(family_base: Path, kind: str, dtype: str) -> None:
    """Also on CPUs where bitsandbytes would repack the weights between training and captioning."""
    captioner = load_tiny(family_base, dtype=dtype, quantization=kind)
    with torch.no_grad():
        before = loss(captioner)
        captions = [captions_of(captioner, [photo(seed)], max_new_tokens=4) for seed in (0, 1)]
        assert captions[0][0].logprob != captions[1][0].logprob
        captioner.model.train().eval()
        assert loss(captioner) == before
    plain = loss(load_tiny(family_base, dtype=dtype))
    assert before.item() == pytest.approx(plain.item(), rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "dora"), [("nf4", False), ("nf4", True), ("int8", False)])
def test_adapters_learn_on_quantised_weights_and_nothing_else(family_base: Path, kind: str, dora: bool) -> None:
    captioner = load_tiny(family_base, dtype="bfloat16", quantization=kind)
    attach(captioner, EVERYTHING, Lora(rank=4, dropout=0, dora=dora, modules="all-linear"))
    trained = [(name, weight) for name, weight in captioner.model.named_parameters() if weight.requires_grad]
    assert all(".lora_" in name and weight.dtype == torch.float32 for name, weight in trained)
    frozen = {name: w.detach().clone() for name, w in captioner.model.named_parameters() if not w.requires_grad}
    optimizer = torch.optim.AdamW([weight for _, weight in trained], lr=1e-2)
    captioner.model.train()
    losses = []
    for _ in range(10):
        current = loss(captioner)
        torch.autograd.backward(current)
        losses.append(current.item())
        optimizer.step()
        optimizer.zero_grad()
    assert losses[-1] < 0.9 * losses[0]
    assert all(torch.equal(w, frozen[name]) for name, w in captioner.model.named_parameters() if name in frozen)


def finetune(*arguments: Any) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_recipe_trains_and_captions_quantised(tmp_path: Path, kind: str) -> None:
    path = write_recipe(tmp_path, model={"quantization": kind, "tiny": TINY}, decoding={"max_new_tokens": 8})
    trained = finetune("train", path)
    assert trained.exit_code == 0, trained.output
    out = tmp_path / "captions.jsonl"
    captioned = finetune("caption", "--model", tmp_path / "run", "--data", path, "--out", out, "--limit", "3")
    assert captioned.exit_code == 0, captioned.output
    assert len(out.read_text().splitlines()) == 3
    losses = json.loads((tmp_path / "run" / "training.json").read_text())["loss_history"]
    assert losses[-1]["eval_loss"] < losses[0]["loss"]
    photo(0).save(tmp_path / "0.png")
    noted = finetune("caption", tmp_path / "0.png", "--model", tmp_path / "base", "--adapter", tmp_path / "run")
    assert noted.exit_code == 0, noted.output
    note = f"was trained on a base quantised to {kind}, and is used on one not quantised"
    assert f"note: adapter {tmp_path / 'run'} {note}" in noted.stderr
    assert "note: adapter" not in captioned.stderr


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ("tune.language=full", "quantised weights cannot be trained; set tune.language: lora"),
        ("tune={language: frozen, connector: full}", "only adapters are trained on a quantised model"),
        ("model.quantization=fp4", "model.quantization: expected 'nf4' or 'int8', found 'fp4'"),
        (
            "model.tiny.hidden_size=96",
            "linear layers 96 wide, which is no multiple of 64; set model.quantization: int8",
        ),
        ("lora={modules: [q_proj, embed_tokens]}", "no layer is called embed_tokens; language has fc1, fc2, k_proj"),
        (["model.quantization=int8", "lora.dora=true"], "lora.dora: PEFT loses the scales"),
    ],
)
def test_what_cannot_be_quantised_is_said_before_training(tmp_path: Path, overrides: Any, message: str) -> None:
    path = write_recipe(tmp_path, model={"quantization": "nf4", "tiny": TINY})
    result = finetune("validate", path, *(overrides if isinstance(overrides, list) else [overrides]))
    assert (result.exit_code, message in result.stderr) == (2, True), result.output
    assert "Traceback" not in result.output


def test_without_bitsandbytes_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "bitsandbytes" else found(name))
    result = finetune("train", write_recipe(tmp_path, model={"quantization": "nf4"}))
    assert result.exit_code == 2
    assert "pip install '.[gpu]'" in result.stderr


def test_a_base_that_is_quantised_already_is_refused(tmp_path: Path) -> None:
    base = write_tiny(tmp_path / "base")
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | {"quantization_config": {"quant_method": "gptq"}}))
    result = finetune("validate", write_recipe(tmp_path, model={"tiny": None}))
    assert (result.exit_code, "quantised already" in result.stderr) == (2, True)


def test_a_device_without_bfloat16_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU of before 2020, as torch tells of it."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla V100")
    result = finetune("validate", write_recipe(tmp_path, model={"dtype": "bfloat16"}))
    assert (result.exit_code, "Tesla V100 has no bfloat16; set model.dtype: float32" in result.stderr) == (2, True)
