"""The report of a catalogue's features: commands in a row, their pages on one."""

from pathlib import Path

import pytest
from recommending import refused_by
from tiny import photo as save_photo

from metrics.common.errors import UserError
from recommend.report.page import check_joined, write_joined
from recommend.report.steps import Step, run, stores, studies


def test_each_step_but_the_catalogues_writes_a_page_or_a_store(tmp_path: Path) -> None:
    before = stores(Path("shop.yaml"), tmp_path, "efficientnet-lite0", "tfidf", 128)
    assert before[1].command.startswith("lookbook embed shop.yaml --encoder efficientnet-lite0 --resolution 128 --out")
    for step in studies(tmp_path, Path("items.parquet")):
        assert step.title and step.page is not None
        assert any(str(step.page).startswith(argument) for argument in step.arguments)


def test_pages_are_joined_in_order(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.html").write_text(f"<html><h1>x</h1><main><p>part {name}</p></main><footer>end</footer>")
    steps = [Step("recommend", (name, "<x>"), title=name, page=tmp_path / f"{name}.html") for name in ("one", "two")]
    page = tmp_path / "features.html"
    for _ in range(2):  # our own page is replaced
        check_joined(page)
        write_joined(page, "<b>shop</b>", [Step("finetune", ("embed",))], steps)
    text = page.read_text(encoding="utf-8")
    assert text.index("lookbook embed") < text.index("<p>part one</p>") < text.index("<p>part two</p>")
    assert "&lt;b&gt;shop" in text and "lookbook one &lt;x&gt;" in text and text.count("<footer>") == 1


def test_other_files_are_refused(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.html"
    theirs.write_text("<main>")
    with pytest.raises(UserError, match="exists and is no page of features"):
        check_joined(theirs)
    with pytest.raises(UserError, match="expected a page of Lookbook, found another file"):
        write_joined(tmp_path / "out.html", "shop", [], [Step("recommend", ("similar",), title="x", page=theirs)])


def test_what_is_there_is_not_made_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(Step("recommend", ("no-such-command",), made=save_photo(tmp_path / "made.png")))
    assert "is there already" in capsys.readouterr().out


@pytest.mark.processes
def test_a_command_that_fails_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"`lookbook similar .*none --id x` failed with exit code 2"):
        run(Step("recommend", ("similar", str(tmp_path / "none"), "--id", "x")))


def test_a_wrong_recipe(tmp_path: Path) -> None:
    assert "no such recipe" in refused_by("report-features", tmp_path / "none.yaml")
