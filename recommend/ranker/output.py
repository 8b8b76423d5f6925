"""The table of a recipe on disk and on the screen: JSON, Markdown, HTML."""

import json
from pathlib import Path

from metrics.common.files import all_or_none, write_text
from metrics.common.ownership import Contents, refuse_foreign
from metrics.common.tables import WideTable, print_tables
from metrics.common.templates import render
from recommend.common.page import page_mark, write_page
from recommend.experiments.measured import ALL
from recommend.ranker.content import TITLE, Content
from recommend.ranker.published import MEASURE
from recommend.ranker.tables import sections

NAME = "rank"
LEDE = "LightGBM ranks what a customer may buy next: with captions, photos, or neither, beside the paper’s scores"
CONTENTS = Contents(
    {
        f"{NAME}.json": f'{{\n "title": "{TITLE}"',
        f"{NAME}.md": f"# {TITLE}\n",
        f"{NAME}.html": page_mark(TITLE),
        **dict.fromkeys(("rows", ".lock"), ""),
    },
    record=f"{NAME}.json",
)
OTHER = "give another output=..."


def check_output(folder: Path) -> None:
    """Raise `UserError` if the tables could not be written to `folder`, or it is not ours."""
    refuse_foreign(folder, CONTENTS, OTHER)


def write_output(content: Content, folder: Path) -> None:
    """Write `rank.{json,md,html}`, all or none. Raises `UserError` if they cannot be written."""
    view = {"title": TITLE, "lede": LEDE, "written": content["written"], "lookbook": content["lookbook"]}
    with all_or_none():
        write_text(folder / f"{NAME}.json", json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
        write_text(
            folder / f"{NAME}.md", render("sections.md.j2", {**view, "sections": sections(content)}, "recommend")
        )
        write_page(folder / f"{NAME}.html", TITLE, LEDE, sections(content), content["signature"])


def show(content: Content) -> None:
    """Print the means, and whether captions helped."""
    table = WideTable(["row"], [MEASURE, "95% interval"])
    for one in content["rows"]:
        found = one["result"]["estimates"][ALL][MEASURE]
        table.add_row(one["title"], f"{found['value']:.5f}", f"{found['low']:.5f}–{found['high']:.5f}")
    print_tables(table, *([content["sentence"]] if content["sentence"] else []))
