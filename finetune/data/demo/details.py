"""What is sewn on a garment: necklines, fastenings, pockets, cuffs and other details."""

from collections.abc import Callable
from dataclasses import dataclass

from finetune.data.demo.canvas import Canvas, Line, Paint, Point, arc, mirrored
from finetune.data.demo.garments import Garment
from finetune.data.demo.palette import RGB
from finetune.data.demo.shapes import COLLAR_Y, LOWER_TOP, WAIST_Y, hem_y

METAL: RGB = (196, 198, 204)
STEEL: RGB = (70, 72, 80)
LOWER = ("Trousers", "Shorts", "Skirt")


@dataclass(frozen=True)
class Sewing:
    """A garment on its canvas, with what the features need to know of its outline."""

    canvas: Canvas
    garment: Garment
    paint: Paint
    outlines: list[Line]

    @property
    def lower(self) -> bool:
        """Whether the garment starts at the waist."""
        return self.garment.type in LOWER

    @property
    def waist(self) -> float:
        """The height of belts and cords."""
        return LOWER_TOP + 8 if self.lower else WAIST_Y - 6

    def half_width(self, y: float) -> float:
        """Return how far the body's right edge is from the axis at height `y`."""
        body = self.outlines[-1]
        edges = zip(body, [*body[1:], body[0]], strict=True)
        cuts = [
            a[0] + (b[0] - a[0]) * (y - a[1]) / (b[1] - a[1])
            for a, b in edges
            if (a[1] - y) * (b[1] - y) <= 0 and a[1] != b[1]
        ]
        return max(cuts, default=50.0)


def _opening(sewing: Sewing, points: Line) -> None:
    sewing.canvas.area(points, sewing.paint.inside, sewing.paint.ink, 7)


def _round(sewing: Sewing) -> None:
    _opening(sewing, arc((0, COLLAR_Y), 28, 36, 0, 180))


def _v(sewing: Sewing) -> None:
    depth = 122 if sewing.garment.type == "Cardigan" else 84
    _opening(sewing, [(28, COLLAR_Y), (0, COLLAR_Y + depth), (-28, COLLAR_Y)])


def _square(sewing: Sewing) -> None:
    _opening(sewing, [(34, COLLAR_Y), (34, COLLAR_Y + 52), (-34, COLLAR_Y + 52), (-34, COLLAR_Y)])


def _boat(sewing: Sewing) -> None:
    _opening(sewing, arc((0, COLLAR_Y), 48, 17, 0, 180))


def _polo(sewing: Sewing) -> None:
    canvas, paint = sewing.canvas, sewing.paint
    canvas.area([(26, COLLAR_Y + 14), (24, 6), (-24, 6), (-26, COLLAR_Y + 14)], paint.raised, paint.ink, 5)
    canvas.line([(25, 32), (-25, 32)], paint.ink, 5)


def _stand_up(sewing: Sewing) -> None:
    canvas, paint = sewing.canvas, sewing.paint
    canvas.area([(30, COLLAR_Y + 12), (38, 22), (-38, 22), (-30, COLLAR_Y + 12)], paint.raised, paint.ink, 5)
    canvas.area(arc((0, 22), 36, 9, 0, 360), paint.inside, paint.ink, 4)


def _collar(sewing: Sewing) -> None:
    canvas, paint = sewing.canvas, sewing.paint
    canvas.area([(24, 32), (0, 74), (-24, 32)], paint.inside)
    for side in _sides([(2, 76), (24, 28), (50, 56), (30, 94)]):
        canvas.area(side, paint.raised, paint.ink, 5)


def _lapels(sewing: Sewing) -> None:
    canvas, paint = sewing.canvas, sewing.paint
    canvas.area([(26, 34), (0, 170), (-26, 34)], paint.inside)
    for side in _sides([(2, 176), (24, 30), (48, 48), (54, 84), (36, 90), (54, 104)]):
        canvas.area(side, paint.raised, paint.ink, 5)


def _hood(sewing: Sewing) -> None:
    canvas, paint = sewing.canvas, sewing.paint
    canvas.area([*arc((0, 54), 50, 48, 160, 380, 20), (0, 104)], paint.raised, paint.ink, 5)
    canvas.area([*arc((0, 54), 30, 36, 170, 370, 16), (0, 92)], paint.inside, paint.ink, 4)
    for side in _sides([(12, 92), (14, 132)]):
        canvas.line(side, paint.ink, 5)


NECKLINES: dict[str, Callable[[Sewing], None]] = {
    "round": _round,
    "v": _v,
    "square": _square,
    "boat": _boat,
    "polo": _polo,
    "stand-up": _stand_up,
    "collar": _collar,
    "lapels": _lapels,
    "hood": _hood,
}
NECK_DEPTH = {
    "round": 80.0,
    "v": 128.0,
    "square": 96.0,
    "boat": 62.0,
    "polo": 58.0,
    "stand-up": 56.0,
    "collar": 80.0,
    "lapels": 176.0,
    "hood": 106.0,
}


def _front(sewing: Sewing) -> tuple[float, float]:
    """Return where the front's fastening starts and ends."""
    garment = sewing.garment
    if sewing.lower:
        return LOWER_TOP + 18, hem_y(garment) - 8
    start = COLLAR_Y + 122.0 if (garment.type, garment.neckline) == ("Cardigan", "v") else NECK_DEPTH[garment.neckline]
    return start, WAIST_Y + 56 if garment.type == "Jumpsuit/Playsuit" else hem_y(garment) - 4


def _buttons(sewing: Sewing) -> None:
    canvas, paint = sewing.canvas, sewing.paint
    start, end = _front(sewing)
    canvas.area([(-11, start), (11, start), (11, end), (-11, end)], paint.raised, paint.ink, 3)
    count = max(3, round((end - start) / 32))
    for place in range(count):
        canvas.dot((0, start + (place + 0.5) * (end - start) / count), 7.5, paint.ink)


def _zip(sewing: Sewing) -> None:
    canvas, paint = sewing.canvas, sewing.paint
    start, end = _front(sewing)
    if sewing.garment.type == "Skirt":
        end = min(end, start + 92)
    canvas.area([(-8, start), (8, start), (8, end), (-8, end)], STEEL, paint.ink, 3)
    canvas.line([(0, start), (0, end)], METAL, 6)
    canvas.area([(-7, start + 2), (7, start + 2), (5, start + 26), (-5, start + 26)], METAL, STEEL, 3)


def _fly(sewing: Sewing) -> None:
    canvas, paint = sewing.canvas, sewing.paint
    canvas.dot((0, LOWER_TOP + 9), 8, METAL, paint.ink)
    canvas.line([(0, LOWER_TOP + 18), (0, LOWER_TOP + 96)], paint.ink, 5)
    canvas.line([(18, LOWER_TOP + 18), (18, LOWER_TOP + 56), (12, LOWER_TOP + 70), (0, LOWER_TOP + 78)], paint.ink, 5)


def _elastic(sewing: Sewing) -> None:
    canvas, paint = sewing.canvas, sewing.paint
    canvas.area(
        [(47, LOWER_TOP - 6), (47, LOWER_TOP + 24), (-47, LOWER_TOP + 24), (-47, LOWER_TOP - 6)],
        paint.raised,
        paint.ink,
        4,
    )
    for x in range(-38, 39, 11):
        canvas.line([(x, LOWER_TOP - 4), (x, LOWER_TOP + 22)], paint.ink, 4)


FASTENINGS: dict[str, Callable[[Sewing], None]] = {"buttons": _buttons, "zip": _zip, "fly": _fly, "elastic": _elastic}


def _pouch(sewing: Sewing, centre: Point, across: float, down: float) -> None:
    (x, y), canvas, paint = centre, sewing.canvas, sewing.paint
    box = [(x - across, y), (x + across, y), (x + across, y + down), (x, y + down + 7), (x - across, y + down)]
    canvas.area(box, paint.raised, paint.ink, 5)
    canvas.line([(x - across, y + 8), (x + across, y + 8)], paint.ink, 5)


def _chest(sewing: Sewing) -> None:
    _pouch(sewing, (31, 106), 15, 32)


def _patch(sewing: Sewing) -> None:
    garment = sewing.garment
    if garment.type in ("Trousers", "Shorts"):
        top, across = (LOWER_TOP + 76, 38.0) if garment.type == "Shorts" else (LOWER_TOP + 116, 36.0)
    elif garment.type == "Skirt":
        top, across = LOWER_TOP + 52, 34.0
    else:
        top, across = min(hem_y(garment) - 62, WAIST_Y + 34), 34.0
    if garment.type == "Shirt":
        top = 108.0
    across = min(across, sewing.half_width(top + 20) - 21)
    for x in (-across, across):
        _pouch(sewing, (x, top), 17, 38)


def _side(sewing: Sewing) -> None:
    top = LOWER_TOP + 22 if sewing.lower else min(hem_y(sewing.garment) - 58, WAIST_Y + 26)
    slot: list[Point] = [(sewing.half_width(top) - 24, top), (sewing.half_width(top + 46) - 7, top + 46)]
    if not sewing.lower:
        slot = [(30, top), (44, top + 48)]
    for side in _sides(slot):
        sewing.canvas.line(side, sewing.paint.raised, 15)
        sewing.canvas.line(side, sewing.paint.ink, 8)


def _kangaroo(sewing: Sewing) -> None:
    base = hem_y(sewing.garment) - 20
    pouch = [(22, base - 56), (44, base - 22), (44, base), (-44, base), (-44, base - 22), (-22, base - 56)]
    sewing.canvas.area(pouch, sewing.paint.raised, sewing.paint.ink, 6)


POCKETS: dict[str, Callable[[Sewing], None]] = {"chest": _chest, "patch": _patch, "side": _side, "kangaroo": _kangaroo}


def _belt(sewing: Sewing) -> None:
    canvas, paint, y = sewing.canvas, sewing.paint, sewing.waist
    reach = sewing.half_width(y) + 3
    canvas.area([(-reach, y - 9), (reach, y - 9), (reach, y + 9), (-reach, y + 9)], paint.ink)
    for side in _sides([(0, y), (26, y - 17), (30, y + 13)]):
        canvas.area(side, paint.ink, paint.fill, 3)
    for side in _sides([(3, y + 6), (20, y + 58)]):
        canvas.line(side, paint.ink, 9)


def _drawstring(sewing: Sewing) -> None:
    canvas, paint, y = sewing.canvas, sewing.paint, sewing.waist + 4
    for side in _sides([(4, y), (13, y + 30), (11, y + 74)]):
        canvas.line(side, paint.fill, 11)
        canvas.line(side, paint.ink, 7)
        canvas.dot(side[-1], 7, paint.ink)


def _frill(sewing: Sewing) -> None:
    canvas, paint, end = sewing.canvas, sewing.paint, hem_y(sewing.garment)
    top, wide = end - 26, sewing.half_width(end - 3) + 10
    scallops = [p for i in range(7) for p in arc((wide - (2 * i + 1) * wide / 7, end), wide / 7, 14, 0, 180, 7)]
    canvas.area([(wide - 8, top), *scallops, (8 - wide, top)], paint.raised, paint.ink, 5)
    for i in range(1, 7):
        canvas.line([(wide - 2 * i * wide / 7, end), ((wide - 2 * i * wide / 7) * 0.92, top + 10)], paint.ink, 4)


def _turn_ups(sewing: Sewing) -> None:
    end = hem_y(sewing.garment)
    body = sewing.outlines[-1]
    feet = [p[0] for p in body if p[1] == end and p[0] > 0]
    inner, outer = min(feet) - 3, max(feet) + 3
    for side in _sides([(inner, end - 24), (outer, end - 24), (outer, end + 3), (inner, end + 3)]):
        sewing.canvas.area(side, sewing.paint.raised, sewing.paint.ink, 6)


DETAILS: dict[str, Callable[[Sewing], None]] = {
    "belt": _belt,
    "drawstring": _drawstring,
    "frill": _frill,
    "turn-ups": _turn_ups,
}


def _sides(points: Line) -> tuple[list[Point], list[Point]]:
    return list(points), mirrored(points)
