"""One or two catalogues as tables of text, which the page's templates print."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from metrics.common.charts import Chart, histogram

Facts = Mapping[str, Any]
Rows = list[list[str]]
_NONE = "–"
_SHOWN = 15

_AT_A_GLANCE = {
    "Photos": ("photos", ",d"),
    "Captioned items": ("captions.items", ",d"),
    "Most frequent image size": ("image_sizes.most_frequent", ""),
    "Photos per distinct caption": ("captions.photos_per_caption", ".2f"),
    "Distinct captions": ("captions.distinct", ",d"),
    "Words per caption, mean": ("caption_words.mean", ".1f"),
    "Vocabulary: distinct words": ("vocabulary.words", ",d"),
    "Vocabulary: bare words": ("vocabulary.bare_words", ",d"),
    "Categories": ("categories.count", ",d"),
}
_ITEMS = {
    "Split": ("split_method", ""),
    "Items to train on": ("items.train", ",d"),
    "Items to validate on": ("items.validation", ",d"),
    "Items to test on": ("items.test", ",d"),
    "Undescribed items": ("items.undescribed", ",d"),
}
_IMAGE_SIZES = {
    "Distinct sizes": ("image_sizes.distinct", ",d"),
    "Photos of the most frequent": ("image_sizes.share_of_most_frequent", ".1%"),
    "Median width": ("image_sizes.median_width", ",g"),
    "Median height": ("image_sizes.median_height", ",g"),
    "Smallest": ("image_sizes.smallest", ""),
    "Largest": ("image_sizes.largest", ""),
}
_WORDS = {
    "Mean": ("caption_words.mean", ".2f"),
    "Median": ("caption_words.median", "g"),
    "5th percentile": ("caption_words.percentile_5", "d"),
    "95th percentile": ("caption_words.percentile_95", "d"),
    "Shortest": ("caption_words.shortest", "d"),
    "Longest": ("caption_words.longest", "d"),
}
_CATEGORIES = {
    "Categories": ("categories.count", ",d"),
    "Categories with one item": ("categories.with_one_item", ",d"),
    "Items without a category": ("categories.items_without", ",d"),
}
_REPETITION = {
    "Captioned items": ("captions.items", ",d"),
    "Distinct captions": ("captions.distinct", ",d"),
    "Items whose caption another item has too": ("captions.repeated_share", ".1%"),
    "Items whose photo another item has too": ("repeated_photos.shared", ",d"),
    "Items whose photo looks like another item's": ("repeated_photos.similar", ",d"),
}
_LEAKS = {
    "Test items": ("leak_audit.test_items", ",d"),
    "Test captions that are word for word in training": ("leak_audit.captions_in_train", ".1%"),
    "Test items with a sibling of the same product in training": ("leak_audit.siblings_in_train", ".1%"),
    "Test items whose photo is in training": ("leak_audit.photos_in_train", ".1%"),
    "Test items whose photo looks like one of training": ("repeated_photos.similar_to_training", ",d"),
}


@dataclass(frozen=True)
class Table:
    """A head and rows of cells; `texts` if the last column holds sentences."""

    head: list[str]
    rows: Rows
    title: str | None = None
    texts: bool = False


@dataclass(frozen=True)
class CardSection:
    """A titled part of the page: `measures` has a column for each catalogue, `lists` tables of one catalogue each."""

    title: str
    note: str
    measures: list[Table] = field(default_factory=list)
    lists: list[Table] = field(default_factory=list)
    chart: Chart | None = None


def sections(labelled: Mapping[str, Facts]) -> list[CardSection]:
    """The page's parts for catalogues by their label, side by side if there are two."""
    lengths = {label: (facts["caption_words"] or {}).get("items", {}) for label, facts in labelled.items()}
    return [
        CardSection(
            "At a glance",
            "What Table 2 of the paper compares; undescribed items have a photo and no caption.",
            [_compared(labelled, _AT_A_GLANCE), _compared(labelled, _ITEMS)],
        ),
        CardSection(
            "Image sizes",
            "Width x height in pixels, as the photos are stored.",
            [_compared(labelled, _IMAGE_SIZES)],
            _each(labelled, ["Size", "Photos", "Share"], _size_rows),
        ),
        CardSection(
            "Caption lengths",
            "Words between white space, over all captioned items.",
            [_compared(labelled, _WORDS)],
            chart=histogram(lengths, "words per caption"),
        ),
        CardSection(
            "Categories",
            "Of captioned items, the most frequent first.",
            [_compared(labelled, _CATEGORIES)],
            _each(labelled, ["Category", "Items", "Share"], _category_rows),
        ),
        CardSection(
            "Attributes",
            "Distinct values; for values that hold lists, also the distinct parts between commas.",
            lists=_each(labelled, ["Attribute", "Items", "Values", "Parts"], _attribute_rows),
        ),
        CardSection(
            "Repetition",
            "How much items share their captions.",
            [_compared(labelled, _REPETITION)],
            _each(labelled, ["Items", "Most repeated captions"], _repeated_rows, texts=True),
        ),
        CardSection(
            "Leak audit",
            "A system can score well on a caption it was trained on without looking at the photo.",
            [_compared(labelled, _LEAKS)],
        ),
        CardSection(
            "Preparation",
            "What each step left, and what was dropped by each rule.",
            lists=_each(labelled, ["Step", "Items"], _preparation_rows),
        ),
    ]


def shared_section(shared: Mapping[str, Mapping[str, list[str]]], labels: Sequence[str]) -> CardSection:
    """What two catalogues have in common; by kind, the names `both` have and those of the `first` or `second` alone."""
    where = {"both": "In both", "first": f"Only in {labels[0]}", "second": f"Only in {labels[1]}"}
    tables = [
        Table(
            [kind, "Number", "The most frequent"],
            [[where[key], f"{len(names):,d}", ", ".join(names[:_SHOWN]) or _NONE] for key, names in overlap.items()],
            texts=True,
        )
        for kind, overlap in shared.items()
    ]
    note = "Bare words, and categories without regard to capitals."
    return CardSection("What they share", note, tables)


def _compared(labelled: Mapping[str, Facts], measures: Mapping[str, tuple[str, str]]) -> Table:
    """A row for each measure, a column for each catalogue, and the second's ratio to the first."""
    rows = []
    for title, (path, form) in measures.items():
        values = [_value(facts, path) for facts in labelled.values()]
        cells = [_NONE if value is None else format(value, form) for value in values]
        rows.append([title, *cells, *([_ratio(*values)] if len(values) == 2 else [])])
    return Table(["", *labelled, *(["Ratio"] if len(labelled) == 2 else [])], rows)


def _value(facts: Facts, path: str) -> Any:
    value: Any = facts
    for key in path.split("."):
        value = value[key] if value is not None else None
    return value


def _ratio(first: Any, second: Any) -> str:
    if isinstance(first, str) or not first or second is None:
        return _NONE
    return f"{second / first:,.2f}"


def _each(
    labelled: Mapping[str, Facts], head: list[str], rows: Callable[[Facts], Rows], texts: bool = False
) -> list[Table]:
    """A table for each catalogue, named if there are two."""
    title = len(labelled) > 1
    return [Table(head, rows(facts), label if title else None, texts) for label, facts in labelled.items()]


def _shares(counts: Mapping[str, int]) -> Rows:
    """The most frequent with their share, and what all others come to."""
    total, shown = sum(counts.values()), list(counts.items())[:_SHOWN]
    others = total - sum(count for _, count in shown)
    if others:
        shown.append((f"{len(counts) - _SHOWN:,d} others", others))
    return [[name, f"{count:,d}", f"{count / total:.1%}"] for name, count in shown]


def _size_rows(facts: Facts) -> Rows:
    return _shares(facts["image_sizes"]["photos"]) if facts["image_sizes"] else []


def _category_rows(facts: Facts) -> Rows:
    return _shares(facts["categories"]["items"])


def _attribute_rows(facts: Facts) -> Rows:
    return [
        [name, f"{values['items']:,d}", f"{values['values']:,d}", f"{values['parts']:,d}" if values["parts"] else _NONE]
        for name, values in facts["attributes"].items()
    ]


def _repeated_rows(facts: Facts) -> Rows:
    return [[f"{row['items']:,d}", row["caption"]] for row in facts["captions"]["most_repeated"]]


def _preparation_rows(facts: Facts) -> Rows:
    steps = [[step["step"], f"{step['articles']:,d}"] for step in facts["counts"]]
    return steps + [[f"dropped: {rule}", f"{count:,d}"] for rule, count in facts["dropped"].items() if count]
