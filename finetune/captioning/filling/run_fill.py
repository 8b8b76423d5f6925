"""The work of the command `fill`: from a recipe or a folder to its filled table."""

from collections.abc import Sequence
from pathlib import Path

from finetune.captioning.filling.fill import Filling
from finetune.captioning.filling.rules import Rules
from finetune.config.recipe import Recipe
from finetune.data.catalogues import loader_of
from finetune.data.filled import Filled
from finetune.data.preparation import note_left_out, prepare
from finetune.runs.captioning_system import load_system
from finetune.runs.place import folder_section
from finetune.runs.processes import distributed


def run(
    place: Path,
    recipe: Recipe | None,
    part: str | None,
    model: str,
    adapter: str | None,
    out: Path,
    rules: Rules,
    overrides: Sequence[str] = (),
) -> None:
    """Fill the catalogue of `recipe` (of several `part`), or that of the folder `place`, and say what was done.

    Without a recipe, `overrides` change the decoding, and whether photos outside the folder are read.
    """
    state = distributed()
    with state.main_process_first():
        filling = _filling(place, recipe, part, out, rules, overrides)
    if state.is_main_process:
        note_left_out(filling.prepared)
    rules.candidates(filling.prepared)
    filling.check()
    filling.caption(load_system(model, adapter, recipe, overrides))
    if state.is_main_process:
        print(summary(filling, filling.write()))


def summary(filling: Filling, filled: Filled) -> str:
    """What was filled and withheld, and where it is."""
    lines = [f"{filling.out}: {len(filled.filled):,} descriptions filled, {len(filled.withheld):,} captions withheld"]
    reasons = [entry["reason"] for entry in filled.withheld.values()]
    lines += [f"  {reasons.count(reason):>9,}  {reason}" for reason in dict.fromkeys(reasons)]
    cut = sum(entry["finished"] is False for entry in filled.filled.values())
    if cut:
        lines.append(f"  {cut:>9,}  of the filled ones were cut at the length limit; see the contact sheet")
    if filling.table and filling.without_photo:
        lines.append(f"  {filling.without_photo:>9,}  rows without a description have no photo either")
    if filling.table is None:
        lines.append("  this catalogue has no table that could be written: the captions are only in captions.jsonl")
    return "\n".join([*lines, str(filling.out / "contact-sheet.html")])


def _filling(
    place: Path, recipe: Recipe | None, part: str | None, out: Path, rules: Rules, overrides: Sequence[str]
) -> Filling:
    if recipe is None:
        section = folder_section(place, overrides)
        return Filling(prepare(section), loader_of(section).table(), rules, out)
    return Filling.of(recipe, part, rules, out)
