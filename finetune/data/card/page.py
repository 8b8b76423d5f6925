"""The catalogue card: a page that describes a catalogue, or two side by side."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from finetune.data.card import CARD_MARK
from finetune.data.card.facts import CatalogueCard, describe_catalogue
from finetune.data.card.tables import CardSection, sections, shared_section
from finetune.data.preparation import Prepared
from metrics.common.files import all_or_none, make_folder, one_line, write_text
from metrics.common.ownership import Contents, claim_folder
from metrics.common.templates import render
from metrics.common.version import installed_version

__all__ = ["COMPARISON", "CatalogueCard", "describe_catalogue", "write_card", "write_comparison"]

COMPARISON = Contents(
    {"catalogues.json": CARD_MARK, "catalogues.md": "by Lookbook ", "catalogues.html": "Lookbook catalogue card"}
)


def write_card(prepared: Prepared, folder: Path) -> list[Path]:
    """Describe a prepared catalogue: write `catalogue.json`, `.md` and `.html` into `folder` and return their paths.

    `folder` is made if it is missing. Raises `UserError` if a file cannot be written.
    """
    card = describe_catalogue(prepared)
    name = card.facts["name"]
    return _write(folder / "catalogue", card.facts, {name: card}, sections({name: card.facts}))


def write_comparison(catalogues: Sequence[tuple[str, Prepared]], folder: Path) -> list[Path]:
    """Describe two catalogues side by side: `catalogues.json`, `.md` and `.html` in `folder`; their paths.

    `catalogues` are pairs of a source (the recipe's path), which distinguishes catalogues of one name, and what was
    prepared. Raises `UserError` if the folder is not ours, or a file cannot be
    written.
    """
    claim_folder(folder, COMPARISON)
    described = [describe_catalogue(prepared) for _, prepared in catalogues]
    labels = _labels([card.facts["name"] for card in described], [source for source, _ in catalogues])
    cards = dict(zip(labels, described, strict=True))
    shared = _shared(*described)
    parts = sections({label: card.facts for label, card in cards.items()})
    parts.insert(1, shared_section(shared, labels))
    values = {"catalogues": {label: card.facts for label, card in cards.items()}, "shared": shared}
    return _write(folder / "catalogues", values, cards, parts)


def _labels(names: Sequence[str], sources: Sequence[str]) -> list[str]:
    """Names that differ: with their source if two have the same name, numbered if the sources are the same too."""
    if len(set(names)) == len(names):
        return list(names)
    if len(set(sources)) == len(sources):
        return [f"{name} ({source})" for name, source in zip(names, sources, strict=True)]
    return [f"{name} ({number})" for number, name in enumerate(names, 1)]


def _shared(first: CatalogueCard, second: CatalogueCard) -> dict[str, dict[str, list[str]]]:
    """Bare words and lower-cased categories of both and of one alone, the most frequent first."""
    return {
        "Words": _overlap(first.words, second.words),
        "Categories": _overlap(_lower_categories(first), _lower_categories(second)),
    }


def _overlap(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, list[str]]:
    both = {name: min(first[name], second[name]) for name in first.keys() & second.keys()}
    only_first = {name: count for name, count in first.items() if name not in both}
    only_second = {name: count for name, count in second.items() if name not in both}
    return {"both": _ranked(both), "first": _ranked(only_first), "second": _ranked(only_second)}


def _ranked(counts: Mapping[str, int]) -> list[str]:
    return sorted(counts, key=lambda name: (-counts[name], name))


def _lower_categories(card: CatalogueCard) -> Counter[str]:
    counts: Counter[str] = Counter()
    for name, items in card.facts["categories"]["items"].items():
        counts[name.lower()] += items
    return counts


def _write(
    path: Path, values: Mapping[str, Any], cards: Mapping[str, CatalogueCard], parts: Sequence[CardSection]
) -> list[Path]:
    make_folder(path.parent)
    view = {"cards": cards, "sections": parts, "lookbook": installed_version()}
    texts = {
        "json": one_line(json.dumps(values, ensure_ascii=False, allow_nan=False, indent=1)) + "\n",
        "md": render("card.md.j2", view, "finetune"),
        "html": render("card.html.j2", view, "finetune"),
    }
    with all_or_none():
        for suffix, text in texts.items():
            write_text(path.with_suffix(f".{suffix}"), text)
    return [path.with_suffix(f".{suffix}") for suffix in texts]
