"""How each type of garment may be cut: the values its attributes may have, with their weights."""

from dataclasses import dataclass

Weights = dict[str, float]


@dataclass(frozen=True)
class Cut:
    """What one type of garment may look like, and what it may be made of: weights over the values."""

    share: float
    pattern: Weights
    sleeve: Weights
    neckline: Weights
    length: Weights
    shape: Weights
    fastening: Weights
    pockets: Weights
    detail: Weights
    fabric: Weights
    finish: Weights


NONE: Weights = {"none": 1}
PRINTED: Weights = {
    "Solid": 24,
    "Stripe": 20,
    "Dot": 13,
    "All over pattern": 14,
    "Colour blocking": 14,
    "Front print": 15,
}
WOVEN: Weights = {"Solid": 28, "Stripe": 19, "Check": 19, "Dot": 16, "All over pattern": 18}
HEAVY: Weights = {"Solid": 38, "Check": 26, "Stripe": 16, "Colour blocking": 20}
KNITTED: Weights = {"Solid": 42, "Stripe": 26, "Colour blocking": 16, "Dot": 8, "Check": 8}
SWEATSHIRT: Weights = {"Solid": 30, "Stripe": 18, "Dot": 8, "Colour blocking": 22, "Front print": 22}

CUTS: dict[str, Cut] = {
    "T-shirt": Cut(
        1.2,
        PRINTED,
        {"short": 75, "long": 25},
        {"round": 60, "v": 40},
        {"regular": 65, "cropped": 20, "long": 15},
        NONE,
        NONE,
        {"none": 70, "chest": 30},
        NONE,
        {"cotton jersey": 70, "organic jersey": 30},
        NONE,
    ),
    "Vest top": Cut(
        0.8,
        PRINTED,
        {"sleeveless": 1},
        {"round": 45, "v": 30, "square": 25},
        {"regular": 60, "cropped": 25, "long": 15},
        NONE,
        NONE,
        {"none": 80, "chest": 20},
        {"none": 75, "frill": 25},
        {"ribbed jersey": 55, "cotton jersey": 45},
        NONE,
    ),
    "Top": Cut(
        0.9,
        PRINTED,
        {"short": 30, "three-quarter": 35, "long": 35},
        {"boat": 35, "square": 35, "polo": 30},
        {"regular": 65, "cropped": 35},
        NONE,
        NONE,
        NONE,
        {"none": 70, "frill": 30},
        {"viscose jersey": 60, "ribbed jersey": 40},
        NONE,
    ),
    "Blouse": Cut(
        0.9,
        WOVEN,
        {"short": 25, "three-quarter": 35, "long": 40},
        {"round": 35, "v": 40, "boat": 25},
        {"regular": 75, "long": 25},
        NONE,
        {"none": 55, "buttons": 45},
        NONE,
        {"none": 60, "frill": 25, "belt": 15},
        {"crêpe": 40, "viscose": 60},
        {"none": 60, "unlined": 40},
    ),
    "Shirt": Cut(
        1.0,
        WOVEN,
        {"short": 35, "long": 65},
        {"collar": 1},
        {"regular": 75, "long": 25},
        NONE,
        {"buttons": 1},
        {"none": 45, "chest": 40, "patch": 15},
        NONE,
        {"cotton weave": 65, "linen": 35},
        NONE,
    ),
    "Sweater": Cut(
        1.1,
        KNITTED | {"Front print": 12},
        {"long": 85, "short": 15},
        {"round": 45, "v": 25, "polo": 30},
        {"regular": 70, "cropped": 15, "long": 15},
        NONE,
        NONE,
        {"none": 90, "chest": 10},
        NONE,
        {"soft knit": 60, "wool knit": 40},
        NONE,
    ),
    "Hoodie": Cut(
        0.8,
        SWEATSHIRT,
        {"long": 85, "short": 15},
        {"hood": 1},
        {"regular": 75, "cropped": 25},
        NONE,
        {"none": 60, "zip": 40},
        {"kangaroo": 60, "none": 40},
        NONE,
        {"sweatshirt fabric": 1},
        {"none": 35, "brushed": 65},
    ),
    "Cardigan": Cut(
        0.7,
        KNITTED,
        {"long": 80, "three-quarter": 20},
        {"v": 70, "round": 30},
        {"regular": 65, "long": 35},
        NONE,
        {"buttons": 75, "zip": 25},
        {"none": 55, "patch": 45},
        {"none": 80, "belt": 20},
        {"soft knit": 45, "wool knit": 55},
        NONE,
    ),
    "Jacket": Cut(
        0.8,
        HEAVY,
        {"long": 1},
        {"collar": 50, "stand-up": 25, "hood": 25},
        {"regular": 70, "cropped": 30},
        NONE,
        {"zip": 60, "buttons": 40},
        {"side": 40, "patch": 35, "chest": 25},
        NONE,
        {"denim": 35, "woven fabric": 65},
        {"lined": 80, "none": 20},
    ),
    "Coat": Cut(
        0.7,
        HEAVY,
        {"long": 1},
        {"lapels": 60, "collar": 25, "hood": 15},
        {"knee": 55, "calf": 45},
        NONE,
        {"buttons": 75, "zip": 25},
        {"side": 45, "patch": 40, "none": 15},
        {"none": 60, "belt": 40},
        {"wool blend": 70, "woven fabric": 30},
        {"lined": 85, "none": 15},
    ),
    "Dress": Cut(
        1.4,
        WOVEN | {"Colour blocking": 8},
        {"sleeveless": 35, "short": 25, "three-quarter": 15, "long": 25},
        {"round": 30, "v": 30, "square": 20, "collar": 10, "polo": 10},
        {"short": 35, "knee": 35, "calf": 30},
        {"A-line": 60, "straight": 40},
        {"none": 65, "buttons": 35},
        {"none": 75, "patch": 25},
        {"none": 45, "belt": 30, "frill": 25},
        {"viscose": 45, "crêpe": 30, "cotton weave": 25},
        {"lined": 35, "unlined": 65},
    ),
    "Skirt": Cut(
        0.9,
        WOVEN,
        NONE,
        NONE,
        {"short": 40, "knee": 30, "calf": 30},
        {"A-line": 40, "straight": 35, "pleated": 25},
        {"elastic": 35, "zip": 30, "buttons": 35},
        {"none": 65, "patch": 35},
        {"none": 55, "frill": 25, "belt": 20},
        {"viscose": 45, "denim": 15, "cotton weave": 40},
        {"lined": 45, "unlined": 55},
    ),
    "Trousers": Cut(
        1.3,
        {"Solid": 52, "Stripe": 16, "Check": 22, "All over pattern": 10},
        NONE,
        NONE,
        {"regular": 70, "ankle": 30},
        {"straight": 28, "wide": 26, "tapered": 24, "flared": 22},
        {"fly": 60, "elastic": 40},
        {"side": 50, "patch": 25, "none": 25},
        {"none": 50, "belt": 15, "drawstring": 15, "turn-ups": 20},
        {"twill": 45, "denim": 30, "sweatshirt fabric": 25},
        NONE,
    ),
    "Shorts": Cut(
        0.8,
        WOVEN,
        NONE,
        NONE,
        {"short": 60, "knee": 40},
        {"straight": 55, "wide": 45},
        {"fly": 55, "elastic": 45},
        {"side": 50, "patch": 20, "none": 30},
        {"none": 45, "drawstring": 20, "turn-ups": 20, "belt": 15},
        {"twill": 45, "denim": 25, "linen": 30},
        NONE,
    ),
    "Jumpsuit/Playsuit": Cut(
        0.7,
        WOVEN,
        {"sleeveless": 40, "short": 35, "long": 25},
        {"round": 30, "v": 40, "collar": 30},
        {"regular": 60, "short": 40},
        {"straight": 40, "wide": 35, "tapered": 25},
        {"buttons": 40, "zip": 30, "none": 30},
        {"none": 60, "chest": 40},
        {"none": 50, "belt": 50},
        {"viscose": 55, "cotton weave": 45},
        {"none": 50, "unlined": 50},
    ),
}
"""Type (an H&M `product_type_name`) -> how it may be cut. Patterns are H&M `graphical_appearance_name` values."""
