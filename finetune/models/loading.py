"""Loading a base model from the Hub or a folder, with errors a user can act on."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import parse_flag_from_env
from huggingface_hub import hf_hub_download, logging, snapshot_download
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError, safe_open

from finetune.config.packaged import DEMO, base_folder, is_demo_base
from finetune.config.recipe import Model
from finetune.models import quantization
from metrics.common.errors import UserError, first_line, reason_of
from metrics.common.files import read_json_object
from metrics.encoders.safe_loading import load_model, load_part

REPAIR = "copy it again from where it came, or train again"


def base_name(base: str) -> str:
    """The last part of a base's Hub id or folder, by which copies of it in several places are known as one."""
    if is_demo_base(base):
        return DEMO
    cached = re.search(r"models--[^/]+--([^/]+)/snapshots/", base)
    return cached[1] if cached else Path(split_revision(base)[0]).name


def load_pretrained(
    config: Model,
    config_class: Any,
    model_class: Any,
    processor_class: Any,
    unquantized: Sequence[str],
    device: str | None,
) -> tuple[Any, Any]:
    """The model (in evaluation mode, on `device`) and its processor; safetensors only, no remote code.

    If the recipe quantises, it leaves the `unquantized` modules alone. Raises `UserError` if base, device or memory
    do not suffice.
    """
    check_base(config, config_class.model_type)
    check_precision(config)
    quantization.check_installed(config)
    device = device or default_device()
    processor = _load_processor(config, processor_class)
    try:
        model, missing = load_model(
            model_class,
            base_folder(config.base),
            config.revision,
            dtype=getattr(torch, config.dtype),
            attn_implementation=config.attention,
            **quantization.loading_options(config, unquantized, device),
        )
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"{config.base}: out of memory while loading it ({first_line(error)}); set model.quantization: nf4 or "
            "model.dtype: bfloat16, or use a larger device"
        ) from error
    except UserError:
        raise
    except Exception as error:  # transformers checks no types in the files that it reads
        folder = local_folder(config)
        for path in sorted(folder.glob("*.safetensors")) if folder else ():
            refuse_damaged(path)
        raise UserError(f"{config.base}: cannot load this model: {first_line(error)}") from error
    if missing:
        raise UserError(
            f"{config.base}: the weights lack {len(missing)} tensors of {model_class.__name__}, for example "
            f"{missing[0]}: the folder is incomplete or of another model"
        )
    refuse_not_finite(config.base, model.named_parameters())
    if config.quantization is None:
        return model.to(device).eval(), processor
    quantization.disable_repacking(model, config)
    return model.eval(), processor


def _load_processor(config: Model, processor_class: Any) -> Any:
    try:
        return load_part(processor_class, base_folder(config.base), config.revision)
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{config.base}: expected a processor (tokenizer and image processor) beside the weights, and it does not "
            f"load: {first_line(error)}; copy its files from the original model"
        ) from error


def local_folder(model: Model) -> Path | None:
    """The folder of a base that was loaded: itself, or its files in the Hub's cache; None if they are not there."""
    folder = Path(base_folder(model.base))
    if folder.exists():
        return folder
    try:
        return Path(snapshot_download(model.base, revision=model.revision, local_files_only=True))
    except LocalEntryNotFoundError:
        return None


def refuse_damaged(path: Path) -> None:
    """Raise `UserError` if a file of weights was cut off or its header overwritten."""
    try:
        with safe_open(path, "pt"):
            pass
    except SafetensorError as error:
        raise UserError(f"{path}: the file is damaged ({first_line(error)}); {REPAIR}") from error


def refuse_not_finite(source: str | Path, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
    """Raise `UserError` if one of the named `weights` is infinite or not a number: captions would be empty."""
    for name, tensor in weights:
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise UserError(
                f"{source}: expected finite weights, found infinite ones or NaN in {name}: its training has diverged; "
                "take an earlier checkpoint, or train again with a lower learning_rate"
            )


def check_base(model: Model, model_type: str) -> None:
    """Raise `UserError` if the base has no configuration of this family or, if it is a folder, no weights."""
    base, folder = model.base, Path(base_folder(model.base))
    values = read_config(base, model.revision)
    own_type = values.get("model_type")
    if own_type != model_type:
        raise UserError(
            f"model.base: {base}: model_type is {own_type!r}, but model.family {model.family!r} needs {model_type!r}; "
            "name the family that the model is of"
        )
    if "quantization_config" in values:
        raise UserError(
            f"model.base: {base}: its weights are quantised already, perhaps its vision tower's too; name the model "
            "that it was made from, and quantise that with model.quantization"
        )
    if folder.exists() and not any(folder.glob("*.safetensors")):
        raise UserError(f"model.base: {base}: no *.safetensors weights in it (other formats are not loaded)")


def check_precision(model: Model) -> None:
    """Raise `UserError` if the accelerator cannot compute in the recipe's type."""
    if model.dtype != "bfloat16" or not torch.cuda.is_available():
        return
    if not torch.cuda.is_bf16_supported(including_emulation=False):
        raise UserError(f"model.dtype: {torch.cuda.get_device_name()} has no bfloat16; set model.dtype: float32")


def read_config(base: str, revision: str | None = None) -> dict[str, Any]:
    """The configuration of a base, a folder or a Hub id. Raises `UserError` if it has none."""
    folder = Path(base_folder(base))
    config = folder / "config.json" if folder.exists() else _fetch_config(base, revision)
    if not config.is_file():
        raise UserError(f"model.base: {base}: no config.json in it; expected a folder written by save_pretrained")
    return read_json_object(config, REPAIR)


def _fetch_config(base: str, revision: str | None) -> Path:
    if base.startswith((".", "/", "~")) or base.count("/") != 1:
        raise UserError(f"model.base: {base}: no such folder, and no Hub id (owner/name)")
    logging.set_verbosity_error()  # no line for each retry
    try:
        return Path(hf_hub_download(base, "config.json", revision=revision))
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise UserError(
            f"model.base: {base}: no such folder, and its configuration could not be fetched from the Hub: "
            f"{hub_problem(error)}"
        ) from error


def hub_problem(error: BaseException) -> str:
    """Why the Hub gave nothing, in all its words, and what to do."""
    is_closed = isinstance(error, GatedRepoError)
    login = "ask for access on its page, then log in by `hf auth login`, or set HF_TOKEN"
    return f"{reason_of(error)}; {login if is_closed else 'without network name a local folder'}"


def default_device() -> str:
    """This process's accelerator, else the CPU."""
    return str(PartialState().device)


def is_sharded(by: str | None = None) -> bool:
    """Whether `accelerate launch` cuts weights over devices: by FSDP or ZeRO-3, or by the one named."""
    stage = os.environ.get("ACCELERATE_DEEPSPEED_ZERO_STAGE") if parse_flag_from_env("ACCELERATE_USE_DEEPSPEED") else ""
    used = {"FSDP": parse_flag_from_env("ACCELERATE_USE_FSDP"), "ZeRO-3": stage == "3"}
    return used[by] if by else any(used.values())


def split_revision(source: str) -> tuple[str, str | None]:
    """The Hub id and the revision of `owner/name@revision`; anything else is only a name."""
    match = re.fullmatch(r"([^/@\s]+/[^/@\s]+)@(\S+)", source)
    return (match[1], match[2]) if match and not Path(source).exists() else (source, None)
