"""Which items are shown, in which order: the parameters of a URL, checked, and back."""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from metrics.common.errors import UserError
from metrics.viewer.index import Index

DIFFERENCE, DISAGREEMENT = "difference", "disagreement"
ORDERS = ("desc", "asc")
_LONGEST = 300  # characters of a search
_SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class Selection:
    """A choice of items and their order, by the names that the URL gives them. Scores are x100, as they are printed.

    Attributes:
        q: words to search for.
        category: their category.
        slice: `seen` or `unseen`.
        first: they are among the first so many of the test set.
        products: they are the first item of one of the first so many products.
        measure: what `min`, `max` and differences are of.
        system: the system in focus, whose scores are filtered, sorted and shown first.
        versus: the system that it is compared with; None if there is only one system.
        min: the lowest score of `system`; items that the measure leaves out have none.
        max: the highest one.
        diff_min: the lowest difference, `system` less `versus`.
        diff_max: the highest one.
        sort: a measure, of `system`; `difference`; `disagreement`, the size of the difference; None for the test set's
            order.
        order: of a sort, `desc` or `asc`.
    """

    measure: str
    system: str
    versus: str | None
    q: str = ""
    category: str | None = None
    slice: str | None = None
    first: int | None = None
    products: int | None = None
    min: float | None = None
    max: float | None = None
    diff_min: float | None = None
    diff_max: float | None = None
    sort: str | None = None
    order: str = "desc"

    @property
    def terms(self) -> list[str]:
        """What `q` is searched by: its words, of which some are runs of words, such as `v-neck`."""
        words = self.q.replace("\0", " ").split()
        return [word for word in words if any(character.isalnum() for character in word)]


def default_selection(index: Index) -> Selection:
    """All items in the test set's order; the last system, a fine-tuned one if there is any, and the one before it."""
    versus = index.names[-2] if len(index.systems) > 1 else None
    return Selection(measure=index.measures[0], system=index.names[-1], versus=versus)


def parameters(selection: Selection, index: Index) -> dict[str, Any]:
    """The URL's parameters of a selection, those of the default one left out."""
    default = asdict(default_selection(index))
    given = {name: value for name, value in asdict(selection).items() if value != default[name]}
    return {name: f"{value:.12g}" if isinstance(value, float) else value for name, value in given.items()}


def read_selection(index: Index, given: Mapping[str, str]) -> Selection:
    """The selection that a URL's parameters give; an empty one counts as not given, as forms send it.

    Raises:
        UserError: naming the parameter, what was expected and what was found.
    """
    default, readers = default_selection(index), _readers(index)
    values = {name: readers[name](name, value) for name, value in given.items() if value != ""}
    selection = Selection(**{**asdict(default), **values})
    needs_two: list[str] = [name for name in ("diff_min", "diff_max") if name in values]
    if selection.sort in (DIFFERENCE, DISAGREEMENT):
        needs_two.append(f"sort={selection.sort}")
    if needs_two and selection.versus is None:
        raise UserError(f"{needs_two[0]}: expected two systems to compare, found only {selection.system}")
    return selection


def _readers(index: Index) -> dict[str, Callable[[str, str], Any]]:
    """How the value of each parameter is read, given its name."""
    sorts = [*index.measures, DIFFERENCE, DISAGREEMENT]
    choices: dict[str, Collection[str]] = {
        "category": index.categories,
        "slice": index.slices,
        "measure": index.measures,
        "system": index.names,
        "versus": index.names,
        "sort": sorts,
        "order": ORDERS,
    }
    readers: dict[str, Callable[[str, str], Any]] = {field.name: _number for field in fields(Selection)}
    readers |= {"q": _search, "first": whole, "products": whole}
    return readers | {name: _among(known) for name, known in choices.items()}


def _among(known: Collection[str]) -> Callable[[str, str], str]:
    def read(name: str, value: str) -> str:
        if value not in known:
            more = ", ..." if len(known) > _SHOWN else ""
            expected = f"one of {', '.join([*known][:_SHOWN])}{more}" if known else "none, since no item has any"
            raise UserError(f"{name}: expected {expected}; found {value!r:.100}")
        return value

    return read


def whole(name: str, value: str) -> int:
    """Read a count from 1; raises `UserError` naming the parameter."""
    if not (value.isascii() and value.isdigit() and len(value) <= 12 and int(value) > 0):
        raise UserError(f"{name}: expected a whole number from 1, found {value!r:.100}")
    return int(value)


def _number(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"{name}: expected a number, such as 40 or -2.5, found {value!r:.100}")
    return number


def _search(name: str, value: str) -> str:
    if len(value) > _LONGEST:
        raise UserError(f"{name}: expected at most {_LONGEST} characters to search for, found {len(value):,}")
    return value
