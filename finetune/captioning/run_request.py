"""The work of the command `caption`: photos to the screen, a catalogue to a file."""

from collections.abc import Sequence
from pathlib import Path

from finetune.captioning.captioning import Selection, caption_catalogue, caption_photos
from finetune.captioning.request import CaptionRequest
from finetune.config.catalogues import Folder
from finetune.config.recipe import Recipe
from finetune.data.catalogues import loader_of
from finetune.data.mixture import prepare_one
from finetune.data.photo_check import check_photos, note_unusable
from finetune.data.preparation import Prepared, note_left_out, prepare
from finetune.models.adapter_files import adapter_name
from finetune.runs.captioning_system import load_systems
from finetune.runs.place import with_outside
from finetune.runs.processes import distributed
from metrics.common.errors import UserError
from metrics.common.files import refuse_special
from metrics.common.formatting import printable
from metrics.common.ownership import refuse_inputs


def run(request: CaptionRequest, recipe: Recipe | None) -> None:
    """Caption photos to the screen, or a folder or the catalogue of `recipe` to a file."""
    names = _names(request.adapters)
    state = distributed()
    if request.photos and not state.is_main_process:
        return
    if request.photos:
        _caption_photos(request, recipe, names)
        return
    if not request.overwrite:
        refuse_inputs((out for _, out in _outputs(request, names)), _tables(recipe))
    with state.main_process_first():
        prepared, default_split = _prepared(request, recipe)
    selection = Selection(request.split or default_split, _ids(request.ids), request.limit)
    selection.items(prepared)
    if state.is_main_process:
        note_left_out(prepared)
    systems = load_systems(request.model, request.adapters, recipe, request.overrides)
    for (name, out), system in zip(_outputs(request, names), systems, strict=True):
        records = caption_catalogue(
            system,
            prepared,
            selection,
            out,
            name,
            request.form,  # type: ignore[arg-type]
            request.overwrite,
        )
        finished = sum(bool(record.finished) for record in records)
        state.print(f"{out}: {len(records):,} captions, {finished:,} of them ended with the stop token")


def _caption_photos(request: CaptionRequest, recipe: Recipe | None, names: Sequence[str]) -> None:
    """Print each photo's caption by each adapter."""
    photos = _readable(request.photos)
    systems = load_systems(request.model, request.adapters, recipe, request.overrides)
    if len(names) < 2:
        for photo, generated in caption_photos(next(systems), photos):
            print(printable(f"{photo}: {generated.caption}"))
        return
    captions = [[generated.caption for _, generated in caption_photos(one, photos)] for one in systems]
    for photo, of_photo in zip(photos, zip(*captions, strict=True), strict=True):
        for name, caption in zip(names, of_photo, strict=True):
            print(printable(f"{photo}: {name}: {caption}"))


def _readable(photos: Sequence[Path]) -> list[Path]:
    """The photos that are not broken; the others are named. Raises `UserError` if all are."""
    broken = check_photos([str(photo) for photo in photos], "checking photos").broken
    if len(broken) == len(photos):
        raise UserError(f"{photos[0]}: {broken[0]}" + ("; no other photo can be read" if len(photos) > 1 else ""))
    note_unusable([f"{photos[place]}: {reason}" for place, reason in broken.items()])
    return [photo for place, photo in enumerate(photos) if place not in broken]


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


def _prepared(request: CaptionRequest, recipe: Recipe | None) -> tuple[Prepared, str]:
    if recipe is not None:
        return prepare_one(recipe.catalogues, recipe.training.seed, request.catalogue), "test"
    section = Folder(catalogue="folder", folder=str(request.data), on_bad_image="skip")
    return prepare(with_outside(section, request.overrides), divided=False), "all"


def _tables(recipe: Recipe | None) -> list[Path | None]:
    """The tables of the catalogue that is captioned."""
    sections = recipe.catalogues.values() if recipe else ()
    return [table.path for table in (loader_of(section).table() for section in sections) if table]


def _ids(path: Path | None) -> frozenset[str] | None:
    if path is None:
        return None
    refuse_special(path)
    try:
        ids = frozenset(line for line in map(str.strip, path.read_text(encoding="utf-8-sig").splitlines()) if line)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--ids {path}: cannot read: {error}") from error
    if not ids:
        raise UserError(f"--ids {path}: contains no ids; expected one per line")
    return ids
