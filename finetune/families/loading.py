"""Loading a base model from the Hub or a folder, with errors a user can act on."""

import json
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import hf_hub_download, logging
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from safetensors import SafetensorError

from finetune.config import Model
from finetune.families import FAMILIES, FamilyName, captioner_class
from metrics.errors import UserError


def load_pretrained(
    config: Model, config_class: Any, model_class: Any, processor_class: Any, device: str | None
) -> tuple[Any, Any]:
    """The model (in evaluation mode, on `device`) and its processor; safetensors only, no remote code."""
    check_base(config, config_class.model_type)
    source = {"revision": config.revision} if config.revision else {}
    try:
        processor = processor_class.from_pretrained(config.base, **source)
        model, report = model_class.from_pretrained(
            config.base,
            dtype=getattr(torch, config.dtype),
            attn_implementation=config.attention,
            use_safetensors=True,
            output_loading_info=True,
            **source,
        )
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        raise UserError(f"{config.base}: cannot load this model: {_first_line(error)}") from error
    if report["missing_keys"]:
        raise UserError(
            f"{config.base}: the weights lack {len(report['missing_keys'])} tensors of {model_class.__name__}, "
            f"for example {min(report['missing_keys'])}: the folder is incomplete or of another model"
        )
    return model.to(device or default_device()).eval(), processor


def check_base(model: Model, model_type: str) -> None:
    """The base must have a configuration of this family, and, where it is a folder, weights."""
    base, folder = model.base, Path(model.base)
    found = read_model_type(model)
    if found != model_type:
        raise UserError(
            f"model.base: {base}: model_type is {found!r}, but model.family {model.family!r} needs {model_type!r}; "
            "name the family that the model is of"
        )
    if folder.exists() and not any(folder.glob("*.safetensors")):
        raise UserError(f"model.base: {base}: no *.safetensors weights there (other formats are not loaded)")


def read_model_type(model: Model) -> str:
    """The kind of model that a base's configuration names. Raises `UserError` where there is no configuration."""
    base, folder = model.base, Path(model.base)
    config = folder / "config.json" if folder.exists() else _fetch_config(model)
    if not config.is_file():
        raise UserError(f"model.base: {base}: no config.json there; expected a folder written by save_pretrained")
    try:
        return str(json.loads(config.read_text(encoding="utf-8")).get("model_type"))
    except (ValueError, AttributeError) as error:
        raise UserError(f"{config}: not a model configuration: {error}") from None


def family_of(base: str) -> FamilyName:
    """The family of a base model, a folder or a Hub id. Raises `UserError` where it is of none."""
    found = read_model_type(Model(base=base))
    known = {captioner_class(name).model_type: name for name in FAMILIES}
    if found not in known:
        raise UserError(f"model.base: {base}: model_type is {found!r}; expected one of {', '.join(known)}")
    return known[found]


def _fetch_config(model: Model) -> Path:
    base = model.base
    if base.startswith((".", "/", "~")) or base.count("/") != 1:
        raise UserError(f"model.base: {base}: no such folder, and no Hub id (owner/name)")
    logging.set_verbosity_error()  # what it says of each retry
    try:
        return Path(hf_hub_download(base, "config.json", revision=model.revision))
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise UserError(
            f"model.base: {base}: no such folder, and the Hub did not give its configuration: {_first_line(error)}; "
            "without network name a local folder"
        ) from None


def default_device() -> str:
    """The accelerator there is, else the CPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def _first_line(error: BaseException) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
