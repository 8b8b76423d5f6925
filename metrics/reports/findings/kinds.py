"""The kinds of error that are counted, each a rule on one caption.

They follow what people saw in such captions: Rippberger and Neidhardt (2026), section 4.1, Qualitative Analysis.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from metrics.reports.findings.lexicons import Term
from metrics.reports.findings.reading import Quantity, Reading
from metrics.text.spelling import plain_spelling

Words = tuple[str, ...]  # one: words of the caption; two: those of the references and the caption's in their place
Found = Sequence[Words]


class Case(NamedTuple):
    """One caption to be looked at.

    Attributes:
        text: the caption.
        caption: what it says.
        references: what the item's references say.
        category: the item's category.
        predicted: the category that the classifier reads from the caption; None if Acc was not measured.
        finished: whether it ended with an end token; None if unknown.
    """

    text: str
    caption: Reading
    references: Sequence[Reading]
    category: str | None = None
    predicted: str | None = None
    finished: bool | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What captions are held against besides their references.

    Attributes:
        longest: the words that 99% of the references do not exceed; None without references.
        training: the training captions in plain spelling; None if not given.
        prompts: lines of the system's prompt, lower-cased.
    """

    longest: int | None
    training: frozenset[str] | None = None
    prompts: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of error.

    Attributes:
        name: its key in report.json.
        title: its name in tables.
        rule: what counts, and of which captions.
        find: the words concerned, () if the caption is free of it, None if the rule does not apply to it.
        in_references: whether a reference alone can have it, so that its rate among references is known; if not, the
            caption is compared with references, and an item without any is left out.
        needs: what must be given for it.
        by_slice: whether tables show its rate on every slice, not only on all items.
    """

    name: str
    title: str
    rule: str
    find: Callable[[Case, Limits], Found | None]
    in_references: bool = True
    needs: Literal["training", "category"] | None = None
    by_slice: bool = False

    def of(self, case: Case, limits: Limits) -> Found | None:
        """Return what `find` does; None if the references that it needs are missing."""
        found = self.find(case, limits) if self.in_references or case.references else None
        return found or (None if found is None else ())  # millions of empty lists would take memory and time


def _colours_confused(case: Case, _: Limits) -> Found | None:
    theirs = [colour for one in case.references for colour in one.colours]
    if not theirs or not case.caption.colours:
        return None
    families = frozenset[str]().union(*(colour.groups for colour in theirs))
    if any(colour.groups & families for colour in case.caption.colours):
        return ()
    return _pairs(theirs, case.caption.colours)


def _materials_confused(case: Case, _: Limits) -> Found | None:
    sides = [pair for pair in _by_group(case) if all(pair)]
    if not sides:
        return None
    return [pair for theirs, ours in sides if not set(theirs) & set(ours) for pair in _pairs(theirs, ours)]


def _materials_invented(case: Case, _: Limits) -> Found:
    sides = [(theirs, ours) for theirs, ours in _by_group(case) if not theirs or set(theirs) & set(ours)]
    return [(term.name,) for theirs, ours in sides for term in ours if term not in theirs]


def _by_group(case: Case) -> Iterator[tuple[Sequence[Term], Sequence[Term]]]:
    """The references' fibres and the caption's; then the fabrics; each only if the caption has some."""
    for group, ours in enumerate(case.caption.materials):
        if ours:
            yield [term for one in case.references for term in one.materials[group]], ours


def _pairs(theirs: Iterable[Term], ours: Iterable[Term]) -> Found:
    return list(dict.fromkeys((their.name, our.name) for their in theirs for our in ours))


def _category_confused(case: Case, _: Limits) -> Found | None:
    if case.category is None or case.predicted is None:
        return None
    return () if case.predicted == case.category else [(case.category, case.predicted)]


def _numbers_invented(case: Case, _: Limits) -> Found:
    if not case.caption.numbers:
        return []
    known = [number for one in case.references for number in (*one.numbers, *one.spelled)]
    return [(str(number),) for number in case.caption.numbers if not any(_equal(number, other) for other in known)]


def _equal(one: Quantity, other: Quantity) -> bool:
    return one.value == other.value and (one.unit == other.unit or None in (one.unit, other.unit))


def _claims(case: Case, _: Limits) -> Found:
    return [(claim.name,) for claim in case.caption.claims]


def _claims_invented(case: Case, _: Limits) -> Found:
    if not case.caption.claims:
        return []
    known = {claim for one in case.references for claim in one.claims}
    return [(claim.name,) for claim in case.caption.claims if claim not in known]


def _runs_on(case: Case, limits: Limits) -> Found:
    length = case.caption.length
    unfinished = [("not finished",)] if case.finished is False else []
    return unfinished + ([(f"{length:,} words",)] if limits.longest is not None and length > limits.longest else [])


def _echoes(case: Case, _: Limits) -> Found:
    return [(case.caption.echo,)] if case.caption.echo else ()


def _repeats(case: Case, _: Limits) -> Found:
    return [(case.caption.repeated,)] if case.caption.repeated else ()


def _left_over(case: Case, limits: Limits) -> Found:
    text = case.text.lower() if limits.prompts else ""
    return [*((mark,) for mark in case.caption.marks), *((line,) for line in limits.prompts if line in text)]


def _sales_tone(case: Case, _: Limits) -> Found:
    return [*((term.name,) for term in case.caption.sales), *([("!",)] if case.caption.exclaims else [])]


def _copied(case: Case, limits: Limits) -> Found:
    text = plain_spelling(case.text)
    return [(text,)] if text in (limits.training or ()) else ()


KINDS = (
    Kind(
        "colour_confused",
        "Colour confused",
        "Caption and references name colours, but no family of colours in common; a modifier refines a colour (dark "
        "blue is blue), and a shade between two families is of both. Of captions where both name a colour.",
        _colours_confused,
        in_references=False,
    ),
    Kind(
        "material_confused",
        "Material confused",
        "Caption and references name fibres (or fabrics), and not one in common. Of captions where both name some.",
        _materials_confused,
        in_references=False,
    ),
    Kind(
        "material_invented",
        "Material invented",
        "The caption names a fibre or fabric that no reference names, and that replaces none of theirs "
        "(then it is confused).",
        _materials_invented,
        in_references=False,
    ),
    Kind(
        "category_confused",
        "Category confused",
        "The classifier of Acc reads another category from the caption than the item's. Of captions of items with a "
        "category. The references: what the classifier gets wrong in them.",
        _category_confused,
        needs="category",
    ),
    Kind(
        "number_invented",
        "Number or size invented",
        "The caption has a number in digits that no reference has (with another unit, if both give one).",
        _numbers_invented,
        in_references=False,
    ),
    Kind(
        "claim",
        "Claim that no photo shows",
        "By a list of words: certificates, organic or recycled fibres, funding, designers, brands, country of origin. "
        "Names of people are not in it.",
        _claims,
    ),
    Kind(
        "claim_invented",
        "Such a claim invented",
        "The caption makes such a claim that no reference makes.",
        _claims_invented,
        in_references=False,
    ),
    Kind(
        "runs_on",
        "Runs on",
        "The caption was cut at the length limit before its end (where that is known), or is longer than 99% of the "
        "references.",
        _runs_on,
    ),
    Kind("echo", "Words doubled", "One to three words follow at once on the same ones.", _echoes),
    Kind("repeated", "Phrase repeated", "Four words or more occur twice in the caption.", _repeats),
    Kind(
        "left_over",
        "Prompt or token left in",
        "A speaker (USER:, ASSISTANT:), a special token, or a line of three words or more of the system's prompt.",
        _left_over,
    ),
    Kind(
        "sales_tone",
        "Sales tone",
        "By a list of words: praise, offers, the reader addressed (you); or an exclamation mark.",
        _sales_tone,
    ),
    Kind(
        "copied",
        "Copy of a training caption",
        "The caption is a training caption word for word (whatever its white space and Unicode form).",
        _copied,
        needs="training",
        by_slice=True,
    ),
)
