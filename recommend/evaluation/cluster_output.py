"""Clusters as a table of ids, and the study of their number as a page."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from metrics.common.files import all_or_none, atomic_file, write_text
from metrics.common.ownership import Contents, claim_folder
from metrics.common.tables import WideTable
from recommend.common.page import PageSection, PageTable, curves, page_mark, write_page
from recommend.evaluation.attributes import MEAN
from recommend.evaluation.cluster_study import ClusterStudy
from recommend.evaluation.figures import percentage, with_intervals
from recommend.items.clusters import Clustering

NAME, TITLE = "clusters", "Clusters"
_MARK = "lookbook.clusters"
CONTENTS = Contents(
    {f"{NAME}.parquet": _MARK, f"{NAME}.json": "|version:", f"{NAME}.html": page_mark(TITLE)}, record=f"{NAME}.json"
)


@dataclass(frozen=True)
class ClusterResult:
    """The clusters of a store's items, what was clustered, and the study of k if one was asked for."""

    ids: Sequence[str]
    made: Clustering
    vectors: str
    groups: Sequence[str]
    study: ClusterStudy | None
    signature: str


def screen_tables(result: ClusterResult) -> list[WideTable | str]:
    """The sizes of the clusters, and every k that was tried."""
    sizes = sorted(result.made.sizes().tolist(), reverse=True)
    shown = ", ".join(f"{size:,}" for size in sizes[:20]) + (", ..." if len(sizes) > 20 else "")
    lines: list[WideTable | str] = [f"{result.made.method} on {result.vectors}", f"sizes: {shown}"]
    if result.study is None:
        return lines
    table = WideTable(["k"], ["inertia", "smallest", *result.groups, "all", "compared"])
    for one in result.study.tried:
        cells = [percentage(one.row.groups[group]) for group in result.groups] if one.row else []
        total = [percentage(one.row.attributes[MEAN]), f"{100 * one.row.compared:.0f}%"] if one.row else ["–", "–"]
        table.add_row(str(one.k), f"{one.inertia:,.1f}", f"{one.smallest:,}", *cells, *total)
    return [*lines, table, _chosen(result.study), result.signature]


def _chosen(study: ClusterStudy) -> str:
    best = f"; the highest mean precision is at k = {study.best}" if study.best is not None else ""
    return f"The inertia bends most at k = {study.elbow}{best}."


def write_files(result: ClusterResult, folder: Path) -> list[Path]:
    """Write `clusters.parquet` (id, cluster), `.json` and, with a study, `.html`, all or none.

    Raises `UserError` if the folder is not ours or cannot be written to.
    """
    claim_folder(folder, CONTENTS)
    with all_or_none():
        return _write(result, folder)


def _write(result: ClusterResult, folder: Path) -> list[Path]:
    paths = [folder / f"{NAME}.{suffix}" for suffix in ("parquet", "json", "html")]
    with atomic_file(paths[0]) as draft:
        table = pa.table({"id": list(result.ids), "cluster": result.made.labels})
        pq.write_table(table.replace_schema_metadata({_MARK: result.signature.encode()}), draft)
    values = {
        "method": result.made.method,
        "vectors": result.vectors,
        "sizes": result.made.sizes().tolist(),
        "inertia": result.made.inertia,
        "study": asdict(result.study) if result.study else None,
        "signature": result.signature,
    }
    write_text(paths[1], json.dumps(values, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
    if result.study is None:
        return paths[:2]
    sections = _sections(result, result.study)
    write_page(paths[2], TITLE, f"{result.made.method} on {result.vectors}", sections, result.signature)
    return paths


def _sections(result: ClusterResult, study: ClusterStudy) -> list[PageSection]:
    inertia = {"inertia": [(one.k, one.inertia) for one in study.tried]}
    elbow = PageSection(
        "The elbow",
        "The sum of the squared distances of all items to the mean of their cluster. " + _chosen(study),
        charts=curves("Inertia by the number of clusters", inertia, "clusters", "inertia"),
    )
    searched = [(one.k, one.row) for one in study.tried if one.row]
    if not searched:
        return [elbow]
    series = {group: [(k, 100 * (row.groups[group].value or 0)) for k, row in searched] for group in result.groups[:5]}
    series["all"] = [(k, 100 * (row.attributes[MEAN].value or 0)) for k, row in searched]
    names = [*result.groups, "all"]
    rows = [
        [f"{k}", *with_intervals({**row.groups, "all": row.attributes[MEAN]}, names), f"{row.milliseconds:.2f}"]
        for k, row in searched
    ]
    precision = PageSection(
        "Precision by the number of clusters",
        "A query is compared with the items of its nearest clusters alone: the more clusters, the fewer these are.",
        [PageTable(["k", *names, "ms a query"], rows)],
        curves("Mean attribute precision by the number of clusters", series, "clusters", "percent"),
    )
    return [elbow, precision]
