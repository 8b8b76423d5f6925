"""Every YAML in recipes/ is read, and built as far as no weights are needed."""

from pathlib import Path

import pytest
import torch
from transformers import Blip2Config, Blip2ForConditionalGeneration, Blip2QFormerConfig, Blip2VisionConfig, OPTConfig

from finetune.adapters import attach, count_parameters
from finetune.config import Recipe, load_recipe
from finetune.families import captioner_class
from finetune.families.base import Captioner
from finetune.trainer import training_arguments

RECIPES = sorted((Path(__file__).parent.parent / "recipes").glob("*.yaml"))
OPT = {
    "Salesforce/blip2-opt-2.7b": {"hidden_size": 2560, "num_hidden_layers": 32, "num_attention_heads": 32},
    "Salesforce/blip2-opt-6.7b": {"hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32},
}


def full_size(base: str) -> Captioner:
    """The published architecture, without memory for its weights."""
    shape = OPT[base]
    text = OPTConfig(
        **shape, ffn_dim=4 * shape["hidden_size"], word_embed_proj_dim=shape["hidden_size"], vocab_size=50304
    )
    towers = {"vision_config": Blip2VisionConfig(), "qformer_config": Blip2QFormerConfig(), "text_config": text}
    config = Blip2Config(**towers, image_token_index=50265)
    with torch.device("meta"):
        model = Blip2ForConditionalGeneration(config)
    return captioner_class("blip2")(model, None)  # type: ignore[abstract]


def small(recipe: Recipe) -> Captioner:
    """The base that stands in the repository, or the tiny one the recipe describes."""
    family = captioner_class(recipe.model.family)
    if recipe.model.tiny is None:
        return family.load(recipe.model, "cpu")
    return family(*family.tiny(recipe.model.tiny, ["a dress"]))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipes_are_read_and_built(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent.parent)
    recipe = load_recipe(path)
    training_arguments(recipe.training, tmp_path, 1)
    if recipe.model.base not in OPT:
        captioner = small(recipe)
        attach(captioner, recipe.tune, recipe.lora)
        assert count_parameters(captioner)["language"]["trainable"] > 0
    else:
        captioner = full_size(recipe.model.base)
        attach(captioner, recipe.tune, recipe.lora)
        counts = count_parameters(captioner)
        assert counts["vision"]["trainable"] == counts["connector"]["trainable"] == 0
        hidden, layers = OPT[recipe.model.base]["hidden_size"], OPT[recipe.model.base]["num_hidden_layers"]
        assert counts["language"]["trainable"] == layers * 2 * 2 * recipe.lora.rank * hidden


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
    assert "-m finetune" in head
    assert f"recipes/{path.name}" in head or path.stem == "demo-base"
