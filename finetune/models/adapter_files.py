"""Adapters on disk and on the Hub: found, put on a base model, or begun from."""

import json
import sys
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import safe_open
from safetensors.torch import load_file

from finetune.config.packaged import DEMO
from finetune.config.recipe import Lora, Model, Tune
from finetune.models.adapter_patterns import refuse_slow_patterns
from finetune.models.adapters import PEFT_PREFIX, tuned_towers
from finetune.models.families import captioner_class
from finetune.models.families.base import Captioner
from finetune.models.loading import REPAIR, base_name, hub_problem, refuse_damaged, refuse_not_finite, split_revision
from metrics.common.errors import UserError
from metrics.common.files import read_json_object, sha256, write_text
from metrics.encoders.safe_loading import no_pickles

MODEL_FOLDER = "model"
CONFIG, WEIGHTS, PICKLED = "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"


def adapter_folder(source: str) -> Path:
    """The folder that holds an adapter: itself, its run's, or fetched from the Hub by `owner/name[@revision]`.

    Raises `UserError` if there is no adapter, or a damaged one.
    """
    folder = Path(source)
    if not folder.exists():
        folder = _fetched(source)
    elif (folder / MODEL_FOLDER).is_dir():
        folder = folder / MODEL_FOLDER
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise UserError(f"adapter {source}: does not load: no {name} in {folder}{_what_it_holds(folder)}")
    _read_config(folder)
    refuse_damaged(folder / WEIGHTS)
    with safe_open(folder / WEIGHTS, "pt") as file:
        refuse_not_finite(folder / WEIGHTS, ((name, file.get_tensor(name)) for name in file.keys()))  # noqa: SIM118
    return folder


def _what_it_holds(folder: Path) -> str:
    """Why a folder has no adapter that loads, if it shows."""
    if any(folder.glob("model*.safe*")):
        return "; it holds a whole model, which --model loads"
    pickled = (folder / PICKLED).is_file()
    return f"; {PICKLED} is pickled, which is not loaded: save the adapter as safetensors" if pickled else ""


def run_of(folder: Path) -> Path:
    """The folder of the run that an adapter's folder is in; itself if it is in none."""
    return folder.parent if folder.name == MODEL_FOLDER else folder


def adapter_name(source: str) -> str:
    """What an adapter is called: its run's folder, its own folder, or its name on the Hub."""
    path = Path(split_revision(source)[0]).absolute()
    return path.parent.name if path.name == MODEL_FOLDER else path.name


def _fetched(source: str) -> Path:
    name, revision = split_revision(source)
    if name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise UserError(f"adapter {source}: no such folder, and no Hub id (owner/name or owner/name@revision)")
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=[CONFIG, WEIGHTS]))
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise UserError(
            f"adapter {source}: no such folder, and it could not be fetched from the Hub: {hub_problem(error)}"
        ) from error


def load_adapter(captioner: Captioner, source: str) -> str:
    """Put a trained adapter on the captioner's base model, beside those that it has, and use it; its name there.

    Raises `UserError` if it does not fit; prints a note on stderr if it was trained on a base of another name.
    """
    folder = adapter_folder(source)
    _note_other_base(captioner, source, folder)
    model = captioner.model
    refuse_slow_patterns(_read_config(folder), (module for module, _ in model.named_modules()), f"adapter {source}")
    name = f"adapter{len(model.peft_config)}" if isinstance(model, PeftModel) else "default"
    try:
        with no_pickles():
            if isinstance(model, PeftModel):
                model.load_adapter(str(folder), name, is_trainable=False)
            else:
                captioner.model = PeftModel.from_pretrained(model, str(folder), name).eval()
        _refuse_other_layers(captioner.model, folder, name)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # PEFT checks no types
        reason = shorten(str(error) or type(error).__name__, 300)
        raise UserError(f"adapter {source}: does not load on this base model: {reason}") from error
    captioner.model.set_adapter(name, inference_mode=True)
    return name


def _refuse_other_layers(model: PeftModel, folder: Path, name: str) -> None:
    """PEFT passes over layers that only one side has; the caption would come from half an adapter."""
    with safe_open(folder / WEIGHTS, "pt") as file:
        stored = set(file.keys())
    differing = stored ^ set(get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False))
    if differing:
        raise ValueError(f"{len(differing)} tensors are on one side only, for example {min(differing)}")


def _note_other_base(captioner: Captioner, source: str, folder: Path) -> None:
    """Two bases of one shape take each other's adapters, and write nonsense with them."""
    trained_on = _read_config(folder).get("base_model_name_or_path")
    used = captioner.model.config.name_or_path
    if trained_on and base_name(str(trained_on)) != base_name(used):
        print(f"note: adapter {source} was trained on {trained_on}, and is put on {used}", file=sys.stderr)


def record_packaged_base(folder: Path) -> None:
    """Let an adapter trained on the packaged base name it `demo`, not by a path of this machine."""
    config = _read_config(folder)
    if base_name(str(config.get("base_model_name_or_path"))) == DEMO:
        write_text(folder / CONFIG, json.dumps(config | {"base_model_name_or_path": DEMO}, indent=2, sort_keys=True))


def _read_config(folder: Path) -> dict[str, Any]:
    return read_json_object(folder / CONFIG, REPAIR)


def starting_point(model: Model, tune: Tune, lora: Lora, source: str | None) -> dict[str, str] | None:
    """What a run that begins from an adapter records of it: its source, and the hash of its weights.

    Raises `UserError` with all that keeps the recipe's sections from continuing with that adapter, before the base is
    loaded.
    """
    if source is None:
        return None
    if not tuned_towers(tune)[0]:
        raise UserError(f"--init-from {source}: begins from an adapter, but tune has no tower with lora")
    folder = adapter_folder(source)
    differing = _differences(model, tune, lora, folder)
    if differing:
        raise UserError(f"--init-from {source}: this recipe cannot continue with it: {'; '.join(differing)}")
    return {"adapter": source, "sha256": sha256(folder / WEIGHTS)}


def _differences(model: Model, tune: Tune, lora: Lora, folder: Path) -> list[str]:
    config = _read_config(folder)
    bases = str(config.get("base_model_name_or_path")), model.base
    tuned = {tower for tower, how in tune if how != "frozen"}
    revision = config.get("revision") or model.revision  # adapters of earlier versions do not name it
    pairs = {
        "base": bases if base_name(bases[0]) != base_name(bases[1]) else ("", ""),
        "model.revision": (revision, model.revision),
        "lora.rank": (config.get("r"), lora.rank),
        "lora.alpha": (config.get("lora_alpha"), lora.alpha),
        "lora.rslora": (config.get("use_rslora"), lora.rslora),
        "lora.dora": (config.get("use_dora"), lora.dora),
        "towers": tuple(", ".join(sorted(towers)) for towers in (_towers(model, folder), tuned)),
    }
    return [f"{name}: {one} there, {other} here" for name, (one, other) in pairs.items() if one != other]


def tuned_parameters(folder: Path) -> set[str]:
    """The names of an adapter's tensors, as those of the bare model begin."""
    with safe_open(folder / WEIGHTS, "pt") as file:
        return {key.removeprefix(PEFT_PREFIX) for key in file.keys()}  # noqa: SIM118


def _towers(model: Model, folder: Path) -> set[str]:
    """The towers that an adapter's tensors belong to. Raises `UserError` if they are of another family."""
    family = captioner_class(model.family)
    try:
        return {family.tower_of(name) for name in tuned_parameters(folder)}
    except ValueError as error:
        raise UserError(f"adapter {folder}: of another family than model.family {model.family}: {error}") from error


def start_from(captioner: Captioner, source: str) -> None:
    """Give the captioner's fresh adapters the weights of a trained one. Raises `UserError` if layers differ."""
    trained = load_file(adapter_folder(source) / WEIGHTS)
    fresh = get_peft_model_state_dict(captioner.model, save_embedding_layers=False)
    one_sided = trained.keys() ^ fresh.keys()
    if one_sided:
        raise UserError(
            f"--init-from {source}: lora.modules: its targets are not the recipe's; {len(one_sided)} tensors are "
            f"on one side only, for example {min(one_sided)}"
        )
    reshaped = [name for name, tensor in trained.items() if tensor.shape != fresh[name].shape]
    if reshaped:
        one, other = (list(tensors[reshaped[0]].shape) for tensors in (trained, fresh))
        raise UserError(f"--init-from {source}: of another base: {reshaped[0]} is {one} there, {other} here")
    with torch.no_grad():
        set_peft_model_state_dict(captioner.model, trained)
