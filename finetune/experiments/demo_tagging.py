"""The parts of speech and the lemmas of the demo's own captions, exact since its grammar is known."""

import re
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from finetune.data.demo.facad_items import items_of
from finetune.data.demo.garments import sample_garment
from finetune.data.demo.wording import alt_text, description
from metrics.measures.attributes.lemmas import normalised

# Words by part of speech (Universal Dependencies), `form=lemma` if the two differ.
LEXICON = {
    "NOUN": """
        ankle belt blend block blouse boat button buttons=button calf cardigan chest coat collar content cotton crêpe
        denim drawstring dress elastication fabric flounce fly frill front hem hems=hem hood hoodie inside jacket jersey
        jumper jumpsuit kangaroo knee knit lapels=lapel legs=leg length line linen motif neck neckline notch patch
        playsuit pocket pockets=pocket polo polyester print rib shirt shorts side skirt sleeves=sleeve stand stretch
        sweatshirt t tie top trim trousers turn twill ups=up v vest viscose waist weave wool zip
        arms=arm band bell bermudas blossoms=blossom blouson bodice cap carrot circle closure cone cords=cord edge
        elbows=elbow flaps=flap folds=fold gown head hoody jeans kilt metal muff opening outline overall overcoat oxford
        pants polka pouch pullover revers row ruffle sand sash shoulders=shoulder sky slash slots=slot squares=square
        studs=stud tank tee teeth=tooth throat tube tunic woolly wrists=wrist
        autumns=autumn brunch city date days=day dinners=dinner evenings=evening flights=flight gallery garden
        lunches=lunch market mornings=morning night nights=night office parties=party picnics=picnic road rooftop
        runs=run school seaside showers=shower spring strolls=stroll summer sun trips=trip visits=visit walks=walk
        weekends=weekend winter""",
    "PROPN": "sundays=sunday",
    "ADJ": """
        airy brushed checked coloured covered cropped cut detachable elasticated felted fine flared floral lined long
        organic patterned pleated ribbed round sewn short sleeveless soft spotted square straight striped sturdy tapered
        unlined washed wide woven
        baggy banded bare big black blue boxy brown early even floaty folded green grey gridded halved hanging knotted
        navy olive pictured pink plain pointed red rolled single slanted slim stretchy upright white yellow
        arty bold breezy bright charming cheerful classic clean cool cosy crisp dreamy easygoing effortless elegant
        graceful laid mild modern moonlit playful polished quiet rainy relaxed romantic slow timeless""",
    "VERB": "containing=contain ends=end recycled=recycle travelling=travel",
    "ADV": "back high light low mid normal partly",
    "ADP": "at down for in of on up with",
    "DET": "a an=a some the",
    "AUX": "is=be",
    "CCONJ": "and",
    "NUM": "3/4 two",
    "PUNCT": ", .",
}
# Words whose part of speech depends on the word before or after.
PHRASES = {
    "a line": ("NOUN", "NOUN"),
    "ends early": ("VERB", "ADV"),
    "front pockets": ("ADJ", "NOUN"),
    "rolled ends": ("ADJ", "NOUN"),
}


@dataclass(frozen=True)
class Word:
    """A word with its universal part of speech and its lemma."""

    form: str
    upos: str
    lemma: str


_LEMMAS: dict[tuple[str, str], str] = {}
_TAGS: dict[str, str] = {}
for _tag, _entries in LEXICON.items():
    for _entry in _entries.split():
        _form, _, _lemma = _entry.partition("=")
        _TAGS[_form] = _tag
        _LEMMAS[_form, _tag] = _lemma or _form
_LEMMAS |= {("a", "NOUN"): "a", ("early", "ADV"): "early", ("front", "ADJ"): "front", ("ends", "NOUN"): "end"}


def tagged(caption: str) -> list[Word]:
    """Return the words of a caption of the demo; raises `KeyError` for a word that its grammar lacks."""
    forms = re.findall(r"[\w/]+|[^\w\s]", normalised(caption))
    tags = [_TAGS[form] for form in forms]
    for place, pair in enumerate(pairwise(forms)):
        tags[place : place + 2] = PHRASES.get(" ".join(pair), tags[place : place + 2])
    return [Word(form, tag, _LEMMAS[form, tag]) for form, tag in zip(forms, tags, strict=True)]


def written(words: list[Word]) -> str:
    """Return the words as a caption, punctuation next to the word before it."""
    return re.sub(r" ([,.])", r"\1", " ".join(word.form for word in words))


def captions(count: int, seed: int, damaged: float) -> list[list[Word]]:
    """Return `count` captions as the shop, its other layout and the base model's alt texts write them.

    Share `damaged` of them is as a poor model might write it: cut off, rotated, with words left out or repeated.
    """
    rng = np.random.default_rng([seed, 8])
    facad = [" ".join(item.words) for item in items_of(count, seed)]
    drawn = [sample_garment(rng) for _ in range(count)]
    texts = [description(garment) for garment in drawn] + facad + [alt_text(garment, rng) for garment in drawn]
    distinct = list(dict.fromkeys(texts))
    chosen = rng.choice(len(distinct), count, replace=False)
    words = [tagged(distinct[place]) for place in chosen]
    return [_damage(caption, rng) if rng.random() < damaged else caption for caption in words]


def _damage(words: list[Word], rng: np.random.Generator) -> list[Word]:
    start, end = sorted(int(place) for place in rng.integers(len(words), size=2))
    cut = words[: end + 1] if rng.random() < 0.5 else words[start:] + words[:start]
    remaining = [word for word in cut if rng.random() > 0.08]
    return [copy for word in remaining or words for copy in [word] * (1 + (rng.random() < 0.04))]
