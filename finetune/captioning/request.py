"""The command `caption`: which model, which photos, where to."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from finetune.captioning.captioning import Selection, caption_catalogue, caption_photos
from finetune.captioning.export import Format
from finetune.config.catalogues import Folder
from finetune.config.recipe import Recipe
from finetune.data.mixture import prepare_one
from finetune.data.preparation import ALL_SPLITS, Prepared, prepare
from finetune.models.adapter_files import adapter_name
from finetune.runs.captioning_system import load_systems
from finetune.runs.claim import load_begun
from finetune.runs.processes import distributed
from metrics.common.errors import UserError


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


def run(request: CaptionRequest) -> None:
    """Check the request, then caption photos to the screen or a catalogue to a file."""
    _check(request)
    recipe = _recipe(request)
    names = _names(request.adapters)
    state = distributed()
    if request.photos and not state.is_main_process:
        return
    if request.photos:
        _caption_photos(request, recipe, names)
        return
    with state.main_process_first():
        prepared, default_split = _prepared(request, recipe)
    selection = Selection(request.split or default_split, _ids(request.ids), request.limit)
    selection.items(prepared)
    systems = load_systems(request.model, request.adapters, recipe)
    for (name, out), system in zip(_outputs(request, names), systems, strict=True):
        records = caption_catalogue(system, prepared, selection, out, name, request.form)  # type: ignore[arg-type]
        finished = sum(bool(record.finished) for record in records)
        state.print(f"{out}: {len(records):,} captions, {finished:,} of them ended with the stop token")


def _caption_photos(request: CaptionRequest, recipe: Recipe | None, names: Sequence[str]) -> None:
    """Print each photo's caption by each adapter."""
    systems = load_systems(request.model, request.adapters, recipe)
    if len(names) < 2:
        for photo, generated in caption_photos(next(systems), request.photos):
            print(f"{photo}: {generated.caption}")
        return
    captions = [[generated.caption for _, generated in caption_photos(one, request.photos)] for one in systems]
    for photo, of_photo in zip(request.photos, zip(*captions, strict=True), strict=True):
        for name, caption in zip(names, of_photo, strict=True):
            print(f"{photo}: {name}: {caption}")


def _names(adapters: Sequence[str]) -> list[str]:
    """The name of each adapter: of its run's folder, its own, or its Hub id. Raises `UserError` if two are equal."""
    names = [adapter_name(adapter) for adapter in adapters]
    clash = next((name for name in names if names.count(name) > 1), None)
    if clash:
        same = ", ".join(adapter for adapter, name in zip(adapters, names, strict=True) if name == clash)
        raise UserError(f"--adapter: {same} are both called {clash}; rename a folder, or caption with one at a time")
    return names


def _outputs(request: CaptionRequest, names: Sequence[str]) -> list[tuple[str | None, Path]]:
    """The name and the file of each system; with several adapters, --out is the folder of their folders."""
    out = request.out or Path()
    if len(names) < 2:
        return [(request.name, out)]
    return [(name, out / name / f"captions.{request.form}") for name in names]


def _check(request: CaptionRequest) -> None:
    if not request.model:
        raise UserError("--model is missing: a run's folder, a model's folder or a Hub id")
    if request.form not in get_args(Format):
        raise UserError(f"--format {request.form}: expected one of {', '.join(get_args(Format))}")
    if request.split not in (None, "all", *ALL_SPLITS):
        raise UserError(f"--split {request.split}: expected one of all, {', '.join(ALL_SPLITS)}")
    absent = [str(photo) for photo in request.photos if not photo.is_file()]
    if absent:
        raise UserError(f"{', '.join(absent[:5])}: no such photo")
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


def _recipe(request: CaptionRequest) -> Recipe | None:
    if request.data and request.data.is_file():
        return load_begun(request.data, request.overrides)
    if request.overrides:
        raise UserError("--set changes a recipe: give one with --data")
    if request.catalogue is not None:
        raise UserError("--catalogue chooses among the catalogues of a recipe: give one with --data")
    return None


def _prepared(request: CaptionRequest, recipe: Recipe | None) -> tuple[Prepared, str]:
    if recipe is not None:
        return prepare_one(recipe.catalogues, recipe.training.seed, request.catalogue), "test"
    return prepare(Folder(catalogue="folder", folder=str(request.data), table=None)), "all"


def _ids(path: Path | None) -> frozenset[str] | None:
    if path is None:
        return None
    try:
        ids = frozenset(line for line in map(str.strip, path.read_text(encoding="utf-8").splitlines()) if line)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--ids {path}: cannot read: {error}") from None
    if not ids:
        raise UserError(f"--ids {path}: contains no ids; expected one per line")
    return ids
