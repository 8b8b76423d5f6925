"""Two systems that look captions up: that of the most similar training photo, and the consensus of several items'."""

import gc
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from math import fsum
from pathlib import Path

import torch

from finetune.captioning.baselines import (
    BASELINES,
    CAPTIONS_FILE,
    described_splits,
    write_baseline,
    write_baselines,
)
from finetune.captioning.neighbours import nearest_items
from finetune.captioning.request import refuse_other_captions
from finetune.config.baselines import BASE, NONE
from finetune.config.catalogues import SPLITS
from finetune.config.recipe import Model, Recipe
from finetune.data.mixture import prepare_all
from finetune.data.preparation import Prepared
from finetune.embedding.captioner import CaptionerEncoder
from finetune.embedding.named import named_encoder
from finetune.embedding.photo_features import features_digest, photo_features
from finetune.models.encoders.base import Encoder
from finetune.models.loading import base_name
from finetune.runs.captioning_system import CaptioningSystem, load_system
from finetune.training.train import ensure_base
from metrics.common.errors import UserError
from metrics.common.ownership import claim_folder, refuse_foreign

_VISION = "vision"


def lookup_encoder(recipe: Recipe, base: CaptioningSystem | None = None) -> Encoder | None:
    """The encoder that the recipe's `baselines.encoder` names; None for `none`.

    `base` has the recipe's base model, which is loaded (a tiny one made) where it is needed and not given. Raises
    `UserError` if the encoder cannot be loaded or reads no photos.
    """
    name = recipe.baselines.encoder
    if name == NONE:
        return None
    if name == BASE:
        return CaptionerEncoder(f"{recipe.model.base}:{_VISION}", "mean", base or _load_base(recipe))
    return _named_encoder(name)


def check_lookup(recipe: Recipe) -> None:
    """Raise `UserError` if the recipe's encoder of photos, other than its base's own, cannot be loaded."""
    if recipe.baselines.encoder not in (BASE, NONE):
        _named_encoder(recipe.baselines.encoder)
        gc.collect()
        torch.cuda.empty_cache()  # the captioning model is trained by another process


def _named_encoder(name: str) -> Encoder:
    try:
        encoder = named_encoder(name)
    except UserError as error:
        reason = str(error).removeprefix(f"--encoder {name}: ").removeprefix("model.base: ")  # its keys elsewhere
        raise UserError(f"baselines.encoder: {name}: {reason}") from error
    if encoder.reads == "text" or len(encoder.shape) != 1:
        raise UserError(f"baselines.encoder: {name}: gives no vector of a photo; name an encoder of photos")
    return encoder


def _load_base(recipe: Recipe) -> CaptioningSystem:
    if recipe.model.tiny is not None:
        ensure_base(recipe, prepare_all(recipe.catalogues, recipe.training.seed).whole)
    return load_system(recipe.model.base, None, recipe)


def write_all(recipe: Recipe, parts: Sequence[tuple[Prepared, Path]]) -> list[Path]:
    """Write all baselines of each catalogue into its folder; their files.

    Raises `UserError`, before anything is written, if a folder or a file is not ours, a catalogue has nothing to look
    up or the encoder does not load.
    """
    for part, folder in parts:
        refuse_foreign(folder, BASELINES)
        for name in BASELINES.names:
            refuse_other_captions(folder / name / CAPTIONS_FILE)
        described_splits(part)
    encoder = lookup_encoder(recipe)
    files: list[Path] = []
    for part, folder in parts:
        claim_folder(folder, BASELINES)
        files += write_baselines(part, folder)
        if encoder:
            files += write_lookups(part, folder, encoder, recipe)
    return files


def write_lookups(prepared: Prepared, folder: Path, encoder: Encoder, recipe: Recipe) -> list[Path]:
    """Write both systems' captions of the test split, each in a folder of its own with its `run.json`.

    An item gets the (first) reference of a training item. Of a single training item there is no consensus: it is left
    out, and a line says so. Raises `UserError` if there is nothing to look up, or if a file cannot be written.
    """
    train, test = described_splits(prepared)
    store = photo_features((prepared.splits[split] for split in SPLITS), encoder)
    near = nearest_items(store, train, test, recipe.baselines.neighbours)
    found = [[train[place].references[0] for place in places] for places in near]
    name, k = _shown(encoder.name, recipe.model), len(near[0])
    about = replace(store.about, encoder=store.about.encoder_shown)  # wherever the base lies, the same signature
    facts = {"encoder": name, "features": features_digest(about), "about": about.to_json()}
    nearest = write_baseline(
        prepared,
        folder / "nearest",
        f"nearest photo's caption ({name})",
        [captions[0] for captions in found],
        {"rule": "nearest", "k": 1} | facts,
    )
    if k == 1:
        print("note: training has one item, so no consensus of several is written", file=sys.stderr)
        return [nearest]
    consensus = write_baseline(
        prepared,
        folder / "consensus",
        f"consensus of the {k} nearest items' captions ({name})",
        [consensus_of(captions) for captions in found],
        {"rule": "consensus", "k": k} | facts,
    )
    return [nearest, consensus]


def _shown(encoder: str, model: Model) -> str:
    """An encoder as tables name it; a base that was put together here is its named photo encoder to the user."""
    source, _, features = encoder.rpartition(":")
    if features != _VISION:
        return base_name(encoder)
    if source == model.base and model.tiny and model.tiny.encoder:
        return f"vision tower {base_name(model.tiny.encoder)}"
    return f"vision tower of {base_name(source)}"


def consensus_of(captions: Sequence[str]) -> str:
    """The caption with the highest mean word F1 to the others; of equal ones the first.

    Word F1 is twice the number of words that two captions share, over the number of words of both, with repetition
    (as SQuAD counts, Rajpurkar et al. 2016); case and punctuation do not count.
    """
    words = [Counter(re.findall(r"\w+", caption.casefold())) for caption in captions]
    scores: list[list[float]] = [[] for _ in captions]
    for one, other in combinations(range(len(captions)), 2):
        score = _word_f1(words[one], words[other])
        scores[one].append(score)
        scores[other].append(score)
    totals = [fsum(of_one) for of_one in scores]  # in any order of the others the same
    return captions[totals.index(max(totals))]


def _word_f1(one: Counter[str], other: Counter[str]) -> float:
    both = one.total() + other.total()
    return 2 * (one & other).total() / both if both else 1.0
