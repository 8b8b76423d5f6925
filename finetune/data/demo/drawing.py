"""Draws a garment as a flat drawing on a near-white ground."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from finetune.data.demo.canvas import Canvas, Line, Paint, Point, mirrored
from finetune.data.demo.details import DETAILS, FASTENINGS, NECKLINES, POCKETS, Sewing
from finetune.data.demo.garments import Garment
from finetune.data.demo.patterns import PATTERNS
from finetune.data.demo.shapes import LOWER_TOP, cloth, hem_y, sleeve

OVERSAMPLING = 2
RIBBED = ("Sweater", "Hoodie", "Cardigan", "Jacket")
SEAM, OUTLINE = 4.0, 5.0


def draw(garment: Garment, rng: np.random.Generator, size: tuple[int, int] = (240, 360)) -> Image.Image:
    """Return the drawing (RGB, `size` = width and height in pixels).

    `rng` varies the place, the size, the shade and the ground a little, so that no two drawings are equal.
    """
    image, scale, shift = sheet(rng, size)
    paint = Paint.of(garment.colour, garment.accent, rng)
    canvas = Canvas(image, scale, shift)
    sewing = Sewing(canvas, garment, paint, cloth(garment))
    _cut_out(sewing, scale, shift, rng)
    for outline in sewing.outlines:
        canvas.line([*outline, outline[0], outline[1]], paint.ink, OUTLINE)
    _finish_edges(sewing)
    for features, value in (
        (FASTENINGS, garment.fastening),
        (POCKETS, garment.pockets),
        (DETAILS, garment.detail),
        (NECKLINES, garment.neckline),
    ):
        if value in features:
            features[value](sewing)
    return image.reduce(OVERSAMPLING)


def sheet(rng: np.random.Generator, size: tuple[int, int]) -> tuple[Image.Image, float, Point]:
    """Return the ground, twice as wide and high as `size`, and the scale and place of what is drawn on it."""
    tone = int(rng.integers(240, 252))
    ground = tuple(tone + int(tint) for tint in rng.integers(-2, 3, 3))
    image = Image.new("RGB", (size[0] * OVERSAMPLING, size[1] * OVERSAMPLING), ground)
    scale = float(rng.uniform(0.94, 1.0))
    return image, scale, (float(rng.uniform(-3, 3)), float(rng.uniform(-5, 5)))


def squared(drawing: Image.Image, side: int) -> Image.Image:
    """Return an upright drawing of height `side` in the middle of a square of its ground."""
    square = Image.new("RGB", (side, side), drawing.getpixel((0, 0)))
    square.paste(drawing, ((side - drawing.width) // 2, 0))
    return square


def _cut_out(sewing: Sewing, scale: float, shift: tuple[float, float], rng: np.random.Generator) -> None:
    canvas, paint, pattern = sewing.canvas, sewing.paint, sewing.garment.pattern
    if pattern not in PATTERNS:
        for outline in sewing.outlines:
            canvas.area(outline, paint.fill)
        return
    fabric = Canvas(Image.new("RGB", canvas.image.size, paint.fill), scale, shift)
    PATTERNS[pattern](fabric, paint, rng)
    stencil = Canvas(Image.new("L", canvas.image.size), scale, shift)
    for outline in sewing.outlines:
        stencil.area(outline, 255)
    canvas.image.paste(fabric.image, mask=stencil.image)


def _finish_edges(sewing: Sewing) -> None:
    garment = sewing.garment
    if garment.type in RIBBED:
        _ribbing(sewing)
    for kind, finish in EDGES.items():
        if garment.type == kind:
            finish(sewing)


def _ribbing(sewing: Sewing) -> None:
    canvas, paint, end = sewing.canvas, sewing.paint, hem_y(sewing.garment)
    wide = sewing.half_width(end - 2)
    canvas.area([(wide, end - 20), (wide, end), (-wide, end), (-wide, end - 20)], paint.raised, paint.ink, SEAM)
    if sewing.garment.type != "Jacket":
        for x in np.linspace(-wide + 8, wide - 8, 11):
            canvas.line([(float(x), end - 18), (float(x), end)], paint.ink, 2.5)
    _cuffs(sewing)


def _cuffs(sewing: Sewing) -> None:
    edges = sleeve(sewing.garment)
    if edges is None:
        return
    (*_, above, outer), (*_, below, inner) = edges
    cuff: Line = [_toward(outer, above, 18), outer, inner, _toward(inner, below, 18)]
    for side in (cuff, mirrored(cuff)):
        sewing.canvas.area(side, sewing.paint.raised, sewing.paint.ink, SEAM)


def _toward(start: tuple[float, float], end: tuple[float, float], distance: float) -> tuple[float, float]:
    across, down = end[0] - start[0], end[1] - start[1]
    share = distance / max(float(np.hypot(across, down)), distance)
    return start[0] + across * share, start[1] + down * share


def _waistband(sewing: Sewing) -> None:
    if sewing.garment.fastening != "elastic":
        band = [(46, LOWER_TOP), (48, LOWER_TOP + 18), (-48, LOWER_TOP + 18), (-46, LOWER_TOP)]
        sewing.canvas.area(band, sewing.paint.raised, sewing.paint.ink, SEAM)


def _skirt(sewing: Sewing) -> None:
    if sewing.garment.shape == "pleated":
        end = hem_y(sewing.garment)
        wide = sewing.half_width(end - 4)
        for share in (-0.72, -0.36, 0.36, 0.72, 0.0):
            sewing.canvas.line([(44 * share, LOWER_TOP + 18), (wide * share, end)], sewing.paint.ink, SEAM)
    _waistband(sewing)


EDGES: dict[str, Callable[[Sewing], None]] = {
    "Shirt": _cuffs,
    "Blouse": _cuffs,
    "Trousers": _waistband,
    "Shorts": _waistband,
    "Skirt": _skirt,
}
