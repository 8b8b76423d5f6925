"""The command `caption`, as it was asked: which model, which photos, where to. Nothing here imports torch."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from finetune.config.catalogues import ALL_SPLITS
from finetune.config.recipe import Recipe
from finetune.runs.place import DECODING, catalogue_recipe, refuse_without_recipe
from metrics.common.errors import UserError
from metrics.common.ownership import is_ours, refuse_inputs, refuse_other
from metrics.records.captions import RECORDS_MARK
from metrics.records.run import RUN_FILE, read_run

Format = Literal["jsonl", "csv", "parquet"]
_RECORD_MARK = '"bad_images": '
_MARKS = (RECORDS_MARK, ",logprob,tokens,finished", ('"field_name": "logprob"', '"field_name": "finished"'))


@dataclass(frozen=True)
class CaptionRequest:
    """The arguments of the command line."""

    photos: Sequence[Path]
    model: str
    adapters: Sequence[str]
    data: Path | None
    split: str | None
    out: Path | None
    ids: Path | None
    form: str
    name: str | None
    limit: int | None
    catalogue: str | None
    overrides: Sequence[str]
    overwrite: bool = False


def check(request: CaptionRequest) -> None:
    """Raise `UserError` if the request lacks something, contradicts itself or names a file that is missing."""
    if not request.model:
        raise UserError("--model is missing: a run's folder, a model's folder or a Hub id")
    if request.form not in get_args(Format):
        raise UserError(f"--format {request.form}: expected one of {', '.join(get_args(Format))}")
    if request.split not in (None, "all", *ALL_SPLITS):
        raise UserError(f"--split {request.split}: expected one of all, {', '.join(ALL_SPLITS)}")
    folders = [str(photo) for photo in request.photos if photo.is_dir()]
    if folders:
        raise UserError(f"{folders[0]}: a folder; give it by --data {folders[0]} --out captions.jsonl")
    absent = [str(photo) for photo in request.photos if not photo.exists()]
    if absent:
        change = next((name for name in absent if re.fullmatch(r"\w+(\.\w+)+=.*", name)), None)
        hint = f"; to change a setting write --set {change}" if change else ""
        raise UserError(f"{', '.join(absent[:5])}: no such photo{hint}")
    if bool(request.photos) == bool(request.data):
        raise UserError("give either photos, or --data with a recipe or a folder")
    unused = [
        name for name in ("split", "out", "ids", "limit", "name", "catalogue") if getattr(request, name) is not None
    ]
    if request.photos and (unused or request.form != "jsonl"):
        raise UserError(f"--{(unused or ['format'])[0]}: captions of single photos are printed; use --data FOLDER")
    _check_out(request)
    if request.data and not request.data.exists():
        raise UserError(f"--data {request.data}: no such recipe or folder")


def _check_out(request: CaptionRequest) -> None:
    out, several = request.out, len(request.adapters) > 1
    if request.data and not out:
        raise UserError(f"--out is missing: the {'folder' if several else 'file'} that the captions go to")
    if several and request.name is not None:
        raise UserError("--name: several adapters are each named after their folder; leave --name out")
    if out and several and out.exists() and not out.is_dir():
        raise UserError(f"--out {out}: is a file; with several adapters give a folder, which gets a folder for each")
    if out and not several and out.is_dir():
        raise UserError(f"--out {out}: is a folder; give a file, for example {out / 'captions.jsonl'}")
    if out and not several:
        refuse_other_captions(out, request.overwrite)
        if not request.overwrite:
            refuse_inputs([out, out.with_name(RUN_FILE)], [request.data, request.ids])


def refuse_other_captions(out: Path, overwrite: bool | None = None) -> None:
    """Raise `UserError` if captions written to `out`, with their record beside it, would replace what is not ours.

    Not if the command is told to `overwrite`; None: it has no such option.
    """
    if out.name == RUN_FILE:
        raise UserError(f"{out}: is what the record beside the captions is called; give another --out")
    refuse_other(out.with_name(RUN_FILE), _RECORD_MARK, "record of captions", overwrite=overwrite)
    if not _is_recorded(out) and not any(is_ours(out, mark) for mark in _MARKS):
        refuse_other(out, RECORDS_MARK, "file of captions that Lookbook wrote", overwrite=overwrite)


def _is_recorded(out: Path) -> bool:
    """Whether a record of ours beside it names the file, as for captions that were changed since."""
    try:
        run = read_run(out) if is_ours(out.with_name(RUN_FILE), _RECORD_MARK) else None
    except UserError:
        return False
    return run is not None and run.file == out.name and out.is_file()


def recipe_of(request: CaptionRequest) -> Recipe | None:
    """The recipe whose catalogue is captioned; None for photos and folders. Raises `UserError`."""
    if request.data is None:
        refuse_without_recipe(request.overrides, request.catalogue, (DECODING,))
        return None
    return catalogue_recipe(request.data, request.overrides, request.catalogue, decodes=True)
