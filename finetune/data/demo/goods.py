"""Goods that are no clothes, for the demo of the fashion-product layout: bags, watches, shoes, and what is dropped."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from finetune.data.demo.canvas import Canvas, Line, Paint, arc, closed, mirrored
from finetune.data.demo.drawing import OVERSAMPLING, sheet
from finetune.data.demo.garments import Garment

Draw = Callable[[Canvas, Paint], None]


@dataclass(frozen=True)
class Good:
    """A kind of goods: its categories as the data set names them, words for it, and how it is drawn."""

    master_category: str
    sub_category: str
    article_type: str
    noun: str
    materials: tuple[str, ...]
    features: tuple[str, ...]
    draw: Draw


def draw_good(good: Good, garment: Garment, rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Return the drawing (RGB, `size` = width and height in pixels) in the colours of a garment."""
    image, scale, shift = sheet(rng, size)
    good.draw(Canvas(image, scale, shift), Paint.of(garment.colour, garment.accent, rng))
    return image.reduce(OVERSAMPLING)


def describe_good(good: Good, garment: Garment, rng: np.random.Generator) -> str:
    """Return a sentence about it."""
    material, feature = (str(rng.choice(words)) for words in (good.materials, good.features))
    return f"{good.noun} in {garment.colour.lower()} {material} with {feature}."


def _bag(canvas: Canvas, paint: Paint) -> None:
    canvas.line(arc((0, 150), 44, 66, 180, 360), paint.ink, 10)
    canvas.area(closed([(70, 150), (88, 286)]), paint.fill, paint.ink)
    canvas.area(closed([(72, 150), (76, 186)]), paint.raised, paint.ink)
    canvas.dot((0, 188), 8, paint.accent, paint.ink)


def _watch(canvas: Canvas, paint: Paint) -> None:
    canvas.area(closed([(20, 50), (28, 150), (28, 210), (20, 310)]), paint.fill, paint.ink)
    canvas.dot((0, 180), 48, paint.accent, paint.ink)
    canvas.dot((0, 180), 38, (250, 250, 246), paint.ink)
    canvas.line([(0, 154), (0, 180), (20, 192)], paint.ink, 4)


def _belt(canvas: Canvas, paint: Paint) -> None:
    canvas.area(closed([(104, 166), (104, 196)]), paint.fill, paint.ink)
    canvas.area([(-100, 158), (-60, 158), (-60, 204), (-100, 204)], paint.accent, paint.ink)
    canvas.area([(-92, 168), (-68, 168), (-68, 194), (-92, 194)], paint.inside, paint.ink)
    for hole in range(4):
        canvas.dot((30 + 16 * hole, 181), 3, paint.ink)


def _shoe(canvas: Canvas, paint: Paint) -> None:
    upper: Line = [(-96, 160), (-40, 150), (4, 196), (70, 210), (100, 232), (100, 246), (-100, 246)]
    canvas.area(upper, paint.fill, paint.ink)
    canvas.area([(-102, 246), (102, 246), (98, 266), (-98, 266)], paint.accent, paint.ink)
    for lace in range(3):
        canvas.line([(-30 + 20 * lace, 174 + 14 * lace), (-10 + 20 * lace, 160 + 14 * lace)], paint.ink)


def _flip_flops(canvas: Canvas, paint: Paint) -> None:
    sole = [*arc((52, 140), 40, 70, 180, 360), *arc((52, 250), 32, 60, 0, 180)]
    strap: Line = [(16, 190), (52, 120), (88, 190)]
    for outline, band in ((sole, strap), (mirrored(sole), mirrored(strap))):
        canvas.area(outline, paint.fill, paint.ink)
        canvas.line(band, paint.accent, 12)


def _bottle(canvas: Canvas, paint: Paint) -> None:
    canvas.area(closed([(20, 70), (20, 118)]), paint.accent, paint.ink)
    canvas.area(closed([(14, 118), (56, 140), (56, 300)]), paint.fill, paint.ink)
    canvas.area(closed([(38, 200), (38, 256)]), paint.raised, paint.ink)


def _ball(canvas: Canvas, paint: Paint) -> None:
    canvas.dot((0, 180), 84, paint.fill, paint.ink)
    for x, y in ((0, 180), (-50, 140), (50, 140), (-34, 236), (34, 236)):
        canvas.dot((x, y), 16, paint.accent, paint.ink)


_LEATHER = ("leather", "imitation leather", "suede")
KEPT = (
    Good("Accessories", "Bags", "Handbags", "Bag", _LEATHER, ("one handle", "a metal clasp", "a flap"), _bag),
    Good("Accessories", "Watches", "Watches", "Watch", _LEATHER, ("a round dial", "a slim strap"), _watch),
    Good("Accessories", "Belts", "Belts", "Belt", _LEATHER, ("a metal buckle", "four holes"), _belt),
    Good("Footwear", "Shoes", "Casual Shoes", "Shoe", ("canvas", *_LEATHER), ("laces", "a soft sole"), _shoe),
    Good("Footwear", "Flip Flops", "Flip Flops", "Flip flops", ("rubber",), ("two straps", "a thin sole"), _flip_flops),
)
DROPPED = (
    Good("Personal Care", "Fragrance", "Perfume and Body Mist", "Scent", ("glass",), ("a tall cap",), _bottle),
    Good("Sporting Goods", "Sports Equipment", "Footballs", "Football", ("rubber",), ("patches",), _ball),
)
