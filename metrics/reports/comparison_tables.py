"""The forms of a comparison: cells of its tables, LaTeX, CSV, and tables on the screen."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rich.text import Text

from metrics.common.files import one_line
from metrics.common.formatting import figure, printable, size
from metrics.common.tables import WideTable
from metrics.records.spreadsheets import guarded
from metrics.reports.equal_baselines import joined_rows
from metrics.reports.published import IMPROVED
from metrics.scoring.suite import SLICES

NAME = "comparison"
FORMS = ("md", "tex", "html")
IMPROVEMENT = "% Impr."
SIGNIFICANT = 0.05
_SETTINGS = (
    "PT: as pre-trained; FT: fine-tuned; no photo: a baseline; look-up: training captions of similar photos; "
    "other photo: a control with photos shuffled"
)
Values = Mapping[str, Any]
_LATEX = {character: f"\\{character}" for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    # After \\ these would be an option of it.
    "[": "{[}",
    "*": "{*}",
    "†": r"$^{\dagger}$",
    "–": "--",
}


def interval(score: Values) -> str:
    """Print a score's interval as `40.2–41.3`; empty if it has none."""
    return "–".join(map(figure, score["interval"])) if score["interval"] else ""


def p_value(value: float | None) -> str:
    """Print a p as `0.012` or `<0.001`; a dash for None."""
    return "<0.001" if value is not None and value < 0.001 else figure(value, ".3f")


def alike(score: Values) -> bool:
    """Whether a score's difference from that of the chosen system may be chance."""
    return score["p_holm"] is not None and score["p_holm"] >= SIGNIFICANT


def latex(value: object) -> str:
    """Make text safe within a LaTeX table, and printable."""
    return "".join(_LATEX.get(character, character) for character in printable(" ".join(str(value).split())))


def settings(row: Values) -> str:
    """A row's second column: `PT`, `FT`, `no photo`, and whether it is published."""
    return ", ".join(part for part in (row["setting"], "published" if row["published"] else "") if part)


def gain_note(part: Values) -> str:
    """Return a sentence that defines the improvement of a slice's rows; empty if no row has one."""
    if all(row["improvement"] is None for row in part["rows"]):
        return ""
    lacking = [name for name in IMPROVED if name not in part["improved"]]
    omitted = f" (the paper's also has {', '.join(lacking)})" if lacking else ""
    return f"{IMPROVEMENT}: the mean of (FT / PT - 1) x 100 over {', '.join(part['improved'])}{omitted}."


def notes_on(comparison: Values) -> list[str]:
    """Return sentences that explain the marks of the tables."""
    method = comparison["method"]
    notes = [f"Scores x100 with 95% intervals ({method['interval']}); best of our systems in bold. {_SETTINGS}."]
    if comparison["against"] is not None:
        notes.append(
            f"†: not significantly different from {comparison['against']} (corrected p of at least {SIGNIFICANT}; "
            f"two-sided, {method['p']}; {method['p_holm']})."
        )
    if comparison["source"]:
        notes.append(f"Published: {comparison['source']}; it gives no intervals.")
    equal = comparison["equal_baselines"]
    notes += [f"{' and '.join(names)} come out the same in every measure on every slice." for names in equal]
    return notes + [f"{measure} is missing: {reason}" for measure, reason in comparison["absent"].items()]


def with_joined_rows(comparison: Values) -> Values:
    """Return the comparison with one row for baselines that come out equal, unless others are tested against one."""
    groups = [names for names in comparison["equal_baselines"] if comparison["against"] not in names]
    slices = [{**part, "rows": joined_rows(part["rows"], groups)} for part in comparison["slices"]]
    return {**comparison, "slices": slices}


def dump(comparison: Values) -> str:
    """Return `comparison.json`."""
    return one_line(json.dumps(comparison, ensure_ascii=False, allow_nan=False, indent=1))


def csv_text(comparison: Values) -> str:
    """Return `comparison.csv`: one value a line, x100; the improvement is listed as a measure."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head = ("slice", "n", "system", "setting", "model", "published", "measure", "value", "low", "high", "p", "p_holm")
    writer.writerow((*head, "comparisons", "unit", "clusters", "signature"))
    for part in comparison["slices"]:
        for row in part["rows"]:
            first = (
                part["name"],
                part["n"],
                guarded(row["name"]),
                row["setting"],
                row["model"] and guarded(row["model"]),
                row["published"],
            )
            writer.writerows((*first, *rest) for rest in _csv_values(row, part))
    return text.getvalue()


def _csv_values(row: Values, part: Values) -> Iterator[tuple[Any, ...]]:
    drawn = (part["comparisons"], part["unit"], part["clusters"])
    for measure, score in row["scores"].items():
        low, high = score["interval"] or (None, None)
        yield measure, score["value"], low, high, score["p"], score["p_holm"], *drawn, score["signature"]
    if row["improvement"] is not None:
        yield IMPROVEMENT, row["improvement"], *[None] * 7, None


def screen_tables(comparison: Values) -> Iterator[WideTable]:
    """Yield a table of each slice for the terminal: values with their intervals below."""
    for part in with_joined_rows(comparison)["slices"]:
        headings = [*comparison["measures"], *([IMPROVEMENT] if gain_note(part) else [])]
        table = WideTable(["system", ""], headings, title=f"{SLICES[part['name']]} ({size(part)}), x100")
        for row in part["rows"]:
            cells = [_screen_cell(row["scores"].get(measure)) for measure in comparison["measures"]]
            style = "dim" if row["published"] else None
            table.add_row(row["name"], settings(row), *cells, *_gain(part, row), style=style)
        yield table


def _gain(part: Values, row: Values) -> list[str]:
    return [figure(row["improvement"], ".2f")] if gain_note(part) else []


def _screen_cell(score: Values | None) -> Text:
    if score is None:
        return Text(figure(None))
    value = Text(figure(score["value"]), style="bold" if score["best"] else "")
    below = f"\n{interval(score)}" if score["interval"] else ""
    return value.append("†" if alike(score) else "").append(below, style="not bold dim")


FILTERS: Mapping[str, Callable[..., Any]] = {
    "gain_note": gain_note,
    "interval": interval,
    "p_value": p_value,
    "alike": alike,
    "latex": latex,
    "settings": settings,
}
