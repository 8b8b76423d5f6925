"""The table of a recipe on disk and on the screen: JSON, Markdown, HTML, LaTeX, CSV."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from metrics.common.files import all_or_none, write_text
from metrics.common.formatting import figure
from metrics.common.ownership import Contents, refuse_foreign
from metrics.common.tables import WideTable, print_tables
from metrics.common.templates import render
from metrics.records.spreadsheets import guarded
from metrics.reports.comparison_tables import latex
from recommend.common.page import page_mark, write_page
from recommend.experiments.content import TITLE, Content, published_name
from recommend.experiments.tables import remarks, sections, together

NAME = "recommend"
LEDE = "Which articles a customer buys next: models on the same purchases, beside the paper's Table 5"
_COLUMNS = ("dataset", "model", "whose", "slice", "measure", "value", "low", "high", "customers", "signature")
CONTENTS = Contents(
    {
        f"{NAME}.json": f'{{\n "title": "{TITLE}"',
        f"{NAME}.md": f"# {TITLE}\n",
        f"{NAME}.html": page_mark(TITLE),
        f"{NAME}.tex": f"% {TITLE}. Written",
        f"{NAME}.csv": ",".join(_COLUMNS),
        **dict.fromkeys(("rows", ".lock"), ""),
    },
    record=f"{NAME}.json",
)
OTHER = "give another output=..."


def check_output(folder: Path) -> None:
    """Raise `UserError` if the tables could not be written to `folder`, or it is not ours."""
    refuse_foreign(folder, CONTENTS, OTHER)


def write_output(content: Content, folder: Path) -> list[Path]:
    """Write `recommend.{json,csv,md,tex,html}`, all or none. Raises `UserError` if they cannot be written."""
    paths = {form: folder / f"{NAME}.{form}" for form in ("json", "csv", "md", "tex", "html")}
    view = {"title": TITLE, "lede": LEDE, "written": content["written"], "lookbook": content["lookbook"]}
    with all_or_none():
        write_text(paths["json"], json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
        write_text(paths["csv"], _csv(content))
        write_text(paths["md"], render("sections.md.j2", {**view, "sections": sections(content)}, "recommend"))
        write_text(
            paths["tex"], render("recommend.tex.j2", {**view, **_joined(content)}, "recommend", {"latex": latex})
        )
        write_page(paths["html"], TITLE, LEDE, sections(content), "\n".join(_signatures(content)))
    return list(paths.values())


def show(content: Content) -> None:
    """Print the means of each data set, and what keeps them from being compared with the paper's."""
    _, rows = together(content)
    width = len(content["measures"])
    for place, dataset in enumerate(content["datasets"]):
        table = WideTable(["", "whose"], [*map(published_name, content["measures"])], title=dataset["name"])
        for title, whose, *cells in rows:
            shown = cells[place * width : (place + 1) * width]
            if any(cell != figure(None) for cell in shown):
                table.add_row(title, whose, *shown)
        print_tables(table, *remarks(dataset))


def _joined(content: Content) -> dict[str, Any]:
    _, rows = together(content)
    return {
        "rows": rows,
        "source": content["source"],
        "datasets": [one["name"] for one in content["datasets"]],
        "measures": [published_name(name) for name in content["measures"]],
        "warnings": [warning for one in content["datasets"] for warning in remarks(one)],
    }


def _csv(content: Content) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_lines(content))
    return text.getvalue()


def _lines(content: Content) -> Iterator[dict[str, Any]]:
    for dataset in content["datasets"]:
        for row in [*dataset["rows"], *dataset["only_published"]]:
            known = {"dataset": guarded(dataset["name"]), "model": guarded(row["model"])}
            for measure, value in (row["published"] or {}).items():
                yield {**known, "whose": "published", "slice": "all", "measure": measure, "value": value}
            for part, of_part in (row.get("result") or {"estimates": {}})["estimates"].items():
                for measure, one in of_part.items():
                    signature = row["signatures"][measure] if part == "all" else ""
                    yield {**known, "whose": "ours", "slice": part, "measure": measure, **one, "signature": signature}


def _signatures(content: Content) -> Iterator[str]:
    for dataset in content["datasets"]:
        for row in dataset["rows"]:
            if row["result"]:
                yield f"{dataset['name']}, {row['model']}: {row['signatures'][content['measures'][0]]}"
