"""For both readers: the title, what the numbers mean, baselines that are equal."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from caption_files import reference, row, write_system
from typer.testing import CliRunner, Result

from metrics.__main__ import app
from metrics.records.run import CatalogueInfo
from metrics.reports.report import NEW_PARTS

pytestmark = pytest.mark.java
ITEMS = 40
CIDER = ("--measure", "CIDEr")


def write(folder: Path, kind: str | None, captions: list[str], name: str | None = None, **run: Any) -> Path:
    """A system; every fourth item is unseen."""
    rows = [row(n, caption, reference(n), seen=n % 4 != 0) for n, caption in enumerate(captions)]
    return write_system(folder / (name or str(kind)), rows, system=name or kind, kind=kind, **run)


def words(count: int, items: int = ITEMS) -> list[str]:
    return [" ".join(reference(n).split()[:count]) for n in range(items)]


def rolled(captions: list[str]) -> list[str]:
    return [*captions[1:], captions[0]]


@pytest.fixture
def report(score: Callable[..., Result], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    def make(*arguments: object) -> dict[str, Any]:
        result = score(*arguments, "--out", tmp_path / "out")
        assert result.exit_code == 0, result.output
        return json.loads((tmp_path / "out" / "report.json").read_text())

    return make


Report = Callable[..., dict[str, Any]]


def answers(made: dict[str, Any]) -> dict[str, str]:
    return {one["about"]: one["answer"] for one in made["summary"]["questions"]}


def test_a_model_that_sees_and_beats_copying(report: Report, tmp_path: Path) -> None:
    tuned = words(9)
    made = report(
        write(tmp_path, "finetuned", tuned),
        write(tmp_path, "control", rolled(tuned)),
        write(tmp_path, "baseline", words(3), "weak"),
        write(tmp_path, "baseline", words(5), "strong"),
    )
    # Ten unseen items are too few clusters to tell.
    assert answers(made) == {"photo": "yes", "copying": "yes", "unseen": "undecided", "lookup": "not measured"}
    scores = {one["name"]: one["scores"]["all"]["CIDEr"]["value"] for one in made["systems"]}
    photo, copying, unseen, lookup = made["summary"]["questions"]
    assert copying["against"] == "strong"
    assert copying["values"] == [scores["finetuned"], scores["strong"]]
    assert copying["difference"] == pytest.approx(scores["finetuned"] - scores["strong"])
    assert copying["interval"][0] < copying["difference"] < copying["interval"][1]
    ours, theirs = 100 * scores["finetuned"], 100 * scores["control"]
    assert f"CIDEr {ours:.1f} against {theirs:.1f}, a difference of {ours - theirs:+.1f} (95% " in photo["sentence"]
    assert "only 10 independent clusters of items, fewer than 30" in unseen["sentence"]
    assert "`lookbook baselines`" in lookup["sentence"]
    for form in ("html", "md"):
        text = (tmp_path / "out" / f"report.{form}").read_text(encoding="utf-8")
        assert f"CIDEr {ours:.1f} against {theirs:.1f}" in text
        assert "attribute recall" not in text
        assert "predicts" not in text


def test_a_model_that_does_not(report: Report, tmp_path: Path) -> None:
    """Its captions are shuffled already, so that those of the control are the right ones; a baseline says the same."""
    blind = rolled(words(6))
    made = report(
        write(tmp_path, "finetuned", blind),
        write(tmp_path, "control", words(6)),
        write(tmp_path, "baseline", blind),
    )
    asked = {"photo": "no", "copying": "undecided", "unseen": "undecided", "lookup": "not measured"}
    assert answers(made) == asked
    assert made["summary"]["questions"][1]["p_holm"] == 1
    better = write(tmp_path, "baseline", words(8), "better")
    assert answers(report(write(tmp_path, "finetuned", blind), better))["copying"] == "no"


@pytest.mark.parametrize(("count", "answer"), [(9, "yes"), (5, "undecided"), (3, "no")])
def test_whether_a_model_looks_things_up_is_asked_on_unseen_captions(
    report: Report, tmp_path: Path, count: int, answer: str
) -> None:
    """Of 160 items 40 are unseen. Only the nearest photo's caption is asked about, here never the best baseline."""
    lookup = {"encoder": "a|`b`", "features": "1a2b", "k": 1}
    made = report(
        write(tmp_path, "finetuned", words(count, 160)),
        write(tmp_path, "baseline", words(8, 160), "the best"),
        write(tmp_path, "baseline", words(6, 160), "consensus", lookup=lookup | {"rule": "consensus", "k": 3}),
        write(tmp_path, "baseline", words(5, 160), "nearest", lookup=lookup | {"rule": "nearest"}),
        *CIDER,
    )
    asked = made["summary"]["questions"][3]
    assert (asked["answer"], asked["slice"], asked["against"], asked["clusters"]) == (answer, "unseen", "nearest", 40)
    unseen = {one["name"]: one["scores"]["unseen"]["CIDEr"] for one in made["systems"]}
    assert asked["values"] == [unseen["finetuned"]["value"], unseen["nearest"]["value"]]
    assert "|captions:nearest|encoder:a b |features:1a2b|k:1|" in unseen["nearest"]["signature"]
    assert "|captions:consensus|encoder:a b |features:1a2b|k:3|" in unseen["consensus"]["signature"]
    assert "captions:" not in unseen["finetuned"]["signature"]
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert asked["sentence"] in text
    assert made["systems"][1]["scores"]["all"][made["measures"][0]]["signature"] in text


def test_a_comparison_that_answers_two_questions_is_corrected_for_once(report: Report, tmp_path: Path) -> None:
    paths = [
        write(tmp_path, "finetuned", words(9, 160)),
        write(tmp_path, "baseline", words(8, 160), "nearest", lookup={"rule": "nearest"}),
    ]
    with_lookup = report(*paths, *CIDER)["summary"]["questions"]
    write(tmp_path, "baseline", words(8, 160), "nearest")
    without = report(*paths, *CIDER)["summary"]["questions"]
    assert with_lookup[3]["p_holm"] == with_lookup[2]["p_holm"] == without[2]["p_holm"]
    assert with_lookup[:3] == without[:3]


def test_what_was_not_measured_is_said(report: Report, tmp_path: Path) -> None:
    made = report(write(tmp_path, "pretrained", words(4)), write(tmp_path, None, words(5), "somebody's"))
    assert set(answers(made).values()) == {"not measured"}
    assert (made["summary"]["system"], made["summary"]["candidates"]) == ("somebody's", 2)
    assert "`lookbook baselines`" in made["summary"]["questions"][1]["sentence"]
    made = report(write(tmp_path, "baseline", words(4)))
    assert (made["summary"]["system"], made["summary"]["questions"]) == (None, [])
    assert "nothing to judge" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_each_system_has_its_own_control(report: Report, tmp_path: Path) -> None:
    one, two = words(9), words(5)
    made = report(
        write(tmp_path, "finetuned", one, "one"),
        write(tmp_path, "finetuned", two, "two"),
        write(tmp_path, "control", rolled(two), "two, photos shuffled"),
    )
    assert (made["summary"]["system"], answers(made)["photo"]) == ("one", "not measured")
    shuffled = write(tmp_path, "control", rolled(one), "X")
    made = report(*(tmp_path / name / "captions.jsonl" for name in ("one", "two")), shuffled)
    assert made["summary"]["questions"][0]["against"] == "X"


@pytest.mark.parametrize(
    ("catalogue", "title"),
    [
        ({"name": "folder", "folder": Path("/data/winter-shop")}, "winter-shop"),
        ({"name": "folder", "folder": None}, "folder"),
        ({"name": "folder", "title": "me/clothes"}, "me/clothes"),
        ({"name": "mine", "title": "mine", "folder": Path("/data/winter-shop")}, "mine"),
        ({"name": "hm", "folder": Path("/data/kaggle")}, "H&M"),
        ({"name": "facad"}, "FACAD"),
        ({}, None),
    ],
)
def test_a_catalogue_is_called_by_its_own_name(catalogue: dict[str, Any], title: str | None) -> None:
    assert CatalogueInfo(**catalogue).called == title


def test_the_title_names_all_catalogues(report: Report, tmp_path: Path) -> None:
    shop = {"name": "folder", "folder": "/data/winter-shop"}
    paths = [
        write(tmp_path, None, words(5, 3), str(n), catalogue=one) for n, one in enumerate([shop, shop, {"name": "hm"}])
    ]
    made = report(*paths)
    assert made["title"] == "Captions of winter-shop, H&M"
    assert made.keys() >= NEW_PARTS  # or it is never taken for finished
    assert "<h1>Captions of winter-shop, H&amp;M</h1>" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_equal_baselines_share_a_row_that_says_so(report: Report, tmp_path: Path) -> None:
    paths = [
        write(tmp_path, "baseline", words(4), "category"),
        write(tmp_path, "baseline", words(4), "sibling"),
        write(tmp_path, "baseline", words(3), "third"),
        write(tmp_path, "pretrained", words(4), "pretrained"),
    ]
    made = report(*paths)
    assert made["equal_baselines"] == [["category", "sibling"]]
    assert [one["name"] for one in made["systems"]] == ["category", "sibling", "third", "pretrained"]
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert text.count("| category = sibling | baseline |") == 3  # all, seen, unseen
    assert "| sibling | baseline |" not in text
    assert "category and sibling come out the same" in text
    for against, joined in (("pretrained", True), ("sibling", False)):
        arguments = ["compare", *map(str, paths), "--measure", "CIDEr", "--against", against]
        result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "both")], env={"COLUMNS": "200"})
        assert result.exit_code == 0, result.output
        for shown in (
            result.output,
            *((tmp_path / "both" / f"comparison.{form}").read_text() for form in ("md", "tex")),
        ):
            assert ("category = sibling" in shown) == joined
        rows = json.loads((tmp_path / "both" / "comparison.json").read_text())["slices"][0]["rows"]
        assert [one["name"] for one in rows] == ["category", "sibling", "third", "pretrained"]
