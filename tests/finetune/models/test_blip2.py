"""What is BLIP-2's own: checkpoints of before the image token, the Q-Former's precision."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_models import load_tiny, photo, write_tiny

from finetune.training.collator import CaptionCollator
from finetune.training.losses import caption_losses


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("blip2") / "base", "blip2")


def test_the_q_former_works_in_float32(base: Path) -> None:
    model = load_tiny(base, dtype="bfloat16").model
    assert (model.language_model.dtype, model.qformer.dtype) == (torch.bfloat16, torch.float32)


def test_checkpoints_of_before_the_image_token_load(base: Path, tmp_path: Path) -> None:
    """Hub checkpoints of BLIP-2 from before transformers 4.46: no image token, no query count in the processor."""
    captioner = load_tiny(base)
    old = len(captioner.tokenizer) - 1
    captioner.model.resize_token_embeddings(old)
    captioner.model.save_pretrained(tmp_path)
    captioner.processor.image_processor.save_pretrained(tmp_path)
    tokenizer = json.loads(captioner.tokenizer.backend_tokenizer.to_str())
    tokenizer["added_tokens"] = [token for token in tokenizer["added_tokens"] if token["content"] != "<image>"]
    captioner.tokenizer.save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    for name in ("config.json", "tokenizer_config.json"):
        values = json.loads((tmp_path / name).read_text())
        for key in (
            "image_token_index",
            "num_query_tokens",
            "added_tokens_decoder",
            "extra_special_tokens",
            "image_token",
        ):
            if not (name == "config.json" and key == "num_query_tokens"):
                values.pop(key, None)
        (tmp_path / name).write_text(json.dumps(values))
    assert load_file(tmp_path / "model.safetensors")["language_model.model.decoder.embed_tokens.weight"].shape[0] == old
    loaded = load_tiny(tmp_path)
    assert (loaded.image_token_id, loaded.most_image_tokens) == (old, 4)
    with torch.no_grad():
        one, other = (
            caption_losses(
                loaded.model,
                CaptionCollator(loaded, loaded.default_prompt)([{"image": photo(seed), "caption": "red hat"}]),
            )[0]
            for seed in (0, 1)
        )
    assert not torch.equal(one, other)
