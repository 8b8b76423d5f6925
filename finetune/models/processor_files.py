"""Processors in folders that transformers 4.57 and 5 both load; what a base's own files say is kept in them."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from metrics.common.drafts import temporary_folder
from metrics.common.files import read_bytes, read_json_object, write_text

PROCESSOR_CONFIG, PHOTO_CONFIG = "processor_config.json", "preprocessor_config.json"  # the first has both in version 5
PROCESSOR_FILES = (PROCESSOR_CONFIG, PHOTO_CONFIG, "chat_template.jinja", "chat_template.json")
VOCABULARIES = ("tokenizer.json", "vocab.json", "vocab.txt", "merges.txt", "tokenizer.model")
TOKENIZER_CONFIG = "tokenizer_config.json"
TOKENIZER_FILES = (*VOCABULARIES, TOKENIZER_CONFIG, "special_tokens_map.json", "added_tokens.json")
_OF_THE_LOADING = ("padding", "truncation", "is_local", "local_files_only")  # what tokenizers write of their use
_REMEDY = "train or merge again"


def save_processor(processor: Any, folder: Path, base: Path | None = None) -> None:
    """Write a processor to `folder`, beside the model's `config.json` if it has one.

    `base`: the folder that it was loaded from. If its tokenizer, or its preparation of photos, is still as there, the
    base's own files of it are kept byte for byte, but for names that transformers 4.57 does not know.
    """
    from metrics.encoders.safe_loading import load_part  # noqa: PLC0415  # PyTorch, which `push` imports later

    processor.save_pretrained(folder)
    if base is not None:
        with temporary_folder() as fresh:
            load_part(type(processor), base).save_pretrained(fresh)
            for names in (TOKENIZER_FILES, PROCESSOR_FILES):
                if all(_content(folder / name) == _content(fresh / name) for name in names):
                    _copy(names, base, folder)
    _name_as_version_4(folder)


def _content(path: Path) -> Any:
    """What a file says; None if there is none."""
    if not path.is_file():
        return None
    if path.suffix != ".json":
        return read_bytes(path)
    return {key: value for key, value in read_json_object(path, _REMEDY).items() if key not in _OF_THE_LOADING}


def _copy(names: tuple[str, ...], base: Path, folder: Path) -> None:
    for name in names:
        if (base / name).is_file():
            shutil.copyfile(base / name, folder / name)


def _name_as_version_4(folder: Path) -> None:
    """Use the names that both versions know, for what version 5 renamed."""
    _change(folder / TOKENIZER_CONFIG, _tokenizer_of_version_4)
    _change(folder / "config.json", _model_of_version_4)
    photos = (_content(folder / PROCESSOR_CONFIG) or {}).get("image_processor")
    if photos and not (folder / PHOTO_CONFIG).is_file():
        _write(folder / PHOTO_CONFIG, photos)


def _tokenizer_of_version_4(config: dict[str, Any]) -> None:
    if config.get("tokenizer_class") == "TokenizersBackend":
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
    if isinstance(config.get("extra_special_tokens"), list):
        config["additional_special_tokens"] = config.pop("extra_special_tokens")


def _model_of_version_4(config: dict[str, Any]) -> None:
    """Rotary positions by their old keys beside the new ones: version 4 silently takes its defaults instead."""
    text = config.get("text_config") or {}
    rope = text.get("rope_parameters") or {}
    if "rope_theta" in rope:
        text.setdefault("rope_theta", rope["rope_theta"])
    if rope.get("rope_type", "default") != "default":
        text.setdefault("rope_scaling", {key: value for key, value in rope.items() if key != "rope_theta"})


def _change(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change what a file of settings says, if it is there; one that needs no change stays as it is."""
    if not path.is_file():
        return
    before, config = (read_json_object(path, _REMEDY) for _ in range(2))
    change(config)
    if config != before:
        _write(path, config)


def _write(path: Path, values: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")
