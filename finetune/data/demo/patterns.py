"""Fabrics: what is painted on the cloth before it is cut out."""

from collections.abc import Callable

import numpy as np

from finetune.data.demo.canvas import Canvas, Paint, arc
from finetune.data.demo.palette import RGB, mix

LEFT, RIGHT, BOTTOM = -125, 125, 365
YELLOW: RGB = (250, 214, 90)


def _stripes(canvas: Canvas, paint: Paint, rng: np.random.Generator) -> None:
    start = int(rng.integers(-10, 20))
    for y in range(start, BOTTOM, 38):
        canvas.area([(LEFT, y), (RIGHT, y), (RIGHT, y + 17), (LEFT, y + 17)], paint.accent)


def _checks(canvas: Canvas, paint: Paint, rng: np.random.Generator) -> None:
    half, start = mix(paint.fill, paint.accent, 0.55), int(rng.integers(-10, 10))
    rows, columns = range(start, BOTTOM, 52), range(LEFT + start, RIGHT, 42)
    for y in rows:
        canvas.area([(LEFT, y), (RIGHT, y), (RIGHT, y + 22), (LEFT, y + 22)], half)
    for x in columns:
        canvas.area([(x, 0), (x + 17, 0), (x + 17, BOTTOM), (x, BOTTOM)], half)
        for y in rows:
            canvas.area([(x, y), (x + 17, y), (x + 17, y + 22), (x, y + 22)], paint.accent)


def _dots(canvas: Canvas, paint: Paint, rng: np.random.Generator) -> None:
    start = int(rng.integers(-6, 6))
    for row, y in enumerate(range(start, BOTTOM, 26)):
        for x in range(LEFT + start + 14 * (row % 2), RIGHT, 28):
            canvas.dot((x, y), 7.5, paint.accent)


def _flowers(canvas: Canvas, paint: Paint, rng: np.random.Generator) -> None:
    leaf = mix(paint.accent, (60, 140, 80), 0.6)
    for row, y in enumerate(range(4, BOTTOM, 46)):
        for x in range(LEFT + 26 * (row % 2), RIGHT, 52):
            centre = (x + int(rng.integers(-5, 6)), y + int(rng.integers(-6, 7)))
            canvas.dot((centre[0] + 20, centre[1] + 14), 6, leaf)
            for petal in arc(centre, 10.5, 10.5, 0, 288, 5):
                canvas.dot(petal, 8.5, paint.accent)
            canvas.dot(centre, 6, YELLOW)


def _blocks(canvas: Canvas, paint: Paint, rng: np.random.Generator) -> None:
    seam = 160 + int(rng.integers(-6, 7))
    canvas.area([(LEFT, seam), (RIGHT, seam), (RIGHT, BOTTOM), (LEFT, BOTTOM)], paint.accent)


def _motif(canvas: Canvas, paint: Paint, rng: np.random.Generator) -> None:
    centre = (0.0, 158.0)
    canvas.dot(centre, 34, paint.accent)
    star = [
        p for pair in zip(arc(centre, 27, 27, -90, 198, 5), arc(centre, 11, 11, -54, 234, 5), strict=True) for p in pair
    ]
    canvas.area(star, paint.fill)


PATTERNS: dict[str, Callable[[Canvas, Paint, np.random.Generator], None]] = {
    "Stripe": _stripes,
    "Check": _checks,
    "Dot": _dots,
    "All over pattern": _flowers,
    "Colour blocking": _blocks,
    "Front print": _motif,
}
"""Pattern -> what paints it over the whole canvas; "Solid" paints nothing."""
