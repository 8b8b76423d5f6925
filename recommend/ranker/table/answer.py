"""Whether captions helped, in one sentence."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from finetune.data.feature_cache import FeatureStore
from recommend.experiments.measured import ALL
from recommend.ranker.recipe import RANDOM, Arm, Recipe, with_or_without
from recommend.ranker.rows import COMPARED
from recommend.ranker.table.published import MEASURE

Entry = Mapping[str, Any]
Difference = Mapping[str, float]


def answer(recipe: Recipe, entries: Sequence[Entry]) -> str | None:
    """The first ranker with the bestseller rank in figures, all others counted; None if that is not known yet.

    They helped if the interval is above 0 in every comparison, of all customers and of those with a history, who do
    not all get the same list: one ranker may gain by chance what another loses.
    """
    ours = [one for one in entries if one["arm"] == recipe.captions]
    without = recipe.against[0]
    if not ours[0]["differences"].get(without):
        return None
    found = [gain for one in ours for name in recipe.against for gain in _gains(one, name).values()]
    above, below = (sum(one["low"] > 0 for one in found), sum(one["high"] < 0 for one in found))
    what, where = what_is_added(recipe.asked)
    return (
        f"{what} {_did(above, below, len(found))}: {MEASURE} of “{recipe.captions}” ({where}) less that of “{without}” "
        f"is {_main(ours[0], without)} ({ours[0]['ranker']}, {with_or_without(True)}); of {len(found)} comparisons, "
        f"each ranker with and without the bestseller rank less {' and '.join(recipe.against)}, of all customers and "
        f"of those with a history, the interval is above 0 in {above}, below in {below}."
    )


def what_is_added(arm: Arm) -> tuple[str, str]:
    """What an arm adds, as a sentence begins with it, and where that is from. Raises `UserError` if a store is gone."""
    if arm.features is None:
        return "Flags", ", ".join(arm.flags)
    if arm.features == RANDOM:
        return "Random numbers", "drawn, of no article"
    about = FeatureStore.open(Path(arm.features)).about
    text = about.text or about.reads
    return _called(text), f"{arm.features}: {about.encoder_shown} of {text}"


def _called(text: str) -> str:
    """What `About.text`, or `About.reads`, says, in a word."""
    called = {"photo": "Photos", "both": "Photos and texts", "description": "Descriptions"}
    if text.startswith("captions:"):
        return "Captions"
    if text.startswith("description, else"):
        return "Descriptions and captions"
    return called.get(text, "Texts")


def _gains(entry: Entry, against: str) -> dict[str, Difference]:
    """The differences that count: of all customers, and of those with a history if there are any."""
    found = entry["differences"].get(against, {})
    return {part: found[part] for part in COMPARED if part in found}


def _main(entry: Entry, against: str) -> str:
    customers = {part: one[MEASURE]["customers"] for part, one in entry["result"]["estimates"].items()}
    shown = [
        f"{gain['value']:+.5f}, 95% interval {gain['low']:+.5f} to {gain['high']:+.5f}, of {customers[part]:,} "
        f"customers{'' if part == ALL else f' {part}'}"
        for part, gain in _gains(entry, against).items()
    ]
    return ", and ".join(shown)


def _did(above: int, below: int, count: int) -> str:
    if above == count:
        return "helped"
    if below == count:
        return "harmed"
    if not above and not below:
        return "neither helped nor harmed measurably"
    if above and below:
        return "helped in some comparisons and harmed in others"
    return f"{'helped' if above else 'harmed'} in some comparisons only"
