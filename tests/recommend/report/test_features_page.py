"""The report of a catalogue's features: commands in a row, their pages on one."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from feature_stores import write_store
from recommending import clustered, done, items_table, refused_by

from finetune.data.feature_cache import FeatureStore
from finetune.data.feature_files import About
from metrics.common.errors import UserError
from metrics.common.ownership import refuse_foreign
from recommend.common.page import write_page
from recommend.evaluation.attributes import HM
from recommend.report.page import CONTENTS, write_joined
from recommend.report.steps import Step, run, stores, studies
from recommend.report.table import Columns, chosen_columns


def table_of(path: Path, **columns: list[str]) -> Path:
    return items_table(path / "items.parquet", ["a", "b"], ["a", "b"], **columns)


def titles(table: Path, attributes: tuple[str, ...] = (), count: int = 1000) -> list[str]:
    columns = chosen_columns(table, attributes, ())
    return [step.title for step in studies(table.parent, table, columns, count)]


def test_each_study_writes_a_page(tmp_path: Path) -> None:
    before = stores(Path("shop.yaml"), tmp_path, "efficientnet-lite0", "tfidf", 128)
    assert before[0].command.startswith("lookbook embed shop.yaml --encoder efficientnet-lite0 --resolution 128 --out")
    steps = studies(tmp_path, Path("items.parquet"), Columns(("kind",), ("shade",)), 12)
    assert [step.title for step in steps] == [
        "Similar items",
        "Attribute precision",
        "Reduction",
        "Maps",
        "Clusters",
        "Methods of search",
    ]
    for step in steps:
        assert step.page is not None
        assert any(str(step.page).startswith(argument) for argument in step.arguments)
        assert ("--attribute kind" in step.command) == (
            step.title in ("Attribute precision", "Clusters", "Methods of search")
        )
    assert "--colour-by shade" in steps[3].command
    assert "--try 2,5,10 " in steps[4].command  # no more clusters than items
    assert "--dimensions 3 " in steps[5].command


def test_what_an_unknown_table_lacks_is_left_out_and_named(tmp_path: Path) -> None:
    table = table_of(tmp_path, kind=["hat", "coat"])
    assert titles(table) == ["Similar items", "Reduction", "Clusters"]
    left_out = chosen_columns(table, (), ()).left_out
    assert left_out.startswith("Attribute precision, Methods of search, Maps: ") and "--attribute COLUMN" in left_out
    assert len(titles(table, ("kind",))) == 6
    assert chosen_columns(table, ("kind",), ()).left_out == ""
    with pytest.raises(UserError, match=r"no column shade; found .*kind"):
        chosen_columns(table, ("kind",), ("shade",))
    known = table_of(tmp_path, **{name: ["x", "y"] for name in (*HM, "product_group_name")})
    assert chosen_columns(known, (), ()) == Columns(HM, ("product_group_name", "product_type_name"))


def test_pages_are_joined_in_order(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.html").write_text(f"<html><h1>x</h1><main><p>part {name}</p></main><footer>end</footer>")
    steps = [Step("recommend", (name, "<x>"), title=name, page=tmp_path / f"{name}.html") for name in ("one", "two")]
    page = tmp_path / "features.html"
    for _ in range(2):  # our own page is replaced
        write_joined(page, "<b>shop</b>", [Step("finetune", ("embed",))], steps)
    text = page.read_text(encoding="utf-8")
    assert text.index("lookbook embed") < text.index("<p>part one</p>") < text.index("<p>part two</p>")
    assert "&lt;b&gt;shop" in text and "lookbook one &lt;x&gt;" in text and text.count("<footer>") == 1


def test_pages_of_any_commands_are_joined(tmp_path: Path) -> None:
    page = tmp_path / "all.html"
    for name in ("one", "two"):
        write_page(tmp_path / f"{name}.html", f"{name} & all", "", [], name)
    arguments = ("join-pages", tmp_path / "one.html", tmp_path / "two.html", "--title", "Two & more", "--out", page)
    for _ in range(2):  # our own page is replaced
        assert done(*arguments).strip() == str(page)
    joined = page.read_text(encoding="utf-8")
    assert "<h1>Two &amp; more</h1>" in joined and joined.count("one &amp; all</h1>") == 1
    assert joined.index("<code>one</code>") < joined.index("<code>two</code>")
    theirs = tmp_path / "theirs.html"
    theirs.write_bytes(b"<h1>\xff</h1><main></main>")
    assert "theirs.html: expected a page of Lookbook" in refused_by("join-pages", theirs, "--out", page)
    assert "none.html: No such file" in refused_by("join-pages", tmp_path / "none.html", "--out", page)
    assert "exists and is no page of joined pages" in refused_by("join-pages", tmp_path / "one.html", "--out", theirs)
    assert "would replace" in refused_by("join-pages", page, "--out", page)
    assert page.read_text(encoding="utf-8") == joined
    assert done("join-pages", tmp_path / "one.html", "--out", theirs, "--overwrite").strip() == str(theirs)


def test_other_files_are_refused(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs" / "features.html"
    theirs.parent.mkdir()
    theirs.write_text("<main>")
    with pytest.raises(UserError, match=r"did not write there: features.html;"):
        refuse_foreign(theirs.parent, CONTENTS)
    with pytest.raises(UserError, match="expected a page of Lookbook, found another file"):
        write_joined(tmp_path / "out.html", "shop", [], [Step("recommend", ("similar",), title="x", page=theirs)])


def test_a_reduced_store_is_kept_only_while_it_is_of_its_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids, rows, _ = clustered(20)
    source, made, page = tmp_path / "photo", tmp_path / "photo-pca", tmp_path / "elbow.html"
    write_store(source, ids, rows, About("some", "photo", source="one"))
    reduce = ("reduce", source, "--dimensions", "2", "--elbow", page, "--out", made)
    step = Step("recommend", tuple(map(str, reduce)), source, made, page=page, dimensions=2)
    done(*reduce)
    first = FeatureStore.open(made).about
    run(step)
    assert "is there already" in capsys.readouterr().out

    shutil.rmtree(source)
    write_store(source, ids, rows, About("some", "photo", source="two"))
    (made / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"photo-pca: expected a store alone, found notes.txt"):
        run(step)
    assert FeatureStore.open(made).about == first
    (made / "notes.txt").unlink()
    run(step)
    assert FeatureStore.open(made).about.source == "two"
    fewer = tuple("1" if argument == "2" else argument for argument in step.arguments)
    run(replace(step, arguments=fewer, dimensions=1))
    assert FeatureStore.open(made).shape == (1,)


@pytest.mark.processes
def test_a_command_that_fails_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"`lookbook similar .*none --id x` failed with exit code 2"):
        run(Step("recommend", ("similar", str(tmp_path / "none"), "--id", "x")))


def test_a_wrong_recipe(tmp_path: Path) -> None:
    assert "no such recipe" in refused_by("report-features", tmp_path / "none.yaml")
