"""What sets one drawn garment apart from another, in the words of somebody who wants the other."""

import numpy as np

from finetune.data.demo.garments import Garment

SEEN = ("colour", "pattern", "sleeve", "neckline", "length", "shape", "fastening", "pockets", "detail")
_IN_ORDER = {
    "sleeve": (("sleeveless", "short", "three-quarter", "long"), "has longer sleeves", "has shorter sleeves"),
    "length": (("cropped", "short", "regular", "knee", "long", "calf"), "is longer", "is shorter"),
}
_COMPARED = 0.5  # how often a longer sleeve is called longer, not long
_PHRASES: dict[str, dict[str, tuple[str, ...]]] = {
    "pattern": {
        "Solid": ("is plain", "has no pattern"),
        "Stripe": ("is striped", "has stripes"),
        "Check": ("is checked", "has a check pattern"),
        "Dot": ("is spotted", "has dots"),
        "All over pattern": ("has a floral print", "is covered in flowers"),
        "Colour blocking": ("is block-coloured", "has a block of another colour"),
        "Front print": ("has a graphic on the front", "has a print on the chest"),
    },
    "sleeve": {
        "sleeveless": ("has no sleeves", "is sleeveless"),
        "short": ("has short sleeves",),
        "three-quarter": ("has three-quarter sleeves",),
        "long": ("has long sleeves",),
    },
    "neckline": {
        "round": ("has a round neckline",),
        "v": ("has a v-neck",),
        "square": ("has a square neckline",),
        "boat": ("has a boat neck",),
        "polo": ("has a polo neck",),
        "collar": ("has a collar",),
    },
    "length": {
        "cropped": ("is cropped",),
        "short": ("is short",),
        "regular": ("has a regular length",),
        "knee": ("ends at the knee",),
        "long": ("is long",),
        "calf": ("ends at the calf",),
    },
    "shape": {"A-line": ("has an A-line cut",), "straight": ("has a straight cut",)},
    "fastening": {"none": ("has no fastening",), "buttons": ("has buttons",)},
    "pockets": {"none": ("has no pockets",), "chest": ("has a chest pocket",), "patch": ("has patch pockets",)},
    "detail": {"none": ("has no trim",), "belt": ("has a belt",), "frill": ("has a frill",)},
}
_LABELS = {  # FashionIQ's five groups: texture, fabric, shape, composition (parts), style
    "texture": ("pattern",),
    "fabric": ("fabric",),
    "shape": ("length", "shape"),
    "composition": ("sleeve", "neckline", "fastening", "pockets"),
    "style": ("detail",),
}


def differing(reference: Garment, target: Garment) -> list[str]:
    """The attributes that can be seen in which two garments of a type differ."""
    return [name for name in SEEN if getattr(reference, name) != getattr(target, name)]


def captions(reference: Garment, target: Garment, rng: np.random.Generator) -> tuple[str, str]:
    """Two captions that together say each difference of the target; of one difference, both say it."""
    names = differing(reference, target)
    rng.shuffle(names)
    said = [_phrase(name, reference, target, rng) for name in names]
    if len(said) == 1:
        return said[0], _phrase(names[0], reference, target, rng)
    return said[0], " and ".join(said[1:])


def side_labels(garment: Garment) -> list[list[str]]:
    """FashionIQ's five lists of labels; a list is empty where there is nothing to say."""
    lists = [[str(getattr(garment, name)).lower() for name in names] for names in _LABELS.values()]
    return [[label for label in labels if label != "none"] for labels in lists]


def _phrase(name: str, reference: Garment, target: Garment, rng: np.random.Generator) -> str:
    wanted: str = getattr(target, name)
    if name in _IN_ORDER and rng.random() < _COMPARED:
        order, more, less = _IN_ORDER[name]
        return more if order.index(wanted) > order.index(getattr(reference, name)) else less
    if name == "colour":
        return f"is {wanted.lower()}" if rng.random() < 0.5 else f"is {wanted.lower()} in colour"
    choices = _PHRASES[name][wanted]
    return choices[int(rng.integers(len(choices)))]
