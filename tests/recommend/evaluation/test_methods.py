"""Clusters and methods compared, as commands: what is in the tables, what is left out and named, what is refused."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from feature_stores import write_store
from full_disk import largest_file
from recommending import clustered, done, items_table, refused_by

from recommend.evaluation import methods
from recommend.evaluation.cluster_study import elbow
from recommend.features import reducers

IDS, ROWS, GROUPS = clustered(120)
PRODUCTS = [f"p{place // 2}" for place in range(120)]
COLOURS = [("red", "blue", "green")[place % 3] for place in range(120)]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return write_store(tmp_path / "photos", IDS, ROWS)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    shelves = ["few" if place < 8 else ("top" if place % 2 else "bottom") for place in range(120)]
    return items_table(tmp_path / "items.parquet", IDS, PRODUCTS, kind=GROUPS, colour=COLOURS, shelf=shelves)


ATTRIBUTES = ("--attribute", "kind", "--attribute", "colour", "--group", "shelf")


def test_methods_stand_side_by_side(store: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods, "EXACT_TSNE", 60)
    monkeypatch.setattr(reducers, "EXACT_TSNE", 60)
    names = ("exact", "pca", "kernel-pca", "isomap", "tsne", "kmeans", "spectral")
    wanted = [argument for name in names for argument in ("--method", name)]
    options = ("--dimensions", 3, "--clusters", 4, "--queries", 40)
    printed = done(
        "compare-methods", store, "--items", table, "--out", tmp_path / "out", *ATTRIBUTES, *wanted, *options
    )
    study = json.loads((tmp_path / "out" / "methods.json").read_text())
    titles = [row["name"].partition(" ")[0] for row in study["rows"]]
    assert titles == ["exact", "PCA", "kernel", "Isomap", "k-means", "spectral"]
    assert [row["name"].partition(" ")[0] for row in study["sample_rows"]] == ["exact", "t-SNE"]
    assert study["sample"] == 60
    assert study["groups"] == ["bottom", "top"]
    assert "Groups of fewer than 30 queries count in all, without a column: few." in printed
    exact, *_, kmeans, _ = study["rows"]
    # Kinds are clusters far from each other; siblings, which are out, are of two kinds.
    assert exact["attributes"]["kind"]["value"] == 1
    assert exact["groups"]["top"]["queries"] == exact["groups"]["bottom"]["queries"] == 40
    assert exact["attributes"]["mean"]["queries"] == 88
    assert exact["compared"] == 1
    assert kmeans["compared"] == pytest.approx(0.25)
    assert kmeans["attributes"]["kind"]["value"] == 1
    page = (tmp_path / "out" / "methods.html").read_text()
    assert "<td>81.23</td>" in page  # Table I of the paper: kernel PCA on apparel
    assert page.count("<svg") == 1


def test_clusters_are_written_and_their_number_is_studied(store: Path, table: Path, tmp_path: Path) -> None:
    arguments = ("clusters", store, "--k", 4, "--out", tmp_path / "out")
    printed = done(*arguments, "--try", "8,2,4", "--items", table, *ATTRIBUTES, "--queries", 40)
    assert "sizes: 30, 30, 30, 30" in printed
    made = pd.read_parquet(tmp_path / "out" / "clusters.parquet")
    assert made["id"].tolist() == IDS
    assert len(set(zip(made["cluster"], GROUPS, strict=True))) == 4
    study = json.loads((tmp_path / "out" / "clusters.json").read_text())["study"]
    assert [one["k"] for one in study["tried"]] == [2, 4, 8]
    assert study["elbow"] == 4
    assert study["tried"][1]["row"]["attributes"]["kind"]["value"] == 1
    page = (tmp_path / "out" / "clusters.html").read_text()
    assert "The inertia bends most at k = 4" in page


def test_the_elbow_is_the_point_farthest_below_the_line() -> None:
    # From (2, 10) to (10, 0) the line is at 7.5 and 3.75 over 4 and 7; the points are 5.5 and 2.75 below it.
    assert elbow([2, 4, 7, 10], [10, 2, 1, 0]) == 4
    assert elbow([2, 4], [10, 2]) == 2
    assert elbow([2, 4, 7], [3, 3, 3]) == 2


def test_bad_input_is_refused(store: Path, table: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "out")

    def clusters(*arguments: Any) -> str:
        return refused_by("clusters", store, *out, *arguments)

    assert "--k 121: kmeans makes 1 to 120 clusters" in clusters("--k", 121)
    assert "--k 1: spectral makes 2 to 119 clusters" in clusters("--k", 1, "--method", "spectral")
    assert "--try 2;5: expected numbers" in clusters("--try", "2;5")
    assert "--try 2,0: expected numbers" in clusters("--try", "2,0")
    assert "give the numbers by --try" in clusters("--items", table)
    assert "--nprobe 3: expected 1 to 2" in clusters("--try", 2, "--nprobe", 3, "--items", table, *ATTRIBUTES)
    assert "no column size" in clusters("--try", 2, "--items", table, *ATTRIBUTES, "--attribute", "size")
    arguments = ("compare-methods", store, "--items", table, *out, *ATTRIBUTES)
    assert "--method lda: expected one of exact" in refused_by(*arguments, "--method", "lda")
    assert "lower --k" in refused_by(*arguments, "--method", "exact", "--k", 120)
    assert "--dimensions 100: expected 1 to 8" in refused_by(*arguments, "--method", "pca")
    assert not (tmp_path / "out").exists()


def test_other_people_s_files_stay(store: Path, table: Path, tmp_path: Path) -> None:
    measured = ("--items", table, "--attribute", "kind")
    commands = {
        "clusters": ("clusters", store, "--k", 2, "--try", "2,3"),
        "methods": ("compare-methods", store, *measured, "--method", "exact"),
        "attribute-precision": ("attribute-precision", store, *measured, "--queries", 9),
    }
    for name, command in commands.items():
        files = [f"{name}.html", f"{name}.json"] + (["clusters.parquet"] if name == "clusters" else [])
        for file in files:
            theirs = tmp_path / file / file
            theirs.parent.mkdir()
            theirs.write_text('{"signature": "mine"}')
            assert f"did not write there: {file};" in refused_by(*command, "--out", theirs.parent)
            assert [path.name for path in theirs.parent.iterdir()] == [file]
            assert theirs.read_text() == '{"signature": "mine"}'
        for _ in range(2):  # our own are replaced
            done(*command, "--out", tmp_path / "out")
        assert {path.name for path in (tmp_path / "out").iterdir()} >= set(files)
        before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
        with largest_file(len(before[tmp_path / "out" / f"{name}.html"]) // 2):  # all or none on a full disk
            assert "File too large" in refused_by(*command, "--out", tmp_path / "out")
        assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
