"""The measures to compute, chosen by the names that a command or a recipe gives."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from metrics.common.errors import UserError
from metrics.common.measure_names import ORDER
from metrics.measures.attributes.measure import Attributes
from metrics.measures.base import Measure, Measured
from metrics.measures.category.measure import Category
from metrics.measures.clip_score import PUBLISHED, ClipScore
from metrics.scoring.suite import default_measures
from metrics.text.corpus import Corpus


class Unavailable(Measure):
    """A measure that was not given what it needs; the report shows the reason."""

    def __init__(self, names: tuple[str, ...], reason: str) -> None:
        self.names = names
        self._reason = reason

    def absent(self) -> str:
        """Return what to give."""
        return self._reason

    def measure(self, corpus: Corpus) -> Sequence[Measured]:
        """Never measures: the suite asks `absent` first."""
        raise UserError(f"{self.names[0]}: {self._reason}")


NO_CLASSIFIER = Unavailable(Category.names, "no classifier given; `lookbook train-classifier` makes one")
NO_CLIP = Unavailable(
    ("CLIPScore", "RefCLIPScore"), f"no model given; `lookbook score ... --clip {PUBLISHED}` measures it on the photos"
)
NO_VOCABULARY = Unavailable(Attributes.names, "no vocabulary given; `lookbook attributes` makes one")


def choose_measures(
    names: str | Sequence[str] = (),
    classifier: Path | None = None,
    vocabulary: Path | None = None,
    stanza: str = "en",
    clip: str | None = None,
    images: Path | None = None,
) -> list[Measure]:
    """Return the measures called `names` (of `ORDER`, in any case), or all of them.

    Args:
        names: one or several; one name chooses all measures of the same computation: BLEU-4 includes BLEU-1. Only
            CLIPScore comes without RefCLIPScore, so that it can be measured where there are no references.
        classifier: folder of a trained category classifier.
        vocabulary: file of an attribute vocabulary.
        stanza: `en`, or the folder of the Stanza models that the vocabulary was made with.
        clip: Hub id or folder of a CLIP or SigLIP.
        images: folder that the records' photos are relative to, for CLIPScore; default: the runs' catalogue folder.

    Raises:
        UserError: when a name is unknown or its measure cannot run here, classifier or vocabulary cannot be read, or
            Stanza models come without a vocabulary.
    """
    names = [names] if isinstance(names, str) else names
    if stanza != "en" and vocabulary is None:
        raise UserError(f"--stanza {stanza}: its lemmas are looked up in a vocabulary; also give --vocabulary")
    with_references = not names or "refclipscore" in map(str.lower, names)
    measures = [
        *default_measures(),
        Attributes(vocabulary, stanza) if vocabulary else NO_VOCABULARY,
        Category(classifier) if classifier else NO_CLASSIFIER,
        ClipScore(clip, images, with_references) if clip else NO_CLIP,
    ]
    known = {name.lower(): measure for measure in measures for name in measure.names}
    unknown = [name for name in names if name.lower() not in known]
    if unknown:
        near = get_close_matches(unknown[0].lower(), known, n=1)
        suggestion = f"; did you mean {near[0].upper()}?" if near else ""
        raise UserError(f"--measure {unknown[0]}: expected one of {', '.join(ORDER)}{suggestion}")
    for name in names:
        if reason := known[name.lower()].absent():
            raise UserError(f"--measure {name}: {reason}")
    paper = [measure for measure in measures if measure is not NO_CLIP]  # its seven are wanted without being named
    wanted = [known[name.lower()] for name in names] or paper
    return [measure for measure in measures if measure in wanted]
