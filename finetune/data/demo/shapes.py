"""Outlines of the garments: which polygons a garment's cloth is made of."""

from dataclasses import dataclass

from finetune.data.demo.canvas import Line, Point, closed, curve, mirrored
from finetune.data.demo.garments import Garment

COLLAR_Y, SHOULDER_Y, ARMPIT_Y, WAIST_Y = 42.0, 54.0, 122.0, 184.0


@dataclass(frozen=True)
class Bodice:
    """Half widths of an upper body, the width of its sleeves and how far they billow."""

    shoulder: float
    chest: float
    waist: float
    hem: float
    sleeve: float
    billow: float = 0.0


BODICES = {
    "T-shirt": Bodice(64, 57, 56, 58, 34),
    "Vest top": Bodice(44, 54, 50, 56, 0),
    "Top": Bodice(56, 50, 38, 54, 22),
    "Blouse": Bodice(58, 54, 66, 80, 26, 16),
    "Shirt": Bodice(64, 57, 56, 59, 28),
    "Sweater": Bodice(68, 64, 66, 58, 32),
    "Hoodie": Bodice(68, 64, 66, 58, 32),
    "Cardigan": Bodice(62, 56, 57, 58, 28),
    "Jacket": Bodice(70, 64, 64, 64, 34),
    "Coat": Bodice(68, 62, 62, 84, 32),
    "Dress": Bodice(56, 50, 40, 84, 26),
    "Jumpsuit/Playsuit": Bodice(56, 50, 40, 56, 26),
}
NECK = {"round": 28.0, "v": 28.0, "square": 34.0, "boat": 46.0, "none": 46.0}
HEM_Y = {
    "upper": {"cropped": 200.0, "regular": 268.0, "long": 330.0, "knee": 286.0, "calf": 340.0, "short": 236.0},
    "Dress": {"short": 230.0, "knee": 282.0, "calf": 342.0},
    "Skirt": {"short": 180.0, "knee": 248.0, "calf": 334.0},
    "Trousers": {"regular": 344.0, "ankle": 280.0},
    "Shorts": {"short": 190.0, "knee": 270.0},
    "Jumpsuit/Playsuit": {"regular": 346.0, "short": 250.0},
}
SLEEVE_REACH = {"short": 0.36, "three-quarter": 0.7, "long": 1.0}
WRIST: Point = (98.0, 268.0)
LOWER_TOP = 34.0
LEGS: dict[str, tuple[float, float, float]] = {
    "straight": (36, 20, 20),
    "wide": (52, 30, 40),
    "tapered": (28, 19, 10),
    "flared": (44, 15, 34),
}
"""Shape -> the leg's centre at the full length, its half width at the knee and at the hem."""
SHORT_LEGS = ("short", "knee")
SHORT_LEGS_HEMS = {"straight": (11.0, 66.0), "wide": (8.0, 92.0), "tapered": (16.0, 54.0)}
"""Shape -> where the hem of a short leg starts and ends."""
SKIRT_HEMS = {"A-line": 88.0, "straight": 50.0, "pleated": 104.0}
DRESS_HEMS = {"A-line": 88.0, "straight": 50.0}


def hem_y(garment: Garment) -> float:
    """Return how far down the garment reaches."""
    return HEM_Y.get(garment.type, HEM_Y["upper"])[garment.length]


def cloth(garment: Garment) -> list[Line]:
    """Return the polygons of the cloth, those behind first."""
    if garment.type in ("Trousers", "Shorts"):
        return [_trousers(garment)]
    if garment.type == "Skirt":
        return [_skirt(garment)]
    return [*_sleeves(garment), _body(garment)]


def sleeve(garment: Garment) -> tuple[list[Point], list[Point]] | None:
    """Return the outer and the inner edge of the right sleeve, both from the shoulder down."""
    if garment.sleeve not in SLEEVE_REACH:
        return None
    bodice, reach = BODICES[garment.type], SLEEVE_REACH[garment.sleeve]
    top, pit = (bodice.shoulder, SHOULDER_Y), (bodice.chest, ARMPIT_Y)
    half = bodice.sleeve / 2 * (1.25 - 0.25 * reach)
    outer = _between(top, (WRIST[0] + half, WRIST[1]), reach)
    inner = _between(pit, (WRIST[0] - half, WRIST[1]), min(1.0, (outer[1] + 8 - ARMPIT_Y) / (WRIST[1] - ARMPIT_Y)))
    if not bodice.billow:
        return [top, outer], [pit, inner]
    middle, under = _between(top, outer, 0.72), _between(pit, inner, 0.72)
    return (
        curve([top, (middle[0] + bodice.billow, middle[1]), (outer[0] - 4, outer[1])]),
        [pit, (under[0] - 2, under[1]), (inner[0] + 4, inner[1])],
    )


def _sleeves(garment: Garment) -> list[Line]:
    edges = sleeve(garment)
    if edges is None:
        return []
    outer, inner = edges
    right = [*outer, *reversed(inner)]
    return [right, mirrored(right)]


def neck_width(garment: Garment) -> float:
    """Return half the width of the neck at the shoulders."""
    return NECK.get(garment.neckline, 26.0)


def shoulder_width(garment: Garment) -> float:
    """Return half the width of the shoulders; sleeveless garments have straps."""
    full = BODICES[garment.type].shoulder
    return neck_width(garment) + 14 if garment.sleeve == "sleeveless" else max(full, neck_width(garment) + 8)


def _body(garment: Garment) -> list[Point]:
    bodice, end = BODICES[garment.type], hem_y(garment)
    top: list[Point] = [(neck_width(garment), COLLAR_Y), (shoulder_width(garment), SHOULDER_Y)]
    if garment.sleeve == "sleeveless":
        top += [(shoulder_width(garment) - 2, SHOULDER_Y + 26), (bodice.chest - 9, ARMPIT_Y - 16)]
    top.append((bodice.chest, ARMPIT_Y))
    if garment.type == "Jumpsuit/Playsuit":
        return closed([*top, (bodice.waist, WAIST_Y - 10), *_leg(garment, WAIST_Y - 10, end)])
    if end < WAIST_Y + 20:
        side: list[Point] = [((bodice.waist + bodice.chest) / 2, end)]
    else:
        side = curve([top[-1], (bodice.waist, WAIST_Y), (_hem_width(garment, end), end)])[1:]
    return closed([*top, *side, *_tail(garment, side[-1])])


def _hem_width(garment: Garment, end: float) -> float:
    """Return half the width of the hem: skirts of dresses and coats widen the further they reach."""
    bodice = BODICES[garment.type]
    full = DRESS_HEMS.get(garment.shape, bodice.hem)
    if garment.type not in ("Dress", "Coat"):
        return full
    reach = (end - WAIST_Y) / (HEM_Y["Dress"]["calf"] - WAIST_Y)
    return bodice.waist + (full - bodice.waist) * (0.45 + 0.55 * reach)


def _tail(garment: Garment, corner: Point) -> list[Point]:
    if garment.type != "Shirt":
        return [(0, corner[1] + (6 if garment.type in ("Dress", "Blouse") else 0))]
    return curve([(corner[0] - 8, corner[1] + 2), (corner[0] - 30, corner[1] + 22), (0, corner[1] + 26)])


def _leg(garment: Garment, waist: float, end: float) -> list[Point]:
    """Return the right leg from the hip round to the crotch."""
    crotch = waist + (72 if garment.type == "Jumpsuit/Playsuit" else 98)
    hip: Point = (60.0, waist + 62)
    if garment.length in SHORT_LEGS and garment.type != "Trousers":
        inner, outer = SHORT_LEGS_HEMS[garment.shape]
        return [(hip[0], waist + 44), (outer, end), (inner, end), (0, crotch - 14)]
    full = HEM_Y["Trousers"]["regular"]
    centre, knee, hem = LEGS[garment.shape]
    knee_y, knee_centre = (crotch + full) / 2, 15 + centre / 2
    share = (end - knee_y) / (full - knee_y)
    low_centre, low = knee_centre + (centre - knee_centre) * share, knee + (hem - knee) * share
    return [
        hip,
        (knee_centre + knee, knee_y),
        (low_centre + low, end),
        (low_centre - low, end),
        (knee_centre - knee, knee_y),
        (0, crotch),
    ]


def _trousers(garment: Garment) -> list[Point]:
    return closed([(46, LOWER_TOP), *_leg(garment, LOWER_TOP, hem_y(garment))])


def _skirt(garment: Garment) -> list[Point]:
    end, hip = hem_y(garment), 58.0 if garment.shape == "straight" else 62.0
    reach = (end - LOWER_TOP) / (HEM_Y["Skirt"]["calf"] - LOWER_TOP)
    hem = hip + (SKIRT_HEMS[garment.shape] - hip) * (0.4 + 0.6 * reach)
    return closed(
        [
            *curve([(44, LOWER_TOP), (hip, LOWER_TOP + 66), (hem, end)]),
            (0, end + (0 if garment.shape == "straight" else 6)),
        ]
    )


def _between(start: Point, end: Point, share: float) -> Point:
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share
