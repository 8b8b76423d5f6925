"""Pages of reduced features: how much variance how many dimensions explain, and maps of all photos."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from metrics.common.errors import UserError
from metrics.common.ownership import check_page
from metrics.common.version import installed_version
from recommend.common.columns import read_columns
from recommend.common.page import PageSection, PageTable, curves, page_mark, write_page
from recommend.common.scatter import coloured_map
from recommend.features.fusion import UnitVectors
from recommend.features.reduce import Reduced, draw_sample, reduce_vectors
from recommend.features.reducers import FIT_ON, Floats, Method

MARKS = (1, 2, 5, 10, 20, 50, 100, 150, 200, 500, 1000)
MOST_DOTS = 5000
_ELBOW, _MAP = "Variance explained", "Map of photos"
_POINTS = 200  # of the elbow's curve


def check_elbow(path: Path, overwrite: bool = False) -> None:
    """Raise `UserError` if the page cannot be written to `path`, or a file of others is there, not to `overwrite`."""
    check_page(path, page_mark(_ELBOW), "page of an elbow", "--elbow", overwrite)


def check_map(path: Path, overwrite: bool = False) -> None:
    """Raise `UserError` if the page cannot be written to `path`, or a file of others is there, not to `overwrite`."""
    check_page(path, page_mark(_MAP), "map of photos", overwrite=overwrite)


def write_elbow(reduced: Reduced, variance: Floats, vectors: UnitVectors, path: Path) -> None:
    """Write the elbow plot of a PCA or kernel PCA; raises `UserError` if the page cannot be written."""
    total = np.cumsum(variance)
    steps = np.unique(np.linspace(1, len(total), min(_POINTS, len(total))).round().astype(int))
    points = [(int(step), 100 * float(total[step - 1])) for step in steps]
    kept = reduced.rows.shape[1]
    marks = sorted({*(mark for mark in MARKS if mark <= len(total)), kept, len(total)})
    table = PageTable(
        ["Dimensions", "variance explained", "by this one alone"],
        [[f"{mark:,}", f"{total[mark - 1]:.1%}", f"{variance[mark - 1]:.2%}"] for mark in marks],
    )
    chart = curves("Variance explained, in percent", {"variance": points}, "dimensions", "percent")
    section = PageSection(f"{kept} dimensions explain {total[kept - 1]:.1%}", reduced.method, [table], chart)
    write_page(path, _ELBOW, reduced.method, [section], _signature(reduced.method, vectors))


def map_methods(names: Sequence[str]) -> list[Method]:
    """The methods of these names; without any, those of the paper's maps. Raises `UserError` for an unknown one."""
    unknown = sorted(set(names) - set(FIT_ON))
    if unknown:
        raise UserError(f"--method {unknown[0]}: expected one of {', '.join(FIT_ON)}")
    return [name for name in FIT_ON if name in (names or ("kernel-pca", "tsne"))]


def write_map(
    vectors: UnitVectors, table: Path, columns: Sequence[str], methods: Sequence[Method], path: Path
) -> list[str]:
    """Write maps of all items in two dimensions, by each method and coloured by each column; what was done.

    Raises `UserError` as `read_columns` and `reducers.fit`.
    """
    values = read_columns(table, vectors.ids, columns).values
    shown = draw_sample(len(vectors), MOST_DOTS)
    labels = [vectors.ids[place] for place in shown]
    sections, done = [], []
    for method in methods:
        reduced = reduce_vectors(vectors, method, 2)
        done.append(reduced.method)
        plots = []
        for column in columns:
            kinds = [values[column][place] for place in shown]
            plots.append(coloured_map(column, reduced.rows[shown], kinds, labels))
        sections.append(PageSection(reduced.method, "", plots=plots))
    drawn = "" if len(shown) == len(vectors) else f", {len(shown):,} of them drawn"
    lede = f"{len(vectors):,} items of {vectors.stores[0].path.name}{drawn}: near to each other is what looks alike"
    write_page(path, _MAP, lede, sections, _signature("; ".join(done), vectors))
    return done


def _signature(what: str, vectors: UnitVectors) -> str:
    store = vectors.stores[0]
    encoder = store.about.encoder_shown
    return f"{what}|items:{len(vectors)}|store:{store.path.name}={encoder}|version:{installed_version()}"
