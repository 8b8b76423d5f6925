"""The folder of a run: where each thing lies, and the record of its training."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from finetune.models import adapter_files
from finetune.models.adapter_files import adapter_folder, load_adapter, run_of
from finetune.config.recipe import Decoding, Model, Recipe, parse_recipe
from finetune.models.families import captioner_class
from finetune.models.families.base import Captioner
from finetune.data.preparation import Prepared
from metrics.common.errors import UserError
from metrics.common.files import atomic_writer

TRAINING_FILE = "training.json"
RECIPE_FILE = "recipe.json"
TRAINED_ON = "trained-on.jsonl"
MODEL_FOLDER = adapter_files.MODEL_FOLDER
CHECKPOINTS = "checkpoints"
START = "init_from"


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
    catalogue = {key: account[key] for key in ("name", "folder", "counts", "split", "bad_images", "notes")}
    dropped = {rule: len(ids) for rule, ids in account["dropped"].items()}
    return {"catalogue": catalogue | {"dropped": dropped}, "leak_audit": account["leak_audit"]}


def write_training(folder: Path, record: dict[str, Any]) -> None:
    """Keep what `run.json` will tell of the training."""
    with atomic_writer(folder / TRAINING_FILE) as file:
        json.dump(record, file, indent=1)


def check_output(recipe: Recipe, *, resume: bool) -> bool:
    """Whether the recipe's output holds its finished training.

    Raises `UserError` where the output holds a run of another recipe, or (unless `resume`) any run.
    """
    folder = recipe.output
    claim = read_claim(folder)
    if claim is not None:
        differing = _differing(claim.get("recipe", {}), recipe_values(recipe))
        if differing:
            raise UserError(
                f"{folder}: holds a run of another recipe ({', '.join(differing)} differ); "
                "choose another output=..., or remove that folder"
            )
        if not resume:
            raise UserError(f"{folder}: holds this recipe's run already; go on with --resume, or remove that folder")
    return (folder / TRAINING_FILE).is_file()


def refuse_other_data(recipe: Recipe) -> None:
    """Raise `UserError` where the output holds a run on other data, whose reference files must stay."""
    claim, data = read_claim(recipe.output) or {}, recipe_values(recipe)["data"]
    differing = _differing({"data": claim.get("recipe", {}).get("data", data)}, {"data": data})
    if differing:
        raise UserError(
            f"{recipe.output}: holds a run on other data ({', '.join(differing)} differ); choose another output=..."
        )


def refuse_other_start(recipe: Recipe, start: dict[str, Any] | None) -> None:
    """Raise `UserError` where the run in the recipe's output began from another adapter than `start`, or from none."""
    found = (read_claim(recipe.output) or {START: start}).get(START)
    if (found or {}).get("sha256") != (start or {}).get("sha256"):
        began = f"from the adapter {found['adapter']}" if found else "with fresh adapters"
        what = f"give --init-from {found['adapter']} as it was then" if found else "leave --init-from out"
        raise UserError(f"{recipe.output}: its run began {began}; {what}, or choose another output=...")


def claim_output(recipe: Recipe, prepared: Prepared, start: dict[str, Any] | None = None) -> None:
    """Mark the recipe's output as the run of this recipe on this very data, begun from the adapter `start`.

    Raises `UserError` where the run there was trained on other rows or photos: its numbers would be wrong.
    """
    folder, fingerprint = recipe.output, prepared.account["fingerprint"]
    claim = read_claim(folder)
    if claim is not None and claim.get("catalogue") != fingerprint:
        raise UserError(
            f"{folder}: the catalogue has changed since this run began (rows, photos, their folder, or how Lookbook "
            "prepares it), so its split may be another; choose another output=..., or remove that folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    start = start or (claim or {}).get(START)
    values = {"catalogue": fingerprint, "recipe": recipe_values(recipe)} | ({START: start} if start else {})
    with atomic_writer(folder / RECIPE_FILE) as file:
        json.dump(values, file, indent=1)


def read_claim(folder: Path) -> dict[str, Any] | None:
    """The recipe and catalogue of the run in `folder`; None where training never came to a checkpoint."""
    began = (folder / TRAINING_FILE).is_file() or any((folder / CHECKPOINTS).glob("checkpoint-*"))
    return _read_object(folder / RECIPE_FILE) if began else None


def recipe_values(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain values."""
    return dict(recipe.model_dump(mode="json", exclude_none=True))


def _differing(found: dict[str, Any], wanted: dict[str, Any], prefix: str = "") -> list[str]:
    """Dotted keys of training that two recipes do not share; decoding and scoring may change after it."""
    keys = []
    for key in sorted(found.keys() | wanted.keys()):
        one, other = _by_place(found.get(key)), _by_place(wanted.get(key))
        if isinstance(one, dict) and isinstance(other, dict):
            keys += _differing(one, other, f"{prefix}{key}.")
        elif one != other and not f"{prefix}{key}".startswith(("decoding", "scoring")):
            keys.append(prefix + key)
    return keys


def _by_place(value: Any) -> Any:
    """Lists of sections compare entry by entry."""
    return {str(place): entry for place, entry in enumerate(value)} if isinstance(value, list) else value


def read_training(folder: Path) -> dict[str, Any] | None:
    """The record of a training run's folder; None where `folder` is no run."""
    record = _read_object(folder / TRAINING_FILE)
    if record is not None and not isinstance(record.get("recipe"), dict):
        raise UserError(f"{folder / TRAINING_FILE}: holds no recipe; train again")
    return record


def _read_object(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON: {error}; remove the run's folder and train again") from None
    if not isinstance(found, dict):
        raise UserError(f"{path}: expected an object, found {type(found).__name__}; remove the run's folder")
    return found
