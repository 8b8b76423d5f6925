"""Colours of the demo catalogue: H&M's names and codes, and how each is painted."""

from dataclasses import dataclass
from functools import cache

RGB = tuple[int, int, int]


@dataclass(frozen=True)
class Colour:
    """One `colour_group_name` with its codes in articles.csv, its paint and its share of the articles."""

    code: int
    value: tuple[int, str]
    master: tuple[int, str]
    rgb: RGB
    share: float


COLOURS: dict[str, Colour] = {
    "Black": Colour(9, (4, "Dark"), (5, "Black"), (34, 33, 38), 16),
    "White": Colour(10, (3, "Light"), (9, "White"), (250, 250, 246), 11),
    "Grey": Colour(7, (1, "Dusty Light"), (12, "Grey"), (150, 152, 156), 7),
    "Dark Blue": Colour(73, (4, "Dark"), (2, "Blue"), (30, 44, 92), 11),
    "Blue": Colour(72, (7, "Medium"), (2, "Blue"), (48, 104, 200), 6),
    "Light Blue": Colour(71, (1, "Dusty Light"), (2, "Blue"), (160, 200, 234), 7),
    "Red": Colour(42, (5, "Bright"), (18, "Red"), (208, 38, 42), 7),
    "Light Pink": Colour(51, (1, "Dusty Light"), (4, "Pink"), (244, 186, 200), 8),
    "Yellow": Colour(22, (5, "Bright"), (8, "Yellow"), (246, 204, 52), 5),
    "Dark Green": Colour(93, (4, "Dark"), (19, "Green"), (26, 92, 62), 6),
    "Greenish Khaki": Colour(19, (2, "Medium Dusty"), (20, "Khaki green"), (132, 132, 84), 5),
    "Light Beige": Colour(12, (1, "Dusty Light"), (11, "Beige"), (226, 206, 176), 7),
    "Yellowish Brown": Colour(17, (4, "Dark"), (13, "Brown"), (138, 88, 48), 5),
}

MINIMAL_CONTRAST = 80.0


def luminance(rgb: RGB) -> float:
    """Return the perceived brightness, 0 (black) to 255 (white), by the weights of ITU-R BT.601."""
    return 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]


def mix(one: RGB, other: RGB, share: float) -> RGB:
    """Return `one` with `share` (0 to 1) of `other` mixed in."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


@cache
def accents_for(colour: str) -> tuple[str, ...]:
    """Return the names of the colours that stand out on `colour`."""
    brightness = luminance(COLOURS[colour].rgb)
    return tuple(n for n, c in COLOURS.items() if abs(luminance(c.rgb) - brightness) >= MINIMAL_CONTRAST)
