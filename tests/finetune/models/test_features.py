"""Adapters on every linear layer give visual and query features of their own; on OPT alone they leave the base's."""

from pathlib import Path

import pytest
import torch
from places import RECIPES
from tiny_models import load_tiny, photo, rows, write_tiny

from finetune.config.recipe import load_recipe
from finetune.models.adapters import attach
from finetune.models.families.base import Captioner
from finetune.training.collator import CaptionCollator
from finetune.training.losses import caption_losses


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("base") / "base", "blip2")


def features(captioner: Captioner) -> tuple[torch.Tensor, torch.Tensor]:
    """A photo's features behind the ViT (1, patches + 1, width) and behind the Q-Former (1, queries, width)."""
    captioner.model.eval()
    with torch.no_grad():
        outputs = captioner.model(**captioner.checked_inputs([photo(0)], [captioner.default_prompt]))
    return outputs.vision_outputs.last_hidden_state, outputs.qformer_outputs.last_hidden_state


def train(captioner: Captioner, steps: int = 3) -> None:
    batch = CaptionCollator(captioner, captioner.default_prompt)(rows())
    optimizer = torch.optim.AdamW(filter(lambda one: one.requires_grad, captioner.model.parameters()), lr=1e-2)
    for _ in range(steps):
        caption_losses(captioner.model, batch)[0].sum().backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize(("name", "own"), [("blip2-opt-2.7b-hm", False), ("blip2-opt-2.7b-hm-all-linear", True)])
def test_which_features_a_recipe_makes_its_own(base: Path, name: str, own: bool) -> None:
    recipe = load_recipe(RECIPES / f"{name}.yaml")
    captioner, untuned = load_tiny(base), load_tiny(base)
    attach(captioner, recipe.tune, recipe.lora)
    train(captioner)
    for tuned, original in zip(features(captioner), features(untuned), strict=True):
        assert torch.equal(tuned, original) != own
