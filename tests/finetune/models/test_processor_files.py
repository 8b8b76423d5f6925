"""Processors in folders: the base's own files where nothing changed, names that transformers 4.57 knows."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tiny import finetune
from tiny_models import captions_of, load_tiny, photo, write_recipe, write_tiny

from finetune.config.recipe import Decoding
from finetune.models.processor_files import PROCESSOR_FILES, TOKENIZER_CONFIG, TOKENIZER_FILES, save_processor
from finetune.runs.captioning_system import load_system


def settings(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


@pytest.fixture
def published(family_base: Path, tmp_path: Path) -> Path:
    """A base as its author wrote it by transformers 4: photos' settings in a file of their own, blanks as he likes."""
    folder = shutil.copytree(family_base, tmp_path / "published")
    joint = settings(folder / "processor_config.json")
    photos = joint.pop("image_processor", None) or settings(folder / "preprocessor_config.json")
    (folder / "preprocessor_config.json").write_text(json.dumps(photos, indent=7))
    (folder / "processor_config.json").write_text(json.dumps(joint, indent=7))
    tokenizer = settings(folder / TOKENIZER_CONFIG) | {"tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / TOKENIZER_CONFIG).write_text(json.dumps(tokenizer, indent=7))
    (folder / "special_tokens_map.json").write_text(json.dumps({"pad_token": "<pad>"}, indent=7))
    return folder


def kept(folder: Path, base: Path, names: tuple[str, ...]) -> set[str]:
    return {
        name
        for name in names
        if (folder / name).is_file() and (base / name).read_bytes() == (folder / name).read_bytes()
    }


def test_a_processor_as_it_was_loaded_keeps_the_base_s_own_files(published: Path, tmp_path: Path) -> None:
    captioner = load_tiny(published)
    captions_of(captioner, [photo(1)])  # leaves padding in the tokenizer
    save_processor(type(captioner.processor).from_pretrained(published), tmp_path / "out", published)
    own = {path.name for path in published.iterdir()} & {*TOKENIZER_FILES, *PROCESSOR_FILES}
    assert kept(tmp_path / "out", published, (*TOKENIZER_FILES, *PROCESSOR_FILES)) == own


def test_what_was_changed_is_written_anew(published: Path, tmp_path: Path) -> None:
    processor = load_tiny(published).processor
    processor.image_processor.image_mean = [0.1, 0.2, 0.3]
    save_processor(processor, tmp_path / "photos", published)
    assert TOKENIZER_CONFIG in kept(tmp_path / "photos", published, TOKENIZER_FILES)
    for name in ("preprocessor_config.json", "processor_config.json"):
        written = settings(tmp_path / "photos" / name)
        assert written.get("image_processor", written)["image_mean"] == [0.1, 0.2, 0.3]
    processor.tokenizer.add_special_tokens({"extra_special_tokens": ["<size>"]})
    save_processor(processor, tmp_path / "words", published)
    assert not kept(tmp_path / "words", published, TOKENIZER_FILES)
    assert "<size>" in (tmp_path / "words" / "tokenizer.json").read_text()


def test_files_have_names_that_version_4_knows(family: str, tmp_path: Path) -> None:
    """Of a base that transformers 5 wrote as well as of one that `make-tiny` writes now."""
    base = write_tiny(tmp_path / "base", family)
    processor = load_tiny(base).processor
    processor.tokenizer.add_special_tokens({"extra_special_tokens": ["<size>"]})
    config = settings(base / TOKENIZER_CONFIG)
    (base / TOKENIZER_CONFIG).write_text(json.dumps(config | {"tokenizer_class": "TokenizersBackend"}))
    (base / "preprocessor_config.json").unlink()
    (tmp_path / "out").mkdir()
    shutil.copy(base / "config.json", tmp_path / "out")
    save_processor(processor, tmp_path / "out", base)
    config = settings(tmp_path / "out" / TOKENIZER_CONFIG)
    assert config["tokenizer_class"] in ("PreTrainedTokenizerFast", "LlamaTokenizer")
    assert "<size>" in config["additional_special_tokens"]
    assert not isinstance(config.get("extra_special_tokens"), list)
    photos = settings(tmp_path / "out" / "preprocessor_config.json")
    assert not photos["image_processor_type"].endswith("Pil")
    text = settings(tmp_path / "out" / "config.json")["text_config"]
    assert ("rope_parameters" in text) == ("rope_theta" in text) == (family == "llava")
    again = type(processor).from_pretrained(tmp_path / "out")
    assert again.tokenizer("a red <size>")["input_ids"] == processor.tokenizer("a red <size>")["input_ids"]


def test_a_training_leaves_decoding_and_the_base_s_revision_with_the_model(tmp_path: Path) -> None:
    from peft import PeftConfig

    training = {"epochs": 1, "max_steps": 1}
    decoding = {"beams": 3, "max_new_tokens": 7, "repetition_penalty": 1.5}
    path = write_recipe(tmp_path, "adapter", model={"revision": "abc123"}, training=training, decoding=decoding)
    assert finetune("train", path).exit_code == 0
    assert PeftConfig.from_pretrained(tmp_path / "adapter" / "model").revision == "abc123"
    checkpoint = next((tmp_path / "adapter" / "checkpoints").glob("checkpoint-*"))
    assert PeftConfig.from_pretrained(checkpoint).revision == "abc123"
    tune = dict.fromkeys(("vision", "connector", "language"), "full")
    path = write_recipe(tmp_path, "full", tune=tune, training=training, decoding=decoding)
    assert finetune("train", path).exit_code == 0
    written = settings(tmp_path / "full" / "model" / "generation_config.json")
    assert (written["num_beams"], written["max_new_tokens"], written["repetition_penalty"]) == (3, 7, 1.5)
    assert load_system(str(tmp_path / "full" / "model"), None, None).decoding == Decoding(**decoding)
    assert written["eos_token_id"] == load_tiny(tmp_path / "base").stop_token_id
    assert kept(tmp_path / "full" / "model", tmp_path / "base", ("preprocessor_config.json",))
