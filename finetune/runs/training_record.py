"""The record of a finished training, and what a captioning run records of its catalogue."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.config.history import with_current_names, with_old_values
from finetune.config.recipe import Recipe, parse_recipe
from finetune.runs.folder import RunFolder
from metrics.common.errors import UserError
from metrics.records.json_reader import JsonReader
from metrics.records.run import CatalogueInfo, TrainingRecord

if TYPE_CHECKING:
    from finetune.data.preparation import Prepared  # imports pandas; a claim is read before that


def read_training(path: Path) -> TrainingRecord | None:
    """The record of a training run's folder; None if `path` is no finished run.

    Raises `UserError` if the record cannot be read or holds no recipe.
    """
    file = RunFolder(path).training
    if not file.is_file():
        return None
    record = TrainingRecord.read(file)
    if not record.recipe:
        raise UserError(f"{file}: expected the recipe of the training in it, found none; {record.REMEDY}")
    return replace(record, recipe=with_current_names(record.recipe, str(file)))


def trained_recipe(record: TrainingRecord, source: str) -> Recipe:
    """The recipe of a finished training, as it was trained: keys added since have the values of then."""
    return parse_recipe(with_old_values(record.recipe, record.recipe), source)


def catalogue_of(prepared: "Prepared") -> dict[str, Any]:
    """The fields of a `RunRecord` that describe the catalogue."""
    values = prepared.account.for_run_record()
    return values | {"catalogue": CatalogueInfo.read(JsonReader(values["catalogue"], "catalogue", "prepare it again"))}
