"""Methods of search side by side: on the screen, as a page and as JSON."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from metrics.common.files import all_or_none, write_text
from metrics.common.ownership import Contents, claim_folder
from metrics.common.tables import WideTable
from recommend.common.page import PageSection, PageTable, page_mark, write_page
from recommend.common.scatter import Scatter, trade_off
from recommend.evaluation.attributes import MEAN
from recommend.evaluation.figures import interval, percentage, with_intervals
from recommend.evaluation.methods import MethodStudy
from recommend.evaluation.trials import MethodRow

NAME, TITLE = "methods", "Methods of search"
CONTENTS = Contents({f"{NAME}.json": "|version:", f"{NAME}.html": page_mark(TITLE)}, record=f"{NAME}.json")
NOTE = (
    "Precision@{k} in percent with 95% intervals over products. ‘compared’ is the share of the items that a query is "
    "compared with; a query whose clusters hold too few items looks into more, which is counted."
)
PUBLISHED_GROUPS = ("Footwear", "Apparel", "Accessories")
PUBLISHED = {
    "ResNet-50, 2,048 d": (76.76, 79.53, 80.26, "11 s"),
    "PCA, 100 d": (75.8, 79.53, 79.7, "3.4 s"),
    "kernel PCA, 100 d": (77.4, 81.23, 81.94, "3.4 s"),
    "Isomap, 100 d": (75, 78.33, 80.1, "3.4 s"),
    "UMAP, 100 d": (77.23, 79.34, 80.23, "3.4 s"),
    "t-SNE, 100 d": (76.23, 79.87, 80.1, "3.4 s"),
    "spectral clusters": (77.59, 81.47, 79.36, "2.7 s"),
    "k-means": (76.59, 80.6, 79.10, "2.7 s"),
}


def screen_tables(study: MethodStudy) -> list[WideTable | str]:
    """A table of all items, and one of the sample if a method needs one."""
    tables: list[WideTable | str] = [_wide(study, study.rows, "")]
    if study.sample_rows:
        tables.append(_wide(study, study.sample_rows, f"On a sample of {study.sample:,} items"))
    names = [row.name for row in (*study.rows, *study.sample_rows)]
    return [*tables, *dict.fromkeys(names), *study.notes, study.signature]


def _wide(study: MethodStudy, rows: Sequence[MethodRow], title: str) -> WideTable:
    groups = [group for group in study.groups if all(group in row.groups for row in rows)]
    table = WideTable([f"mean P@{study.k}"], [*groups, "all", "95%", "ms", "compared"], title)
    for row in rows:
        total = row.attributes[MEAN]
        cells = [percentage(row.groups[group]) for group in groups]
        table.add_row(short(row.name), *cells, percentage(total), interval(total), *_costs(row))
    return table


def short(name: str) -> str:
    """A method without its settings."""
    return re.split("[,;]", name)[0]


def _costs(row: MethodRow) -> tuple[str, str]:
    widened = f", {row.widened} widened" if row.widened else ""
    return f"{row.milliseconds:.2f}", f"{100 * row.compared:.0f}%{widened}"


def write_files(study: MethodStudy, folder: Path) -> list[Path]:
    """Write `methods.json` and `methods.html`, both or none; raises `UserError` if it cannot."""
    claim_folder(folder, CONTENTS)
    json_path, page = folder / f"{NAME}.json", folder / f"{NAME}.html"
    sections = [_section(study, study.rows, "All items", NOTE.format(k=study.k), plot=True)]
    if study.sample_rows:
        title = f"A sample of {study.sample:,} items"
        sections.append(_section(study, study.sample_rows, title, "For methods that map no new items."))
    if study.notes:
        sections.append(PageSection("What is left out", " ".join(study.notes)))
    sections.append(_published())
    with all_or_none():
        write_text(json_path, json.dumps(asdict(study), indent=1, allow_nan=False, ensure_ascii=False) + "\n")
        write_page(page, TITLE, "Attribute precision and time, by method and group", sections, study.signature)
    return [json_path, page]


def _section(study: MethodStudy, rows: Sequence[MethodRow], title: str, note: str, plot: bool = False) -> PageSection:
    groups = [group for group in study.groups if all(group in row.groups for row in rows)]
    names = list(rows[0].attributes) if rows else []
    by_group = [
        [short(row.name), *with_intervals(row.groups, groups), *with_intervals(row.attributes, [MEAN]), *_costs(row)]
        for row in rows
    ]
    by_attribute = [[short(row.name), *with_intervals(row.attributes, names)] for row in rows]
    tables = [
        PageTable(["Method", *groups, "all", "ms a query", "compared"], by_group, "Mean of the attributes, by group"),
        PageTable(["Method", *names], by_attribute, "By attribute"),
    ]
    settings = " Settings: " + "; ".join(row.name.replace(";", ",") for row in rows) + "."
    return PageSection(title, note + settings, tables, plots=[_plot(study, rows)] if plot and rows else [])


def _plot(study: MethodStudy, rows: Sequence[MethodRow]) -> Scatter:
    points = [(short(row.name), row.milliseconds, 100 * (row.attributes[MEAN].value or 0)) for row in rows]
    return trade_off(f"Mean P@{study.k} by the time of one query", points, "ms a query", f"P@{study.k}")


def _published() -> PageSection:
    rows = [[name, *(f"{value:g}" for value in values), seconds] for name, (*values, seconds) in PUBLISHED.items()]
    note = (
        "Bhuptani and Patil, Table I: Kaggle’s fashion-product data set, 100 queries of each category, siblings in, "
        "attributes gender, master and sub category, article type, base colour. Other photos, other queries and "
        "another machine than above, unless this page is of that data set."
    )
    table = PageTable(["Method", *PUBLISHED_GROUPS, "a query"], [], published=rows)
    return PageSection("The paper’s figures", note, [table])
