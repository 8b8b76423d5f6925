"""The work of the command `compose-train`: from a recipe to a trained model, its vectors and its figures."""

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path

from finetune.data.demo.fashion_iq import FEWEST, MOST, write_fashion_iq_demo
from finetune.data.demo.marked_folder import require_numbers
from finetune.data.feature_cache import FeatureStore
from finetune.runs.provenance import git_hash, hardware, versions
from metrics.common.errors import UserError
from metrics.common.files import make_folder, read_json_object, write_text
from metrics.common.formatting import duration, printable
from metrics.common.locks import alone
from metrics.common.screen import say
from metrics.common.tables import print_tables
from metrics.photos.folders import remember_folder
from metrics.records.json_reader import JsonReader
from recommend.retrieval import fashion_iq, measure, output
from recommend.retrieval.fashion_iq import Pair, Split
from recommend.retrieval.galleries import GALLERIES, gallery
from recommend.retrieval.recipe import Dataset, Recipe
from recommend.retrieval.run_folder import ComposedRun
from recommend.retrieval.search import Gallery
from recommend.retrieval.sides import photo_side, text_side
from recommend.retrieval.table1 import table1
from recommend.retrieval.trained import Trained, load, save, untrained
from recommend.retrieval.training import Collator, Validation, check_batches, fit

_NO_TARGETS = "test captions have no targets, as the official ones: there is no R@K of them."


def compose_train(recipe: Recipe) -> list[Path]:
    """Train unless the run is trained, encode all photos, measure, and say what was found; returns the files.

    An interrupted training is resumed. Raises `UserError` if the data, the recipe or the folder do not fit.
    """
    started = time.perf_counter()
    splits, photos = read_dataset(recipe.dataset)
    _check(recipe, splits)
    run = ComposedRun(recipe.output)
    with alone(run.path, f"waiting for another process that uses {run.path}"):
        run.claim(recipe, splits)
        if run.trained:
            say(f"{run.path}: this recipe is trained already")
        else:
            _train(recipe, splits, photos, run)
        shutil.rmtree(run.checkpoints, ignore_errors=True)
        trained = load(run, recipe, photos)
        store = trained.write_vectors(run, sorted({key for split in splits for key in split.ids}))
        write_text(run.categories, json.dumps(fashion_iq.members(splits)) + "\n")
        parts = _measure(recipe.dataset, splits, trained, store)
        notes = [output.loss_line(recipe, _validation(run)), *_notes(splits)]
        print_tables(*output.screen_tables(parts), *notes, f"It took {duration(time.perf_counter() - started)}.")
        return output.write_files(run.path, recipe, parts, notes)


def read_dataset(section: Dataset) -> tuple[list[Split], dict[str, Path]]:
    """The splits and the photos by id, after the paper's Table 1 beside them is printed. Raises `UserError`."""
    if section.demo is not None:
        write_fashion_iq_demo(section.folder, section.demo, section.seed)
    found = fashion_iq.read_splits(section.folder, section.categories)
    print_tables(table1(found))
    folder = section.folder / section.photos
    files = fashion_iq.photo_files(folder)
    remember_folder(folder, outside=False)
    splits, lost = fashion_iq.with_photos(found, files, section.missing)
    if lost:
        pairs = sum(len(split.pairs) for split in found) - sum(len(split.pairs) for split in splits)
        print(f"{len(lost):,} ids have no photo, such as {printable(lost[0])}; they and {pairs:,} pairs are left out")
    blank = sum(split.blank for split in splits)
    if blank:
        print(f"{blank:,} captions are blank beside another of their pair, and are left out")
    return splits, {key: files[key] for split in splits for key in split.ids}


def check(recipe: Recipe, source: str) -> None:
    """Print what there is to train on; writes nothing. Raises `UserError` as `compose_train` does before it trains."""
    section, run = recipe.dataset, ComposedRun(recipe.output)
    if section.demo is not None and not section.folder.exists():
        require_numbers(section.demo, FEWEST, MOST, section.seed, "dataset.demo")
        print(f"{source}: ready; its garments will be drawn into {section.folder}")
        return
    splits, photos = read_dataset(section)
    _check(recipe, splits)
    state = "trained already" if run.refuse_other(recipe, splits) and run.trained else "ready"
    steps = recipe.training.epochs * (len(pairs_by_split(section, splits)["train"]) // recipe.training.batch_size)
    print(f"{source}: {state}; {len(photos):,} photos, {steps:,} steps of {recipe.training.batch_size} pairs")


def queries(section: Dataset, pairs: Sequence[Pair]) -> Sequence[Pair]:
    """The pairs as they are asked: with captions joined, or one query for each."""
    return fashion_iq.single(pairs) if section.captions == "single" else pairs


def pairs_by_split(section: Dataset, splits: Sequence[Split]) -> dict[str, list[Pair]]:
    """What is trained on, `train`, and what chooses the weights, `val`."""
    return {
        name: [pair for split in splits if split.name == name for pair in queries(section, split.pairs)]
        for name in ("train", "val")
    }


def _check(recipe: Recipe, splits: Sequence[Split]) -> None:
    """Raise `UserError` if a split cannot be trained on or measured."""
    for split in splits:
        if split.name != "test" and not split.has_targets:
            raise UserError(
                f'{recipe.dataset.folder}: {split.category}, {split.name}: expected pairs with a "target", found '
                f"{len(split.pairs):,} pairs without one; only the test captions may lack it"
            )
        if split.name != "train" and split.has_targets:
            for name in GALLERIES:
                gallery(split, name)
    pairs = pairs_by_split(recipe.dataset, splits)
    check_batches(pairs["train"], pairs["val"], recipe.training.batch_size)


def _train(recipe: Recipe, splits: Sequence[Split], photos: Mapping[str, Path], run: ComposedRun) -> None:
    by_name = pairs_by_split(recipe.dataset, splits)
    started = time.perf_counter()
    photo = photo_side(recipe.photo, photos, run.features)
    make_folder(run.text)
    text = text_side(recipe.text, [pair.text for pair in by_name["train"]], run.text)
    ids = [key for split in splits if split.name == "train" for key in split.ids]
    trained = untrained(recipe, photo, text, ids)
    resumed = run.checkpoints.exists()
    history, validation = fit(
        trained.composer, by_name["train"], by_name["val"], Collator(photo, text), recipe.training, run.checkpoints
    )
    save(trained, run)
    record = {
        "validation": asdict(validation),
        "loss_history": history,
        "seconds": time.perf_counter() - started,
        "resumed": resumed,
        "versions": versions(),
        "hardware": hardware(),
        "git": git_hash(),
    }
    write_text(run.training, json.dumps(record, indent=1) + "\n")


def _measure(section: Dataset, splits: Sequence[Split], trained: Trained, store: FeatureStore) -> list[output.Part]:
    parts = []
    for split_name in ("val", "test"):
        chosen = [split for split in splits if split.name == split_name and split.has_targets]
        for name in GALLERIES if chosen else ():
            answers = []
            for split in chosen:
                ids = gallery(split, name)
                pairs = queries(section, split.pairs)
                texts = trained.texts([pair.text for pair in pairs])
                photos = Gallery(ids, store.rows(store.places(ids)))
                answers.append(measure.answer(split.category, photos, pairs, texts))
            parts.append(output.Part.of(split_name, name, answers, measure.rows(answers)))
    return parts


def _validation(run: ComposedRun) -> Validation:
    remedy = "remove the folder, and train again"
    record = JsonReader(read_json_object(run.training, remedy), str(run.training), remedy)
    values = record.inside("validation").numbers()
    if set(values) != {field.name for field in fields(Validation)}:
        raise record.error('the losses of "validation" are missing')
    pairs, batch_size = int(values["pairs"]), int(values["batch_size"])
    return Validation(values["loss"], values["excess"], values["chance"], pairs, batch_size)


def _notes(splits: Sequence[Split]) -> list[str]:
    unmeasured = [split for split in splits if split.name == "test" and not split.has_targets]
    reasons = {
        _NO_TARGETS: [split.category for split in unmeasured if split.pairs],
        "there are no test captions.": [split.category for split in unmeasured if not split.pairs],
    }
    return [f"{', '.join(categories)}: {reason}" for reason, categories in reasons.items() if categories]
