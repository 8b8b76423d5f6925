"""The measures of a run: those that need no model, and those whose models a recipe's `scoring` names."""

import gc
import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch

from finetune.config.packaged import stanza_folder
from finetune.config.scoring import Classifier, Scoring
from finetune.runs.folder import RunFolder
from metrics.common.cache import cache_folder
from metrics.common.errors import UserError
from metrics.common.files import read_bytes, write_text
from metrics.common.screen import say
from metrics.measures.attributes.make_vocabulary import make_vocabulary
from metrics.measures.attributes.stanza_models import require
from metrics.measures.attributes.vocabulary import MINIMUM
from metrics.measures.base import Measure
from metrics.measures.category.classifier import train_classifier
from metrics.measures.category.settings import ClassifierSettings, classifier_settings
from metrics.records.captions import read_records
from metrics.scoring.registry import choose_measures
from metrics.text.java import find_java

VOCABULARY, ATTRIBUTES = "vocabulary.json", "attributes.txt"


def check_scoring(scoring: Scoring) -> None:
    """Raise `UserError` if Java or Stanza's models are missing or the classifier's settings are wrong."""
    find_java()
    if scoring.classifier:
        _settings(scoring.classifier)
    if scoring.stanza:
        require(stanza_folder(scoring.stanza))


def prepare_scoring(scoring: Scoring, folder: RunFolder) -> None:
    """Train the classifier and build the vocabulary of one catalogue from the references in `folder`.

    What exists already is not made again; runs on the same references share a classifier.
    """
    train, validation, test = _references(folder)
    if scoring.stanza:
        own = folder.path / ATTRIBUTES
        given = _write_attributes(train, own) if scoring.attributes == "catalogue" else scoring.attributes
        captions = None if given else train
        say(make_vocabulary(captions, given, stanza_folder(scoring.stanza), MINIMUM, folder.path / VOCABULARY))
    if scoring.classifier:
        out = classifier_folder(scoring.classifier, folder)
        train_classifier(train, validation, out, _settings(scoring.classifier), test)
        gc.collect()
        torch.cuda.empty_cache()  # the captioning model is trained by another process


def measures_of(scoring: Scoring, folder: RunFolder) -> list[Measure]:
    """The measures of one catalogue's captions, after `prepare_scoring`."""
    return choose_measures(
        classifier=classifier_folder(scoring.classifier, folder) if scoring.classifier else None,
        vocabulary=folder.path / VOCABULARY if scoring.stanza else None,
        stanza=stanza_folder(scoring.stanza or "en"),
    )


def is_complete(measured: Sequence[str], measures: Sequence[Measure]) -> bool:
    """Whether all that can be measured here was."""
    return {name for measure in measures if measure.absent() is None for name in measure.names} <= set(measured)


def classifier_folder(classifier: Classifier, folder: RunFolder) -> Path:
    """The folder of the classifier with these settings of the references in `folder`."""
    digest = hashlib.sha256(str(_settings(classifier)).encode())
    for path in _references(folder):
        digest.update(hashlib.sha256(read_bytes(path)).digest())
    return cache_folder("classifiers", digest.hexdigest()[:16])


def _settings(classifier: Classifier) -> ClassifierSettings:
    return classifier_settings(**classifier.model_dump(exclude_none=True))


def _write_attributes(train: Path, path: Path) -> Path:
    """Write the attributes that the catalogue gives its training items, one a line; return `path`."""
    texts = {text for record in read_records(train) for text in record.attributes.values()}
    words = sorted({word for text in texts for word in text.split(", ")} - {""})
    if not words:
        raise UserError(f"scoring.attributes: catalogue: its training items have none ({train}); leave the key out")
    write_text(path, "".join(f"{word}\n" for word in words))
    return path


def _references(folder: RunFolder) -> tuple[Path, Path, Path]:
    return folder.references("train"), folder.references("validation"), folder.references("test")
