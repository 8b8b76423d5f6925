"""Lemmas one caption at a time, and as `Lemmas` finds them: both ways over the same made-up captions."""

import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

from metrics.lemma_cache import Kept
from metrics.lemma_worker import parse
from metrics.lemmas import Lemmas, normalised
from metrics.stanza_models import load_pipeline

DISTINCT = 0.41
"""Share of distinct captions, as H&M's: 43,077 of 104,232."""
_CUTS = ("short", "long", "cropped", "fitted", "loose", "straight-cut", "A-line", "oversized", "sleeveless", "wide")
_NOUNS = ("dress", "top", "jumper", "skirt", "blouse", "jacket", "coat", "shirt", "cardigan", "hoodie", "T-shirt")
_FABRICS = ("cotton", "wool", "linen", "denim", "jersey", "viscose", "satin", "velour", "lyocell", "polyester")
_PARTS = ("collar", "hem", "waist", "cuffs", "pockets", "sleeves", "yoke", "neckline", "buttons", "drawstring")
_LOOKS = ("narrow", "soft", "ribbed", "concealed", "covered", "decorative", "double", "fine", "small", "elasticated")


def made_up_captions(count: int, seed: int = 0, distinct: float = DISTINCT) -> list[str]:
    """Return `count` captions of about 25 words, in three sentences, of which `distinct` are distinct."""
    rng = random.Random(seed)  # noqa: S311
    different: dict[str, None] = {}
    while len(different) < max(1, round(count * distinct)):
        different[_caption(rng)] = None
    captions = list(different)
    captions += rng.choices(captions, k=count - len(captions))
    rng.shuffle(captions)
    return captions


def _caption(rng: random.Random) -> str:
    looks, parts = rng.sample(_LOOKS, 4), rng.sample(_PARTS, 4)
    first = f"{rng.choice(_CUTS)} {rng.choice(_NOUNS)} in {looks[0]} {rng.choice(_FABRICS)}".capitalize()
    second = f"{looks[1]} {parts[1]} and {looks[2]} {parts[2]} at the top".capitalize()
    return (
        f"{first} with a {parts[0]}. {second}. {looks[3].capitalize()} {parts[3]} with a {rng.choice(_FABRICS)} trim."
    )


def one_at_a_time(captions: Sequence[str], source: str) -> list[Kept]:
    """Return each caption's lemmas as the paper's code finds them: one call of Stanza's pipeline as it is for each."""
    pipeline = load_pipeline(source, remember=False)
    return [tuple(parse(pipeline, [normalised(caption)])[0]) for caption in captions]


def all_at_once(captions: Sequence[str], source: str) -> list[Kept]:
    """Return the same from `Lemmas`, beginning with an empty cache."""
    with tempfile.TemporaryDirectory() as folder:
        lemmas = Lemmas(source, Path(folder)).of(captions)
    return [lemmas[caption] for caption in captions]
