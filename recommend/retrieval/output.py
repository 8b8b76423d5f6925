"""R@K on the screen, as a page and as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from metrics.common.files import all_or_none, write_text
from metrics.common.published import published_figures
from metrics.common.tables import WideTable
from metrics.common.version import installed_version
from recommend.common.page import PageSection, PageTable, write_page
from recommend.evaluation.figures import interval, percentage
from recommend.retrieval.measure import COMPOSED, KS, LESS_SUM, MEAN, PHOTO, TEXT, Answers, Row
from recommend.retrieval.recipe import CATEGORIES, Recipe
from recommend.retrieval.training import Validation

NAME, TITLE = "composed-retrieval", "Composed retrieval"
_NOTE = (
    "R@K in percent: the share of queries whose target is among the first K of the gallery named in the title; the "
    "reference stays in it. 95% intervals resample the queries of a target as one. Figures of different galleries are "
    "not comparable. Photo only, text only and sum are cosines in the model’s own space; composed less sum is of the "
    "same queries, in percentage points; random is exact."
)


@dataclass(frozen=True)
class Part:
    """The figures of one split and gallery."""

    split: str
    gallery: str
    sizes: dict[str, int]
    queries: int
    rows: Sequence[Row]

    @classmethod
    def of(cls, split: str, gallery: str, answers: Sequence[Answers], rows: Sequence[Row]) -> "Part":
        """From the answers of all categories."""
        sizes = {one.category: one.gallery for one in answers}
        return cls(split, gallery, sizes, sum(len(one.targets) for one in answers), rows)

    @property
    def title(self) -> str:
        """What is measured, with the gallery's name and sizes."""
        sizes = ", ".join(f"{category} {size:,}" for category, size in self.sizes.items())
        return f"{self.split}, gallery {self.gallery} ({sizes}), {self.queries:,} queries"

    def against(self) -> str:
        """How many times the R@10 of the photo and of the text alone the model's is."""
        values = {row.name: row.figures[f"{MEAN} R@{KS[0]}"].value or 0.0 for row in self.rows}
        times = [f"{values[COMPOSED] / values[one]:.1f} times {one}" for one in (PHOTO, TEXT) if values[one]]
        return f"Mean R@{KS[0]}: {' and '.join(times)}." if times else ""


def loss_line(recipe: Recipe, validation: Validation) -> str:
    """The validation loss beside chance."""
    of = f"(validation, {validation.pairs:,} pairs in batches of {validation.batch_size})"
    if recipe.loss.name == "infonce":
        share = validation.loss / validation.chance
        chance = f"chance, ln {validation.batch_size} = {validation.chance:.3f}"
        return f"InfoNCE {of}: {validation.loss:.3f}, {share:.2f} of {chance}."
    return f"Soft targets {of}: {validation.loss:.3f}, {validation.excess:.3f} above the entropy of the targets."


def signature(recipe: Recipe, of: str = "R@K") -> str:
    """What the figures depend on; `of` names them."""
    encoders = (
        f"photo:{_named(recipe.photo.encoder, recipe.photo.tune)}|text:{_named(recipe.text.encoder, recipe.text.tune)}"
    )
    categories = "+".join(recipe.dataset.categories)
    return (
        f"{of}|categories:{categories}|captions:{recipe.dataset.captions}|reference:in the gallery|{encoders}|"
        f"loss:{recipe.loss.name}|seed:{recipe.training.seed}|version:{installed_version()}"
    )


def screen_tables(parts: Sequence[Part]) -> list[WideTable | str]:
    """A table for each part."""
    shown: list[WideTable | str] = []
    for part in parts:
        titles = list(part.rows[0].figures)
        table = WideTable([""], [*titles, "95% of the mean R@10"], part.title)
        for row in part.rows:
            cells = [_shown(row, title)[0] for title in titles]
            table.add_row(row.name, *cells, _shown(row, f"{MEAN} R@{KS[0]}")[1])
        shown += [table, part.against()]
    return shown


def write_files(folder: Path, recipe: Recipe, parts: Sequence[Part], notes: Sequence[str]) -> list[Path]:
    """Write `composed-retrieval.json` and `.html`, both or none."""
    json_path, page = folder / f"{NAME}.json", folder / f"{NAME}.html"
    values = {"signature": signature(recipe), "notes": list(notes), "parts": [asdict(part) for part in parts]}
    sections = [PageSection(part.title, part.against(), [_table(part)]) for part in parts]
    with all_or_none():
        write_text(json_path, json.dumps(values, indent=1, allow_nan=False) + "\n")
        write_page(page, TITLE, " ".join([_NOTE, *notes]), [*sections, _published()], signature(recipe))
    return [json_path, page]


def _table(part: Part) -> PageTable:
    titles = list(part.rows[0].figures)
    rows = [[row.name, *("\n".join(_shown(row, title)).removesuffix("\n–") for title in titles)] for row in part.rows]
    return PageTable(["", *titles], rows)


def _shown(row: Row, title: str) -> tuple[str, str]:
    """A figure in percent and its interval; differences have a sign."""
    one = row.figures[title]
    if row.name != LESS_SUM or one.value is None or one.low is None or one.high is None:
        return percentage(one), interval(one)
    return f"{100 * one.value:+.1f}", f"{100 * one.low:+.1f} to {100 * one.high:+.1f}"


def published() -> list[dict[str, str]]:
    """The published rows, each with its gallery; the mean of both R@K where all categories are given."""
    found = published_figures("recommend.retrieval")
    for row in found:
        for k in KS:
            values = [row[f"{category} R@{k}"] for category in CATEGORIES]
            if all(values):
                row[f"{MEAN} R@{k}"] = f"{sum(map(float, values)) / len(values):.2f}"
    return found


def _published() -> PageSection:
    heads = [*(f"{category} R@{k}" for category in (*CATEGORIES, MEAN) for k in KS), "one R@10"]
    cells = [
        [f"{row['system']}, {row['split']}", row["gallery"], *(row.get(head) or "–" for head in heads), row["source"]]
        for row in published()
    ]
    note = (
        "On FashionIQ, each with the gallery that it was measured on; means are of the three categories, “one R@10” "
        "is a single figure that does not say of which. A dash: not printed, or not at hand."
    )
    return PageSection(
        "Published figures", note, [PageTable(["System", "gallery", *heads, "source"], [], published=cells)]
    )


def _named(encoder: str, tuned: bool) -> str:
    name = Path(encoder).name if Path(encoder).is_absolute() else encoder
    return f"{name}{' tuned' if tuned else ''}"
