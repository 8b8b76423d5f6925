"""The folder of a run: where each thing lies, and the record of its training."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune import adapters
from finetune.config import Decoding, Model, Recipe, parse_recipe
from finetune.families import captioner_class
from finetune.families.base import Captioner
from finetune.preparation import Prepared
from metrics.errors import UserError
from metrics.files import atomic_writer

TRAINING_FILE = "training.json"
RECIPE_FILE = "recipe.json"
MODEL_FOLDER = "model"
CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class System:
    """A model that writes captions, and all that decides what it writes."""

    captioner: Captioner
    prompt: str
    decoding: Decoding
    model: str
    adapter: str | None
    training: dict[str, Any]


def write_run(folder: Path, info: dict[str, Any]) -> None:
    """Write `run.json` beside a system's captions."""
    with atomic_writer(folder / "run.json") as file:
        json.dump(info, file, indent=1)


def read_run(folder: Path) -> dict[str, Any]:
    """The `run.json` of a system's captions; empty where there is none that can be read."""
    try:
        return dict(json.loads((folder / "run.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def account_of(prepared: Prepared) -> dict[str, Any]:
    """The parts of `run.json` that tell of the catalogue."""
    account = prepared.account
    catalogue = {key: account[key] for key in ("name", "folder", "counts", "split", "bad_images")}
    dropped = {rule: len(ids) for rule, ids in account["dropped"].items()}
    return {"catalogue": catalogue | {"dropped": dropped}, "leak_audit": account["leak_audit"]}


def write_training(folder: Path, record: dict[str, Any]) -> None:
    """Keep what `run.json` will tell of the training."""
    with atomic_writer(folder / TRAINING_FILE) as file:
        json.dump(record, file, indent=1)


def check_output(recipe: Recipe, *, resume: bool) -> bool:
    """Whether the recipe's output holds its finished training. Claims an empty output for the recipe.

    Raises `UserError` where the output holds a run of another recipe, or (unless `resume`) any run.
    """
    folder, wanted = recipe.output, recipe_values(recipe)
    claim = folder / RECIPE_FILE
    if claim.is_file():
        differing = _differing(json.loads(claim.read_text(encoding="utf-8")), wanted)
        if differing:
            raise UserError(
                f"{folder}: holds a run of another recipe ({', '.join(differing)} differ); "
                "choose another output=..., or remove that folder"
            )
        if not resume:
            raise UserError(f"{folder}: holds this recipe's run already; go on with --resume, or remove that folder")
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_writer(claim) as file:
        json.dump(wanted, file, indent=1)
    return (folder / TRAINING_FILE).is_file()


def recipe_values(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain values."""
    return dict(recipe.model_dump(mode="json", exclude_none=True))


def _differing(found: dict[str, Any], wanted: dict[str, Any], prefix: str = "") -> list[str]:
    """Dotted keys of training that two recipes do not share; decoding may change between captions."""
    keys = []
    for key in sorted(found.keys() | wanted.keys()):
        one, other = found.get(key), wanted.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            keys += _differing(one, other, f"{prefix}{key}.")
        elif one != other and not prefix.startswith("decoding."):
            keys.append(prefix + key)
    return keys


def read_training(folder: Path) -> dict[str, Any] | None:
    """The record of a training run's folder; None where `folder` is no run."""
    path = folder / TRAINING_FILE
    if not path.is_file():
        return None
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise UserError(f"{path}: not JSON: {error}; was the run cut off? Train again") from None


def load_system(model: str, adapter: str | None, recipe: Recipe | None) -> System:
    """Load a run's folder, or a base model (Hub id or folder) with an adapter or without.

    A run brings its own recipe; a base model takes prompt, decoding, family and number format from `recipe`.
    """
    training = read_training(Path(model))
    if training is None and (Path(model) / RECIPE_FILE).is_file():
        raise UserError(f"{model}: its training has not ended; go on by `train ... --resume`")
    if training is None:
        config = recipe.model.model_copy(update={"base": model}) if recipe else Model(base=model)
        captioner = captioner_class(config.family).load(config)
        source = recipe
    else:
        source = parse_recipe(training["recipe"], f"{model}/{TRAINING_FILE}")
        trained = str(Path(model) / MODEL_FOLDER)
        is_adapter = (Path(trained) / "adapter_config.json").is_file()
        config = source.model if is_adapter else source.model.model_copy(update={"base": trained, "revision": None})
        captioner = captioner_class(config.family).load(config)
        adapter = adapter or (trained if is_adapter else None)
        source = recipe or source
    if adapter:
        inside = Path(adapter) / MODEL_FOLDER
        adapter = str(inside) if inside.is_dir() else adapter
        adapters.load_adapter(captioner, adapter)
    return System(
        captioner,
        source.prompt if source else "",
        source.decoding if source else Decoding(),
        config.base,
        adapter,
        training or {},
    )
