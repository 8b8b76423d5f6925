"""Which run a folder holds: its recipe, its data, the adapter it began from. Two runs never share a folder."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from finetune.config.history import with_current_names, with_old_values
from finetune.config.recipe import Recipe, load_recipe, parse_recipe
from finetune.runs.folder import PREPARED, RunFolder
from finetune.runs.training_record import read_training
from metrics.common.errors import UserError
from metrics.common.files import read_json_object, write_text
from metrics.common.ownership import Contents, claim_folder, is_ours, refuse_foreign
from metrics.records.json_reader import JsonReader

START = "init_from"
_OTHER = "choose another output=..."
_TRAINING_MARK = ('"recipe": ', '"versions": ')  # keys of every record of a training
# Beside what is prepared, the baselines that `run` wrote there, marked in the output alone by earlier versions.
_OF_CATALOGUE = replace(PREPARED, beside=(*PREPARED.beside, "captions"))
# What is written, scored and published may change after training, and micro-batches are chosen by the memory there is.
_NOT_IDENTITY = ("language", "decoding", "baselines", "scoring", "training.micro_batch_size")


@dataclass(frozen=True)
class Claim:
    """What a run's folder is marked with: its recipe as plain values, hash of its data, the adapter it began from."""

    recipe: dict[str, Any]
    fingerprint: str | None
    start: dict[str, Any] | None


def load_begun(path: Path, overrides: Iterable[str] = ()) -> Recipe:
    """Read a recipe, as the run in its output was begun (see `as_begun`). Raises `UserError`."""
    return as_begun(load_recipe(path, overrides))


def as_begun(recipe: Recipe) -> Recipe:
    """The recipe, with what its unfinished run was begun with for keys that neither of them gives.

    A key that a later version added may have a default that is not what was done before.
    """
    claim = read_claim(recipe.output)
    if claim is None:
        return recipe
    source = str(RunFolder(recipe.output).recipe)
    dumped = recipe.model_dump(mode="json", exclude_unset=True)
    given = with_old_values(dumped, claim.recipe, recipe.model_dump(mode="json"))
    return parse_recipe(given, source)


def is_finished(recipe: Recipe, *, resume: bool) -> bool:
    """Whether the recipe's output holds its finished training.

    Raises `UserError` if the output holds a run of another recipe, what is not ours, or (unless `resume`) any run, or
    if the record of its training is damaged.
    """
    folder, claim = RunFolder(recipe.output), read_claim(recipe.output)
    _refuse_foreign(recipe)
    if claim is not None:
        differing = _differing(_as_read_today(claim, folder), recipe_values(recipe))
        if differing:
            raise UserError(
                f"{folder.path}: holds a run of another recipe ({', '.join(differing)} differ); "
                "choose another output=..., or remove that folder"
            )
        if not resume:
            raise UserError(f"{folder.path}: holds this recipe's run; resume it with --resume, or remove that folder")
    return read_training(folder.path) is not None


def own_output(recipe: Recipe) -> None:
    """Mark the recipe's output as ours, before anything is written there; that of a begun run needs no mark.

    Raises `UserError` if it holds what is not ours.
    """
    _refuse_foreign(recipe)
    if not _has_begun(recipe.output):
        claim_folder(recipe.output, _contents(recipe), _OTHER)
        for name in _catalogue_folders(recipe):
            claim_folder(recipe.output / name, _OF_CATALOGUE, _OTHER)


def _has_begun(path: Path) -> bool:
    """Whether a training that we began is in the folder, of which the claim may have been lost."""
    record = RunFolder(path).training
    return read_claim(path) is not None or (is_ours(record, _TRAINING_MARK) and record.stat().st_size > 0)


def _refuse_foreign(recipe: Recipe) -> None:
    """Raise `UserError` if no training of ours has begun in the output, and anything in it is not ours."""
    folder = RunFolder(recipe.output)
    if not _has_begun(folder.path):
        refuse_foreign(folder.path, _contents(recipe), _OTHER)
        for name in _catalogue_folders(recipe):
            refuse_foreign(folder.path / name, _OF_CATALOGUE, _OTHER)
        refuse_foreign(folder.model, Contents({}), _OTHER)
        refuse_foreign(folder.checkpoints, Contents({".writing": ""}), _OTHER)


def _contents(recipe: Recipe) -> Contents:
    """What is in the output before the training: of several catalogues, a folder for each."""
    return replace(PREPARED, names={**PREPARED.names, **dict.fromkeys(_catalogue_folders(recipe), "")})


def _catalogue_folders(recipe: Recipe) -> list[str]:
    """The names of the folders of several catalogues; a single one has the output itself."""
    return list(recipe.catalogues) if len(recipe.catalogues) > 1 else []


def refuse_other_data(recipe: Recipe) -> None:
    """Raise `UserError` if the output is not ours, or holds a run on other data, whose reference files must stay."""
    claim = read_claim(recipe.output)
    _refuse_foreign(recipe)
    if claim is None:
        return
    began = _as_read_today(claim, RunFolder(recipe.output))
    differing = _differing({"data": began["data"]}, {"data": recipe_values(recipe)["data"]})
    if differing:
        raise UserError(
            f"{recipe.output}: holds a run on other data ({', '.join(differing)} differ); choose another output=..."
        )


def refuse_other_start(recipe: Recipe, start: dict[str, Any] | None) -> None:
    """Raise `UserError` if the run in the recipe's output began from another adapter than `start`, or from none."""
    claim = read_claim(recipe.output)
    began = start if claim is None else claim.start
    if (began or {}).get("sha256") != (start or {}).get("sha256"):
        how = f"from the adapter {began['adapter']}" if began else "with new adapters"
        remedy = f"give --init-from {began['adapter']}, unchanged" if began else "leave --init-from out"
        raise UserError(f"{recipe.output}: its run began {how}; {remedy}, or choose another output=...")


def claim_output(recipe: Recipe, fingerprint: str, start: dict[str, Any] | None = None) -> None:
    """Mark the recipe's output as the run of this recipe on the data with this fingerprint, begun from `start`.

    Raises `UserError` if the run there was trained on other rows or photos: its numbers would be wrong.
    """
    folder, claim = RunFolder(recipe.output), read_claim(recipe.output)
    if claim is not None and claim.fingerprint != fingerprint:
        raise UserError(
            f"{folder.path}: the catalogue has changed since this run began (rows, photos, their folder, or how "
            "Lookbook prepares it), so its split may be another; choose another output=..., or remove that folder"
        )
    folder.path.mkdir(parents=True, exist_ok=True)
    start = start or (claim.start if claim else None)
    values = {"catalogue": fingerprint, "recipe": recipe_values(recipe)} | ({START: start} if start else {})
    write_text(folder.recipe, json.dumps(values, indent=1))


def read_claim(path: Path) -> Claim | None:
    """The claim of the run in a folder; None if its training never came to a checkpoint."""
    folder = RunFolder(path)
    began = folder.training.is_file() or any(folder.checkpoints.glob("checkpoint-*"))
    if not began or not folder.recipe.is_file():
        return None
    source, remedy = str(folder.recipe), "restore that file, or train into another output=FOLDER"
    reader = JsonReader(read_json_object(folder.recipe, remedy), source, remedy)
    if not reader.mapping("recipe"):
        raise reader.error("expected the recipe of the run in this folder, found none")
    recipe = with_current_names(reader.mapping("recipe"), source)
    return Claim(recipe, reader.text("catalogue"), dict(reader.mapping(START)) or None)


def recipe_values(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain values."""
    return dict(recipe.model_dump(mode="json", exclude_none=True))


def _as_read_today(claim: Claim, folder: RunFolder) -> dict[str, Any]:
    """The claimed recipe as this version reads it: sections by their current names, keys added since as before."""
    source = str(folder.recipe)
    return recipe_values(parse_recipe(with_old_values(claim.recipe, claim.recipe), source))


def _differing(began: dict[str, Any], wanted: dict[str, Any], prefix: str = "") -> list[str]:
    """Dotted keys that decide about a training and are not equal in two recipes."""
    keys = []
    for key in sorted(began.keys() | wanted.keys()):
        one, other = _by_place(began.get(key)), _by_place(wanted.get(key))
        if isinstance(one, dict) and isinstance(other, dict):
            keys += _differing(one, other, f"{prefix}{key}.")
        elif one != other and not f"{prefix}{key}".startswith(_NOT_IDENTITY):
            keys.append(prefix + key)
    return keys


def _by_place(value: Any) -> Any:
    """Lists of sections compare entry by entry."""
    return {str(place): entry for place, entry in enumerate(value)} if isinstance(value, list) else value
