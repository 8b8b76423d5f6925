"""The measures of a run: those that need no model, and those whose models a recipe's `scoring` names."""

import gc
import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch

from finetune.config.recipe import Recipe
from metrics.common.cache import cache_folder
from metrics.common.errors import UserError
from metrics.common.files import read_bytes, write_text
from metrics.measures.attributes.make_vocabulary import make_vocabulary
from metrics.measures.attributes.stanza_models import require
from metrics.measures.attributes.vocabulary import MINIMUM
from metrics.measures.base import Measure
from metrics.measures.category.classifier import train_classifier
from metrics.measures.category.settings import ClassifierSettings, classifier_settings
from metrics.records.captions import read_records
from metrics.scoring.registry import choose_measures
from metrics.text.java import find_java

VOCABULARY, LIST = "vocabulary.json", "attributes.txt"


def check_scoring(recipe: Recipe) -> None:
    """Raise `UserError` where Java or Stanza's models are missing, before anything is spent."""
    find_java()
    _settings(recipe)
    if recipe.scoring.stanza:
        require(recipe.scoring.stanza)


def prepare_scoring(recipe: Recipe, folder: Path) -> None:
    """Train the classifier and build the vocabulary of one catalogue from the references in `folder`.

    What stands already is not made again; runs on the same references share a classifier.
    """
    scoring, (train, validation, test) = recipe.scoring, _references(folder)
    if scoring.stanza:
        given = _list(train, folder / LIST) if scoring.attributes == "catalogue" else scoring.attributes
        print(make_vocabulary(None if given else train, given, scoring.stanza, MINIMUM, folder / VOCABULARY))
    settings = _settings(recipe)
    if settings:
        out = classifier_folder(recipe, folder)
        train_classifier(train, validation, out, settings, test)
        gc.collect()
        torch.cuda.empty_cache()  # the captioning model is trained by another process


def measures_of(recipe: Recipe, folder: Path) -> list[Measure]:
    """The measures of one catalogue's captions, after `prepare_scoring`."""
    scoring = recipe.scoring
    return choose_measures(
        classifier=classifier_folder(recipe, folder) if scoring.classifier else None,
        vocabulary=folder / VOCABULARY if scoring.stanza else None,
        stanza=scoring.stanza or "en",
    )


def _settings(recipe: Recipe) -> ClassifierSettings | None:
    told = recipe.scoring.classifier
    return classifier_settings(**told.model_dump(exclude_none=True)) if told else None


def is_complete(measured: Sequence[str], measures: Sequence[Measure]) -> bool:
    """Whether all that can be measured here was."""
    return {name for measure in measures if measure.absent() is None for name in measure.names} <= set(measured)


def classifier_folder(recipe: Recipe, folder: Path) -> Path:
    """Where the classifier of these references and settings lies."""
    told = hashlib.sha256(str(_settings(recipe)).encode())
    for path in _references(folder):
        told.update(hashlib.sha256(read_bytes(path)).digest())
    return cache_folder("classifiers", told.hexdigest()[:16])


def _list(train: Path, path: Path) -> Path:
    """Write the attributes that the catalogue gives its training items, one a line; return `path`."""
    texts = {text for record in read_records(train) for text in record.attributes.values()}
    words = sorted({word for text in texts for word in text.split(", ")} - {""})
    if not words:
        raise UserError(f"scoring.attributes: catalogue: its training items have none ({train}); leave the key out")
    write_text(path, "".join(f"{word}\n" for word in words))
    return path


def _references(folder: Path) -> tuple[Path, ...]:
    return tuple(folder / f"references-{split}.jsonl" for split in ("train", "validation", "test"))
