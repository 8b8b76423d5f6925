"""The estimate of memory against what tensors really take."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import finetune
from tiny_models import CAPTIONS, photo, write_recipe

from finetune.config.recipe import Recipe, Tiny
from finetune.models import adapters
from finetune.models.families import captioner_class
from finetune.models.families.base import BatchShape, Captioner
from finetune.models.gradient_checkpointing import checkpoint_towers, in_backward
from finetune.models.memory import estimate as memory
from finetune.models.memory.activations import activations_of, saved_tensors
from finetune.models.tiny import make_tiny
from finetune.training.collator import CaptionCollator
from finetune.training.losses import caption_losses

SHAPE = Tiny(image_size=64, patch_size=8, hidden_size=64, layers=6, queries=16, vocabulary=400, dropout=0)
TUNES: list[dict[str, Any]] = [
    {"language": "lora"},
    {"vision": "full", "connector": "full", "language": "full"},
    {"vision": "lora", "language": "frozen"},
    {"connector": "lora", "language": "frozen"},
]


@pytest.fixture(scope="module")
def base(family: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("memory") / "base"
    make_tiny(family, SHAPE, CAPTIONS, folder)  # type: ignore[arg-type]
    return folder


def recipe_of(base: Path, family: str, **sections: Any) -> Recipe:
    values = {"output": "x", "data": {"catalogue": "demo", "folder": "x"}}
    model = {"family": family, "base": str(base), "dtype": "float32"} | sections.pop("model", {})
    return Recipe.model_validate(values | {"model": model} | sections)


def without_weights(recipe: Recipe) -> Captioner:
    return memory.without_weights(recipe.model, recipe.tune, recipe.lora)


def real(recipe: Recipe) -> Captioner:
    captioner = captioner_class(recipe.model.family).load(recipe.model, "cpu")
    adapters.attach(captioner, recipe.tune, recipe.lora)
    captioner.model.train()
    return captioner


def saved_in_training(captioner: Captioner) -> tuple[int, BatchShape]:
    """Bytes that autograd saves of a real step beside weights and logits, and the batch it was."""
    items = [{"image": photo(number), "caption": CAPTIONS[2]} for number in range(4)]
    batch = CaptionCollator(captioner, captioner.default_prompt)(items)
    batch["pixel_values"] = batch["pixel_values"].to(captioner.model.dtype)
    with saved_tensors() as saved:
        losses, _ = caption_losses(captioner.model, batch)
    own = {weight.untyped_storage()._cdata for weight in captioner.model.parameters()}
    labelled = int((batch["labels"] != -100).any(0).sum())
    vocabulary = captioner.model.config.text_config.vocab_size
    logits = 4 * labelled * vocabulary * 4
    losses.sum().backward()
    patches = (SHAPE.image_size // SHAPE.patch_size) ** 2 + 1
    return sum(size for address, size in saved.items() if address not in own) - logits, BatchShape(
        4, patches, batch["input_ids"].shape[1]
    )


@pytest.mark.parametrize("values", TUNES, ids=lambda values: "-".join(f"{k}.{v}" for k, v in values.items()))
@pytest.mark.parametrize(("dtype", "checkpointed"), [("float32", False), ("bfloat16", False), ("float32", True)])
def test_activations_are_those_that_autograd_keeps(
    base: Path, family: str, values: dict[str, Any], dtype: str, checkpointed: bool
) -> None:
    """Layers within 6% of the exact count; their inputs alone, beside which the rest weighs more, within 30%."""
    recipe = recipe_of(base, family, tune=values, model={"dtype": dtype})
    captioner = real(recipe)
    if checkpointed:
        checkpoint_towers(captioner, recipe.tune)
    measured, shape = saved_in_training(captioner)
    found = activations_of(without_weights(recipe), in_backward(recipe.tune), shape)
    again = max(found.layers) if checkpointed else 0  # what is computed again is not kept
    assert found.peak(checkpointed=checkpointed) - again == pytest.approx(measured, rel=0.3 if checkpointed else 0.06)


@pytest.mark.parametrize("values", TUNES[:2], ids=["lora", "full"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_weights_gradients_and_moments_are_those_of_a_real_step(
    base: Path, family: str, values: dict[str, Any], dtype: str
) -> None:
    """To the byte but for AdamW's step counts, and buffers."""
    recipe = recipe_of(base, family, tune=values, model={"dtype": dtype})
    captioner = real(recipe)
    trained = [weight for weight in captioner.model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained)
    saved_in_training(captioner)
    optimizer.step()
    moments = [value for state in optimizer.state.values() for name, value in state.items() if name != "step"]
    real_bytes = {
        "weights": captioner.model.parameters(),
        "gradients": [weight.grad for weight in trained],
        "optimizer": moments,
    }
    found = memory.estimate(recipe).parts
    for name, tensors in real_bytes.items():
        if name == "optimizer" and dtype == "bfloat16" and values == TUNES[1]:
            continue  # refused by validate: bfloat16 weights are not tuned in full
        assert found[name] == sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def test_quantised_weights_are_those_of_bitsandbytes(base: Path, family: str) -> None:
    """Linear layers of the language tower alone, in 4 bits and their constants (QLoRA: 0.127 bits a weight) or 8."""
    plain = memory.estimate(recipe_of(base, family)).parts["weights"]
    captioner = without_weights(recipe_of(base, family))
    linear = sum(
        module.weight.numel()
        for name, module in captioner.model.named_modules()
        if isinstance(module, torch.nn.Linear)
        and "language_model" in name
        and ".layers." in name
        and "lora" not in name
    )
    for quantization, bits in (("nf4", 4.127), ("int8", 8.0)):
        found = memory.estimate(recipe_of(base, family, model={"quantization": quantization})).parts["weights"]
        assert plain - found == pytest.approx(linear * (32 - bits) / 8, rel=1e-4)


def test_checkpointing_smaller_batches_and_8_bit_moments_take_less(base: Path, family: str) -> None:
    def found(**training: Any) -> dict[str, float]:
        return memory.estimate(recipe_of(base, family, training=training)).parts

    plain = found()
    assert found(gradient_checkpointing=True)["activations"] < plain["activations"] / 3
    half = found(micro_batch_size=2)
    assert half["activations"] == pytest.approx(plain["activations"] / 2, rel=0.01)
    assert half["logits"] == plain["logits"] / 2
    assert found(optimizer="paged-adamw-8bit")["optimizer"] == pytest.approx(plain["optimizer"] / 4, rel=0.02)


def test_validate_prints_it_before_weights_are_read_and_warns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_recipe(tmp_path)
    result = finetune("validate", path)
    assert result.exit_code == 0, result.output
    assert "memory, estimated: 1.0" in result.stdout
    assert "WARNING" not in result.stderr
    assert not (tmp_path / "base").exists()
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Small", (), {"total": 1 << 29}))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    warned = finetune("validate", path)
    assert (warned.exit_code, "WARNING: this machine's memory has 0.5 GiB" in warned.stderr) == (0, True)
    assert "training.micro_batch_size=1, training.gradient_checkpointing=true" in warned.stderr
