"""Synthetic captions of garments like those of a catalogue: two or three sentences, the same for every colour."""

import random
from functools import cache
from typing import Any

_DISTINCT = 0.41  # of the 105,126 descriptions of the H&M catalogue, 43,404 are
_GARMENTS = """dress|top|skirt|blouse|hoodie|jumper|cardigan|shirt|jacket|coat|blazer|parka|vest|bodysuit|jumpsuit|
jeans|trousers|shorts|leggings|joggers|sweatshirt|polo|tunic|kimono|romper|dungarees|pyjamas|nightdress|robe|
swimsuit|bikini|bra|briefs|socks|tights|hat|beanie|scarf|gloves|belt|bag|backpack|sandals|trainers|boots"""
_FITS = """fitted|short|long|calf-length|ankle-length|straight-cut|wide|loose-fit|slim-fit|oversized|cropped|
knee-length|flared|tapered|boxy|relaxed|high-waisted|low-waisted|A-line|wrapover|double-breasted|single-breasted|
unlined|padded|quilted|sleeveless|off-the-shoulder|asymmetric|straight|generous"""
_FEELS = """soft|stretchy|airy|crisp|woven|ribbed|brushed|washed|lightweight|thick|fine-knit|chunky|textured|
patterned|striped|checked|printed|crinkled|glittery|sheer|glossy|organic|recycled|heavy|slub|sturdy|smooth|flowing|
pleated|marled"""
_FABRICS = """cotton|jersey|denim|twill|satin|chiffon|wool|linen|viscose|lyocell|corduroy|velvet|lace|tulle|fleece|
nylon|flannel|poplin|seersucker|modal|cashmere|mohair|leather|suede|canvas|crêpe|jacquard|mesh|piqué|sweatshirt|
gabardine|bouclé|microfibre|polyester"""
_PARTS = """a V-neck|a round neckline|a collar|narrow shoulder straps|a boat neck|a polo neck|a stand-up collar|
lapels|a lined hood|dropped shoulders|long sleeves|short sleeves|puff sleeves|3/4-length sleeves|raglan sleeves|a
zip fly and button|buttons down the front|a concealed zip at the back|side pockets|patch pockets with a flap|a chest
pocket|welt back pockets|an elasticated waist|a drawstring waist|a detachable belt|a tie belt|slits in the sides|a
slit at the back|a rounded hem|a frill-trimmed hem|ribbing around the neckline and cuffs|flounces at the shoulders|
pleats at the front|darts at the bust|a yoke at the back|embroidery on the chest|sequins|decorative seams|adjustable
straps|press-studs at the crotch|cuffs with buttons|foldable cuffs|a smocked back|a lace trim|a keyhole opening|a
hood with a drawstring|worn details|a motif on the front|a matching scrunchie|a metal buckle"""
_ENDS = """Lined.|Unlined.|Fully lined.|Jersey lining.|Soft brushed inside.|Mesh lining in the front.|The cotton
content of the garment is organic.|The polyester content is recycled.|Made from at least 50% recycled fibres.|Size
approx. 30 x 40 cm.|Width 3.5 cm.|Heel approx. 7 cm.|Contains 2 pairs.|Partly lined with seams that don't show.|
Ribbed hem.|Designed for a relaxed look and an easy fit.|Moisture-wicking, fast-drying function that keeps you dry.|
Raw-edge hems and a gently shaped waist.|Removable inserts that shape the bust and provide good support.|Detachable,
adjustable shoulder strap.|The skirt falls softly from a seam at the waist.|Worn by men and women alike.|Comes with
a spare button on the inside.|Wide, ribbed hem at the cuffs and waist that holds its shape."""


def descriptions(count: int, seed: int = 17, share: float = _DISTINCT) -> list[str]:
    """Return `count` descriptions of about 24 words, a `share` of them distinct, in a random order."""
    draw = random.Random(seed)  # noqa: S311
    distinct: dict[str, None] = {}
    while len(distinct) < max(1, round(share * count)):
        distinct[_description(draw)] = None
    texts = list(distinct)
    texts += draw.choices(texts, k=count - len(texts))
    draw.shuffle(texts)
    return texts


def made_up_captions(pairs: int, seed: int = 17) -> list[dict[str, Any]]:
    """Return `pairs` records with `id`, `caption` and one reference, of about 24 words.

    41% of the references are distinct. Of the captions, four in ten are the reference, three in ten start like it and
    continue like another, and three in ten are that of another item.
    """
    draw = random.Random(seed)  # noqa: S311
    references = descriptions(pairs, seed)
    texts = sorted(set(references))
    return [
        {"id": str(number), "caption": _caption(draw, text, draw.choice(texts)), "references": [text]}
        for number, text in enumerate(references)
    ]


@cache
def _options(text: str) -> list[str]:
    return [" ".join(option.split()) for option in text.split("|")]


def _description(draw: random.Random) -> str:
    first, second, third, *more = draw.sample(_options(_PARTS), 5)
    fit, garment, feel, fabric = (draw.choice(_options(text)) for text in (_FITS, _GARMENTS, _FEELS, _FABRICS))
    text = f"{fit} {garment} in {feel} {fabric} with {first}, {second} and {third}.".capitalize()
    if draw.random() < 0.4:
        text += f" {more[0].capitalize()} and {more[1]}."
    return f"{text} {draw.choice(_options(_ENDS))}"


def _caption(draw: random.Random, reference: str, other: str) -> str:
    chance = draw.random()
    if chance < 0.4:
        return reference
    words = reference.split()
    return other if chance > 0.7 else " ".join([*words[: draw.randrange(2, len(words))], *other.split()[4:]])
