"""The items of the demo catalogue in FACAD's layout: several colours and photos each, said in FACAD's kind of words."""

import re
from dataclasses import dataclass

import numpy as np

from finetune.data.demo.cuts import CUTS
from finetune.data.demo.garments import Garment, recolour, sample_garment
from finetune.data.demo.wording import description

FACAD_SPLITS = {"TRAIN": 0.88, "VAL": 0.02, "TEST": 0.1}
CATEGORIES = list(CUTS)
ATTRIBUTES = ("pattern", "sleeve", "neckline", "length", "shape", "fastening", "detail", "fabric")
NOTHING = "nah"
MOST_COLOURS = 3
EIGHT_PHOTOS = 0.77
REPEATED = 0.08
"""Share of items that are described word for word as an earlier item is."""
MOODS = (
    "airy", "arty", "bold", "breezy", "bright", "charming", "cheerful", "classic", "clean-lined", "cosy", "crisp",
    "dreamy", "easygoing", "effortless", "elegant", "graceful", "laid-back", "modern", "playful", "polished", "quiet",
    "relaxed", "romantic", "timeless",
)  # fmt: skip
OCCASIONS = (
    "brunch", "city walks", "cool evenings", "date night", "early flights", "garden parties", "gallery visits",
    "long lunches", "long weekends", "market mornings", "mild autumns", "moonlit dinners", "office days", "picnics",
    "rainy days", "road trips", "rooftop parties", "school runs", "seaside strolls", "slow sundays", "spring showers",
    "summer nights", "travelling light", "winter sun",
)  # fmt: skip


@dataclass(frozen=True)
class Item:
    """One product with all its colours and photos."""

    number: int
    split: str
    colours: tuple[Garment, ...]
    words: tuple[str, ...]
    photos: int

    @property
    def garment(self) -> Garment:
        """The product; its other colours differ in nothing else."""
        return self.colours[0]

    @property
    def attributes(self) -> list[str]:
        """What the shop writes about the product, a word each."""
        values = [getattr(self.garment, name) for name in ATTRIBUTES]
        return sorted({value.lower().split()[0] for value in values if value != "none"})

    def photos_by_colour(self) -> list[tuple[Garment, int]]:
        """How many of the photos show which colour."""
        shown, more = divmod(self.photos, len(self.colours))
        return [(garment, shown + (place < more)) for place, garment in enumerate(self.colours)]


def items_of(articles: int, seed: int) -> list[Item]:
    """`articles` items, those of each split scattered over the list."""
    rng = np.random.default_rng([seed, 6])
    items: list[Item] = []
    for number, split in enumerate(_splits(articles, rng)):
        earlier = items[int(rng.integers(len(items)))] if items and rng.random() < REPEATED else None
        garment = recolour(earlier.garment, rng) if earlier else sample_garment(rng)
        words = earlier.words if earlier else _words(garment, rng)
        others = [recolour(garment, rng) for _ in range(int(rng.integers(MOST_COLOURS)))]
        colours = {other.colour: other for other in (garment, *others)}
        items.append(Item(number, split, tuple(colours.values()), words, 7 + int(rng.random() < EIGHT_PHOTOS)))
    return items


def _splits(articles: int, rng: np.random.Generator) -> list[str]:
    """Every item's split: the shares are FACAD's, and each split has an item."""
    counts = {name: max(1, round(share * articles)) for name, share in FACAD_SPLITS.items() if name != "TRAIN"}
    names = [name for name, count in counts.items() for _ in range(count)]
    names += ["TRAIN"] * (articles - len(names))
    return [names[place] for place in rng.permutation(articles)]


def _words(garment: Garment, rng: np.random.Generator) -> tuple[str, ...]:
    mood, occasion = MOODS[int(rng.integers(len(MOODS)))], OCCASIONS[int(rng.integers(len(OCCASIONS)))]
    text = f"a {mood} {description(garment)} for {occasion}"
    return tuple(re.findall(r"[\w/'-]+", text.lower()))
