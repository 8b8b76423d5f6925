"""What is said of a garment: the shop's description, and the alt text that only a pre-training sees."""

import numpy as np

from finetune.data.demo.garments import Garment

NOUN = {"Sweater": "jumper", "Jumpsuit/Playsuit": "jumpsuit"}
PATTERN = {
    "Stripe": "striped",
    "Check": "checked",
    "Dot": "spotted",
    "All over pattern": "floral-patterned",
    "Colour blocking": "block-coloured",
}
LENGTH = {
    "cropped": "cropped",
    "short": "short",
    "long": "long",
    "knee": "knee-length",
    "calf": "calf-length",
    "ankle": "ankle-length",
}
SHAPE = {"A-line": "A-line", "straight": "straight-cut", "pleated": "pleated"}
FABRIC = {
    "cotton jersey": ("soft cotton jersey", "cotton jersey"),
    "organic jersey": ("soft organic cotton jersey", "organic cotton jersey"),
    "ribbed jersey": ("ribbed jersey", "soft ribbed jersey"),
    "viscose jersey": ("soft viscose jersey", "viscose jersey"),
    "crêpe": ("a crêpe weave", "an airy crêpe weave"),
    "viscose": ("a soft viscose weave", "a viscose weave"),
    "cotton weave": ("a cotton weave", "an airy cotton weave"),
    "linen": ("a linen and cotton blend", "a soft linen and cotton blend"),
    "soft knit": ("a soft, fine knit", "a soft knit"),
    "wool knit": ("a soft knit containing some wool", "a rib knit containing some wool"),
    "sweatshirt fabric": ("sweatshirt fabric", "soft sweatshirt fabric"),
    "denim": ("washed denim", "stretch denim"),
    "woven fabric": ("woven fabric", "sturdy woven fabric"),
    "wool blend": ("a wool blend", "a felted wool blend"),
    "twill": ("cotton twill", "stretch cotton twill"),
}
NECKLINE = {
    "round": ("a round neckline",) * 2,
    "v": ("a V-neck",) * 2,
    "square": ("a square neckline",) * 2,
    "boat": ("a boat neck", "a wide boat neck"),
    "polo": ("a polo neck", "a ribbed polo neck"),
    "stand-up": ("a stand-up collar",) * 2,
    "collar": ("a collar", "a turn-down collar"),
    "lapels": ("notch lapels",) * 2,
    "hood": ("a jersey-lined hood", "a hood"),
}
SLEEVE = {"short": "short sleeves", "three-quarter": "3/4-length sleeves", "long": "long sleeves"}
LEGS = {"straight": "straight legs", "wide": "wide legs", "tapered": "tapered legs", "flared": "flared legs"}
FASTENING = {
    "buttons": ("buttons down the front",) * 2,
    "zip": ("a zip down the front",) * 2,
    "fly": ("a zip fly and button",) * 2,
    "elastic": ("an elasticated waist", "covered elastication at the waist"),
}
POCKETS = {
    "chest": "a chest pocket",
    "patch": "patch front pockets",
    "side": "side pockets",
    "kangaroo": "a kangaroo pocket",
}
DETAIL = {
    "belt": ("a tie belt at the waist", "a detachable tie belt at the waist"),
    "drawstring": ("a drawstring at the waist",) * 2,
    "frill": ("a frill trim at the hem", "a flounce at the hem"),
    "turn-ups": ("sewn-in turn-ups at the hems",) * 2,
}
FINISH = {"lined": "Lined.", "unlined": "Unlined.", "brushed": "Soft brushed inside."}
RECYCLED = "The polyester content of the {noun} is partly recycled."


def description(garment: Garment) -> str:
    """Return the shop's text for the product: all that can be seen but the colour, and some that cannot.

    Two garments that differ in colour alone get the same text, as siblings do at H&M.
    """
    noun = _noun(garment)
    shown = [
        NECKLINE[garment.neckline][_bit(garment, 0)] if garment.neckline != "none" else "",
        SLEEVE.get(garment.sleeve, ""),
    ]
    worn = [
        FASTENING[garment.fastening][_bit(garment, 1)] if garment.fastening != "none" else "",
        POCKETS.get(garment.pockets, ""),
        LEGS[garment.shape] if noun in LEGGED else "",
        DETAIL[garment.detail][_bit(garment, 2)] if garment.detail != "none" else "",
        "a print motif on the front" if garment.pattern == "Front print" else "",
    ]
    first, second = ([part for part in parts if part] for parts in (shown, worn))
    if not first:
        first, second = second, []
    fabric = FABRIC[garment.fabric][_bit(garment, 3)]
    text = f"{_adjectives(garment)}{noun} in {fabric}"
    text += f" with {_listed(first)}." if first else "."
    sentences = [_capitalised(text)]
    if second:
        sentences.append(_capitalised(_listed(second).removeprefix("a ").removeprefix("an ")) + ".")
    sentences += [FINISH[garment.finish]] if garment.finish != "none" else []
    sentences += [RECYCLED.format(noun=noun)] if garment.recycled else []
    return " ".join(sentences)


SHORT_BY_NAME = (("Shorts", "short"), ("Jumpsuit/Playsuit", "short"))
LEGGED = ("trousers", "shorts", "jumpsuit", "playsuit")


def _noun(garment: Garment) -> str:
    if garment.type == "Jumpsuit/Playsuit":
        return "playsuit" if garment.length == "short" else "jumpsuit"
    return NOUN.get(garment.type, garment.type if garment.type == "T-shirt" else garment.type.lower())


def _adjectives(garment: Garment) -> str:
    words = [
        LENGTH.get(garment.length, "") if (garment.type, garment.length) not in SHORT_BY_NAME else "",
        "sleeveless" if garment.sleeve == "sleeveless" and garment.type != "Vest top" else "",
        SHAPE.get(garment.shape, "") if _noun(garment) not in LEGGED else "",
        PATTERN.get(garment.pattern, ""),
    ]
    said = [word for word in words if word]
    return ", ".join(said) + " " if said else ""


def _bit(garment: Garment, place: int) -> int:
    return (garment.phrasing >> place) & 1


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


ALT_COLOUR = {
    "Black": "black",
    "White": "white",
    "Grey": "grey",
    "Dark Blue": "navy",
    "Blue": "blue",
    "Light Blue": "sky",
    "Red": "red",
    "Light Pink": "pink",
    "Yellow": "yellow",
    "Dark Green": "green",
    "Greenish Khaki": "olive",
    "Light Beige": "sand",
    "Yellowish Brown": "brown",
}
ALT_TYPE = {
    "T-shirt": "tee",
    "Vest top": "tank",
    "Top": "slim bodice",
    "Blouse": "floaty tunic",
    "Shirt": "oxford",
    "Sweater": "pullover",
    "Hoodie": "hoody",
    "Cardigan": "woolly",
    "Jacket": "blouson",
    "Coat": "overcoat",
    "Dress": "gown",
    "Skirt": "kilt",
    "Trousers": "pants",
    "Shorts": "bermudas",
    "Jumpsuit/Playsuit": "overall",
}
ALT_PATTERN = {
    "Solid": "plain {colour}",
    "Stripe": "{colour} banded {accent}",
    "Check": "{colour} gridded {accent}",
    "Dot": "{colour} polka {accent}",
    "All over pattern": "{colour} blossoms {accent}",
    "Colour blocking": "{colour} halved {accent}",
    "Front print": "{colour} pictured {accent}",
}
ALT_PARTS: dict[str, dict[str, str]] = {
    "sleeve": {
        "sleeveless": "bare arms",
        "short": "covered shoulders",
        "three-quarter": "covered elbows",
        "long": "covered wrists",
    },
    "neckline": {
        "round": "circle opening",
        "v": "pointed opening",
        "square": "boxy opening",
        "boat": "slash opening",
        "polo": "tube throat",
        "stand-up": "upright band",
        "collar": "folded flaps",
        "lapels": "big revers",
        "hood": "head cap",
    },
    "length": {
        "cropped": "ends high",
        "short": "ends high",
        "regular": "ends normal",
        "knee": "ends mid",
        "ankle": "ends early",
        "long": "ends low",
        "calf": "ends low",
    },
    "shape": {
        "A-line": "cone outline",
        "straight": "even outline",
        "pleated": "folds outline",
        "wide": "baggy outline",
        "tapered": "carrot outline",
        "flared": "bell outline",
    },
    "fastening": {"buttons": "row of studs", "zip": "metal teeth", "fly": "jeans closure", "elastic": "stretchy top"},
    "pockets": {"chest": "single pouch", "patch": "two squares", "side": "slanted slots", "kangaroo": "muff pouch"},
    "detail": {
        "belt": "knotted sash",
        "drawstring": "hanging cords",
        "frill": "ruffle edge",
        "turn-ups": "rolled ends",
    },
}
DROPPED = 0.03
SWAPPED = 0.25


def alt_text(garment: Garment, rng: np.random.Generator) -> str:
    """Return what is drawn, colour included, in other words than `description`'s.

    The order of neighbouring phrases varies with `rng`, and a phrase is left out now and then.
    """
    colours = {"colour": ALT_COLOUR[garment.colour], "accent": ALT_COLOUR[garment.accent]}
    parts = [words[getattr(garment, name)] for name, words in ALT_PARTS.items() if getattr(garment, name) in words]
    parts = [part for part in parts if rng.random() >= DROPPED]
    for place in range(len(parts) - 1):
        if rng.random() < SWAPPED:
            parts[place], parts[place + 1] = parts[place + 1], parts[place]
    head = f"{ALT_PATTERN[garment.pattern].format(**colours)} {ALT_TYPE[garment.type]}"
    return " , ".join([head, *parts]).replace(" ,", ",")
