"""Garments of the demo catalogue: their attributes, and how a product and its colourways are sampled."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from finetune.data.demo.cuts import CUTS, Weights
from finetune.data.demo.palette import COLOURS, accents_for


@dataclass(frozen=True)
class Garment:
    """One article. The first block is visible in its drawing, the second is not.

    Every value is a key of `CUTS` (or of `COLOURS`); "none" means that the garment lacks the feature or cannot have it.
    `phrasing` (0..15) chooses among the few equivalent wordings of a description; siblings share it.
    """

    type: str
    colour: str
    accent: str
    pattern: str
    sleeve: str
    neckline: str
    length: str
    shape: str
    fastening: str
    pockets: str
    detail: str

    fabric: str
    finish: str
    recycled: bool
    phrasing: int


SAMPLED = ("pattern", "sleeve", "neckline", "length", "shape", "fastening", "pockets", "detail", "fabric", "finish")
RECYCLED_SHARE = {"sweatshirt fabric": 0.3, "woven fabric": 0.4, "wool blend": 0.3, "crêpe": 0.3}
PHRASINGS = 16
TYPE_SHARES: Weights = {name: cut.share for name, cut in CUTS.items()}
COLOUR_SHARES: Weights = {name: colour.share for name, colour in COLOURS.items()}


def _choose(weights: Weights, rng: np.random.Generator) -> str:
    names, shares = _normalised(tuple(weights.items()))
    return names[int(np.searchsorted(shares, rng.random(), side="right"))]


@cache
def _normalised(items: tuple[tuple[str, float], ...]) -> tuple[tuple[str, ...], np.ndarray]:
    names, weights = zip(*items, strict=True)
    shares = np.cumsum(weights) / np.sum(weights)
    shares[-1] = 1.0
    return names, shares


def sample_garment(rng: np.random.Generator, kind: str | None = None) -> Garment:
    """Draw a garment at random: a type, unless it is given, then every attribute from what the type may have."""
    kind = kind or _choose(TYPE_SHARES, rng)
    cut = CUTS[kind]
    chosen = {name: _choose(getattr(cut, name), rng) for name in SAMPLED}
    if chosen["pattern"] == "Front print":
        chosen |= {"fastening": "none", "pockets": "none"}
    colour = _choose(COLOUR_SHARES, rng)
    return Garment(
        type=kind,
        colour=colour,
        accent=_accent(colour, rng),
        recycled=bool(rng.random() < RECYCLED_SHARE.get(chosen["fabric"], 0.0)),
        phrasing=int(rng.integers(PHRASINGS)),
        **chosen,
    )


def recolour(garment: Garment, rng: np.random.Generator) -> Garment:
    """Return the same product in another colour (and another second colour, where its pattern has one)."""
    colour = _choose({name: share for name, share in COLOUR_SHARES.items() if name != garment.colour}, rng)
    return replace(garment, colour=colour, accent=_accent(colour, rng))


def _accent(colour: str, rng: np.random.Generator) -> str:
    choices = accents_for(colour)
    return choices[int(rng.integers(len(choices)))]
