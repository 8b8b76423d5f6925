"""Attribute Precision@K on the screen, as a page and as JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from metrics.common.files import all_or_none, write_text
from metrics.common.ownership import Contents, claim_folder
from metrics.common.tables import WideTable
from recommend.common.page import PageSection, PageTable, curves, page_mark, write_page
from recommend.evaluation.attributes import MEAN
from recommend.evaluation.estimates import Estimate
from recommend.evaluation.figures import interval, percentage, with_intervals
from recommend.evaluation.precision import CONTROL, Joined, Part, Precision

NAME, TITLE = "attribute-precision", "Attribute precision"
CONTENTS = Contents({f"{NAME}.json": "|version:", f"{NAME}.html": page_mark(TITLE)}, record=f"{NAME}.json")
NOTE = (
    "In percent, by attribute and as their mean, with 95% intervals that resample whole products. Precision@{k}: the "
    "share of the {k} items found that agree with the query; recall@{k}: the share of all items that agree with it "
    "which are found. The query itself is never found. Chance: what {k} items drawn at random give."
)


def heading(part: Part) -> str:
    """What a table is of."""
    return f"Siblings {'in' if part.siblings else 'out'}: {part.queries:,} queries"


def gains(part: Part) -> str:
    """How much higher the mean is when stores are joined; empty if they are not."""
    each = [f"{percentage(one)} ({interval(one)}) above {name}" for name, one in part.gains.items()]
    return f"The mean of the joined stores is {' and '.join(each)}, paired by query." if each else ""


def screen_tables(result: Precision) -> list[WideTable | str]:
    """Tables of P@K and its mean's interval, and the joined stores'."""
    shown: list[WideTable | str] = [_wide(result, part, heading(part)) for part in result.parts]
    if result.joined:
        for part in result.joined.parts:
            title = f"Joined, weight chosen on the other {result.joined.choosing_queries:,} queries. {heading(part)}"
            shown += [_wide(result, part, title), gains(part)]
    return [*shown, *_advice(result), result.signature]


def _advice(result: Precision) -> list[str]:
    return [] if result.has_control else [f"Without a control: embed with --encoder {CONTROL} and name that store too."]


def _wide(result: Precision, part: Part, title: str) -> WideTable:
    table = WideTable([f"P@{result.k}"], [*result.attributes, MEAN, "95%"], title)
    for row in part.rows:
        values = [percentage(row.precision[name]) for name in (*result.attributes, MEAN)]
        table.add_row(row.name, *values, interval(row.precision[MEAN]))
    return table


def write_files(result: Precision, folder: Path) -> list[Path]:
    """Write `attribute-precision.json` and `.html`, both or none; raises `UserError` if it cannot."""
    claim_folder(folder, CONTENTS)
    json_path, page = folder / f"{NAME}.json", folder / f"{NAME}.html"
    sections = [_section(result, part, "") for part in result.parts]
    if result.joined:
        sections += [_section(result, part, "Joined, on the other half. ") for part in result.joined.parts]
        sections.append(_choice(result.joined, result.k))
    lede = " ".join([NOTE.format(k=result.k), *_advice(result)])
    with all_or_none():
        write_text(json_path, json.dumps(asdict(result), indent=1, allow_nan=False) + "\n")
        write_page(page, TITLE, lede, sections, result.signature)
    return [json_path, page]


def _section(result: Precision, part: Part, title: str) -> PageSection:
    tables = [_table(result, part, f"Precision@{result.k}", "precision")]
    tables.append(_table(result, part, f"Recall@{result.k}", "recall"))
    return PageSection(title + heading(part), gains(part), tables)


def _table(result: Precision, part: Part, title: str, kind: str) -> PageTable:
    rows = []
    for row in part.rows:
        estimates: Mapping[str, Estimate] = getattr(row, kind)
        cells = with_intervals(estimates, (*result.attributes, MEAN), decimals=1 if kind == "precision" else 2)
        rows.append([row.name, *cells])
    return PageTable(["Features", *result.attributes, MEAN], rows, title)


def _choice(joined: Joined, k: int) -> PageSection:
    points = [(weight, 100 * value) for weight, value in joined.choosing.items()]
    charts = curves(
        "The mean by the weight of the first store", {f"mean P@{k}": points}, "weight of the first store", f"P@{k}"
    )
    note = (
        f"Chosen on {joined.choosing_queries:,} queries whose products are not among those of the table: "
        f"{joined.weight:g}."
    )
    return PageSection("The weight", note, charts=charts)
