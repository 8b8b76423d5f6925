"""Every YAML in recipes/ is read, and built as far as no weights are needed."""

from pathlib import Path
from typing import Any

import places
import pytest
import torch
from transformers import (
    AutoModelForImageTextToText,
    Blip2Config,
    Blip2QFormerConfig,
    Blip2VisionConfig,
    LlamaConfig,
    LlavaConfig,
    OPTConfig,
)

from finetune.config.recipe import Recipe, load_recipe
from finetune.models.adapters import attach, count_parameters
from finetune.models.families import captioner_class
from finetune.models.families.base import Captioner
from finetune.models.quantization import check_layers, check_trainable
from finetune.training.arguments import training_arguments

GRID = ("blip2-opt-2.7b", "blip2-opt-6.7b", "llava-1.5-7b", "llava-1.5-13b")
RECIPES = sorted((places.RECIPES).glob("*.yaml"))
OPT = {"num_hidden_layers": 32, "num_attention_heads": 32, "vocab_size": 50304}
OPT_2_7B = OPTConfig(**OPT, hidden_size=2560, ffn_dim=10240, word_embed_proj_dim=2560)
OPT_6_7B = OPTConfig(**OPT, hidden_size=4096, ffn_dim=16384, word_embed_proj_dim=4096)
VICUNA_7B = LlamaConfig(vocab_size=32064)
VICUNA_13B = LlamaConfig(
    vocab_size=32064, hidden_size=5120, intermediate_size=13824, num_hidden_layers=40, num_attention_heads=40
)
PUBLISHED = {
    "Salesforce/blip2-opt-2.7b": OPT_2_7B,
    "Salesforce/blip2-opt-6.7b": OPT_6_7B,
    "llava-hf/llava-1.5-7b-hf": VICUNA_7B,
    "llava-hf/llava-1.5-13b-hf": VICUNA_13B,
}


def full_size(recipe: Recipe) -> Captioner:
    """The published architecture, without memory for its weights."""
    text = PUBLISHED[recipe.model.base]
    config: Any = LlavaConfig(text_config=text)
    if recipe.model.family == "blip2":
        towers = {"vision_config": Blip2VisionConfig(), "qformer_config": Blip2QFormerConfig(), "text_config": text}
        config = Blip2Config(**towers, image_token_index=50265)
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config)
    return captioner_class(recipe.model.family)(model, None)  # type: ignore[abstract]


def small(recipe: Recipe) -> Captioner:
    """The base that is in the repository, or the tiny one the recipe describes."""
    family = captioner_class(recipe.model.family)
    if recipe.model.tiny is None:
        return family.load(recipe.model, "cpu")
    return family(*family.tiny(recipe.model.tiny, ["a dress"]))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipes_are_read_and_built(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent.parent)
    recipe = load_recipe(path)
    training_arguments(recipe.training, tmp_path, 1)
    captioner = full_size(recipe) if recipe.model.base in PUBLISHED else small(recipe)
    captioner_class(recipe.model.family).prompt_of(recipe.prompt)
    check_trainable(recipe.model, recipe.tune, recipe.lora)
    check_layers(captioner.model, captioner.lora_target("language", "all-linear"), recipe.model)
    attach(captioner, recipe.tune, recipe.lora)
    counts = count_parameters(captioner)
    assert all((counts[tower]["trainable"] > 0) == (getattr(recipe.tune, tower) != "frozen") for tower in counts)
    if recipe.model.base in PUBLISHED and recipe.lora.modules == "query-value":
        text = PUBLISHED[recipe.model.base]
        assert counts["language"]["trainable"] == text.num_hidden_layers * 2 * 2 * recipe.lora.rank * text.hidden_size


def test_the_published_grid_is_whole() -> None:
    """Four models on two catalogues, which differ in base, data, prompt and output alone."""
    names = [f"{model}-{data}" for data in ("hm", "facad") for model in GRID]
    recipes = [load_recipe(RECIPES[0].with_name(f"{name}.yaml")) for name in names]
    assert [recipe.model.base for recipe in recipes] == list(PUBLISHED) * 2
    assert [str(recipe.output) for recipe in recipes] == [f"runs/{name}" for name in names]
    assert len({(recipe.tune, recipe.lora, recipe.training, recipe.decoding) for recipe in recipes}) == 1
    assert all(recipe.data.split.method == "published" for recipe in recipes)


def test_qlora_recipes_are_the_published_ones_on_quantised_weights() -> None:
    for model in GRID:
        plain, qlora = (load_recipe(RECIPES[0].with_name(f"{model}-hm{kind}.yaml")) for kind in ("", "-qlora"))
        assert qlora.output == Path(f"{plain.output}-qlora")
        assert qlora.model == plain.model.model_copy(update={"quantization": "nf4"})
        assert qlora.training == plain.training.model_copy(
            update={"optimizer": "paged-adamw-8bit", "gradient_checkpointing": True}
        )
        same = {"output": plain.output, "model": plain.model, "training": plain.training}
        assert qlora.model_copy(update=same) == plain


def test_the_published_hyper_parameters_are_the_defaults() -> None:
    """omgwenxx/multimodal-fashion-analysis, as far as we do not correct it."""
    recipe = Recipe.model_validate(
        {"output": "x", "data": {"catalogue": "hm", "folder": "x"}, "model": {"base": "Salesforce/blip2-opt-2.7b"}}
    )
    lora, training = recipe.lora, recipe.training
    assert (lora.rank, lora.alpha, lora.dropout, lora.rslora, lora.modules) == (32, 64, 0.05, True, "query-value")
    assert (training.learning_rate, training.minimum_learning_rate, training.weight_decay) == (1e-4, 1e-6, 1e-6)
    assert (training.batch_size, training.micro_batch_size, training.epochs) == (16, 4, 10)
    assert (training.patience, training.seed, recipe.model.dtype) == (3, 42, "bfloat16")
    assert recipe.data.split.method == "published"
    assert (recipe.decoding.beams, recipe.decoding.max_new_tokens) == (1, 100)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipes_are_headed_by_their_command(path: Path) -> None:
    head = path.read_text(encoding="utf-8").split("output:")[0]
    assert "#   " in head
    assert "lookbook " in head
    assert f"recipes/{path.name}" in head or path.stem == "demo-base"
