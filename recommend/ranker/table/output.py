"""The table of a recipe on disk and on the screen: JSON, Markdown, HTML."""

import json
from pathlib import Path

from metrics.common.files import check_folder, write_text
from metrics.common.tables import WideTable, print_tables
from metrics.common.templates import render
from recommend.common.own_files import refuse_other_page
from recommend.common.page import page_mark, write_page
from recommend.experiments.measured import ALL
from recommend.ranker.table.content import TITLE, Content
from recommend.ranker.table.published import MEASURE
from recommend.ranker.table.sections import sections

NAME = "rank"
LEDE = "LightGBM ranks what a customer may buy next: with captions, photos, or neither, beside the paper’s scores"
_MARKS = {"json": f'{{\n "title": "{TITLE}"', "md": f"# {TITLE}\n", "html": page_mark(TITLE)}


def check_output(folder: Path) -> None:
    """Raise `UserError` if the tables could not be written to `folder`, or would replace files of somebody else."""
    check_folder(folder, "give another output=...")
    for form, mark in _MARKS.items():
        refuse_other_page(folder / f"{NAME}.{form}", mark, "table of `lookbook rank`", "output=...")


def write_output(content: Content, folder: Path) -> None:
    """Write `rank.{json,md,html}`. Raises `UserError` if they cannot be written."""
    check_output(folder)
    view = {"title": TITLE, "lede": LEDE, "written": content["written"], "lookbook": content["lookbook"]}
    write_text(folder / f"{NAME}.json", json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
    write_text(folder / f"{NAME}.md", render("sections.md.j2", {**view, "sections": sections(content)}, "recommend"))
    write_page(folder / f"{NAME}.html", TITLE, LEDE, sections(content), content["signature"])


def show(content: Content) -> None:
    """Print the means, what was of no use, and whether captions helped."""
    table = WideTable(["row"], [MEASURE, "95% interval"])
    for one in content["rows"]:
        found = one["result"]["estimates"][ALL][MEASURE]
        table.add_row(one["title"], f"{found['value']:.5f}", f"{found['low']:.5f}–{found['high']:.5f}")
    print_tables(table, *content["left_out"], *([content["sentence"]] if content["sentence"] else []))
