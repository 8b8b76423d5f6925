"""`lookbook compare`: the paper's tables with our systems, in five forms that say the same."""

import csv
import json
import re
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from browsing import PHONE
from caption_files import Rows, reference, row, write_system
from typer.testing import CliRunner, Result

from metrics import (
    Bleu,
    Cider,
    RougeL,
    UserError,
    load_systems,
    p_values,
    score_systems,
    write_comparison,
)
from metrics.__main__ import app
from metrics.common.ownership import MARK
from metrics.reports.published import published_scores

pytestmark = pytest.mark.java

Compare = Callable[..., Result]
NASTY = '[A&B] 50% {x} <b>_1_</b> | "y" ~^\\z #$'
STAR = "*=SUM(A1)"


@pytest.fixture
def compare() -> Compare:
    """Run `lookbook compare ...`."""
    return lambda *arguments: CliRunner().invoke(app, ["compare", *map(str, arguments)], env={"COLUMNS": "80"})


def write(paths: Sequence[Path], out: Path, **choices: str) -> None:
    """The same from Python, by measures that take no time."""
    write_comparison(score_systems(load_systems(paths), None, [Bleu(), RougeL(), Cider()]), out, **choices)


def content(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "comparison.json").read_text(encoding="utf-8"))


def rows_of(comparison: dict[str, Any], part: str = "all") -> dict[str, Any]:
    [chosen] = [one for one in comparison["slices"] if one["name"] == part]
    return {row["name"]: row for row in chosen["rows"]}


def words(count: int, items: Sequence[int] = range(12)) -> Rows:
    """The first words of every reference; an even item is seen."""
    return [row(n, " ".join(reference(n).split()[:count]), reference(n), seen=n % 2 == 0) for n in items]


@pytest.fixture
def nasty(tmp_path: Path) -> list[Path]:
    """A baseline and two systems that say the same, with names that no format likes."""
    named = {"base": ("baseline", NASTY, 5), "one": ("pretrained", STAR, 9), "two": ("finetuned", "two", 9)}
    return [
        write_system(tmp_path / folder, words(count), system=name, kind=kind, model="m")
        for folder, (kind, name, count) in named.items()
    ]


class Cells(HTMLParser):
    """The tables of a page, as rows of texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Sequence[Any]) -> None:
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip()


def test_values_intervals_and_tests_of_all_slices(compare: Compare, systems: list[Path], tmp_path: Path) -> None:
    measures = [option for name in ("BLEU-4", "ROUGE-L", "CIDEr") for option in ("--measure", name)]
    result = compare(*systems, "--out", tmp_path / "new" / "out", "--published", "hm", *measures)
    assert result.exit_code == 0, result.output
    made = content(tmp_path / "new" / "out")
    assert [(part["name"], part["n"]) for part in made["slices"]] == [("all", 40), ("seen", 30), ("unseen", 10)]
    assert (made["against"], made["published"], len(made["warnings"])) == ("fine-tuned", "H&M", 3)
    assert "of pretrained: 0, since its longest caption has" in made["warnings"][-1]
    assert made["warnings"][0] in " ".join(result.stdout.split())
    evaluation = score_systems(load_systems(systems), None, [Bleu(), RougeL(), Cider()])
    for name, places in evaluation.slices.items():
        rows = rows_of(made, name)
        assert [row["setting"] for row in rows.values()][-3:] == ["no photo", "PT", "FT"]
        for result_of in evaluation.results:
            for measure, score in result_of.scores[name].items():
                cell = rows[result_of.system.name]["scores"][measure]
                assert cell["value"] == 100 * score.value
                assert cell["interval"] == [100 * bound for bound in score.interval]
                low, high = cell["interval"]
                assert low - 1e-9 <= cell["value"] <= high + 1e-9
                assert cell["best"] == (result_of.system.name == "fine-tuned")
        before, after = evaluation.results[1].statistics["CIDEr"], evaluation.results[2].statistics["CIDEr"]
        p = p_values({"": before}, {"": after}, places)[""]
        assert rows["pretrained"]["scores"]["CIDEr"]["p"] == p < 0.05
        assert rows["fine-tuned"]["scores"]["CIDEr"]["p"] is None
    for text in ("fine-tuned", "no photo", "ROUGE-L", "comparison.html", "unseen"):
        assert text in result.stdout.replace("Unseen", "unseen")
    cell = rows_of(made)["most frequent"]["scores"]["CIDEr"]
    assert f"{cell['interval'][0]:.1f}–{cell['interval'][1]:.1f}" in result.stdout


def test_five_forms_say_the_same(nasty: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(nasty, out, published="facad")
    assert {path.name for path in out.iterdir()} == {
        MARK,
        *(f"comparison.{form}" for form in ("json", "md", "tex", "html", "csv")),
    }
    made = content(out)
    ours = rows_of(made)
    with (out / "comparison.csv").open(newline="", encoding="utf-8") as file:
        lines = {(line["slice"], line["system"], line["measure"]): line for line in csv.DictReader(file)}
    for part in made["slices"]:
        for name, row_of in rows_of(made, part["name"]).items():
            for measure, score in row_of["scores"].items():
                if row_of["setting"] not in ("PT", "FT") or not row_of["published"]:
                    assert float(lines[part["name"], name, measure]["value"]) == score["value"]
    for name in ("p", "p_holm"):
        assert float(lines["all", NASTY, "CIDEr"][name]) == ours[NASTY]["scores"]["CIDEr"][name]
    assert lines["all", NASTY, "CIDEr"]["comparisons"] == str(2 * 6)
    shown = {name: f"{ours[name]['scores']['ROUGE-L']['value']:.1f}" for name in (NASTY, STAR, "two")}

    page = (out / "comparison.html").read_text(encoding="utf-8")
    cells = Cells(page)
    place = cells.rows[0].index("ROUGE-L")
    first = {line[0]: line for line in reversed(cells.rows) if line and len(line) == len(cells.rows[0])}
    assert first[NASTY][place].startswith(shown[NASTY])
    assert first["CNN-C"][place] == "16.3"
    assert cells.tags.isdisjoint({"script", "img", "b"})
    assert not re.search(r"(src|href)=\"(?!data:,)", page)

    lines = (out / "comparison.md").read_text(encoding="utf-8").splitlines()
    table = [re.split(r"(?<!\\)\|", line) for line in lines[: lines.index("", 16)] if line.startswith("|")]
    assert len({len(line) for line in table}) == 1
    assert table[-1][1].strip() == "two"

    tex = (out / "comparison.tex").read_text(encoding="utf-8")
    name = r"{[}A\&B{]} 50\% \{x\} \textless{}b\textgreater{}\_1\_\textless{}/b\textgreater{} \textbar{} "
    name = name.replace("{]}", "]") + r'"y" \textasciitilde{}\textasciicircum{}\textbackslash{}z \#\$ & no photo'
    assert name in tex
    assert r"{*}=SUM(A1) & PT" in tex
    bodies = re.findall(r"\\begin\{tabular\}\{(l+r+)\}\n(.*?)\\end\{tabular\}", tex, flags=re.S)
    assert len(bodies) == 3
    for columns, body in bodies:
        lines = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert {len(re.findall(r"(?<!\\)&", line)) + 1 for line in lines} == {len(columns)}
        assert [body.count(rule) for rule in (r"\toprule", r"\bottomrule")] == [1, 1]
    plain = re.sub(r"\\[{}]", "", tex)
    assert plain.count("{") == plain.count("}")
    assert plain.isascii()


def test_the_best_is_bold_and_what_may_be_chance_is_marked(nasty: list[Path], tmp_path: Path) -> None:
    write(nasty, tmp_path / "out")
    rows = rows_of(content(tmp_path / "out"))
    # The two say the same: p is 1, both are best. The baseline says less about each of the 12 items.
    assert rows[STAR]["scores"]["ROUGE-L"] | {"p": None, "p_holm": None} == rows["two"]["scores"]["ROUGE-L"]
    assert rows[STAR]["scores"]["ROUGE-L"]["p"] == 1.0
    assert rows[NASTY]["scores"]["ROUGE-L"]["p"] < rows[NASTY]["scores"]["ROUGE-L"]["p_holm"] < 0.05
    assert [row["scores"]["ROUGE-L"]["best"] for row in rows.values()] == [False, True, True]
    value, bounds = f"{rows[STAR]['scores']['ROUGE-L']['value']:.1f}", rows[STAR]["scores"]["ROUGE-L"]["interval"]
    interval = "–".join(f"{bound:.1f}" for bound in bounds)
    text = (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8")
    assert f"**{value}**† ({interval}) |" in text
    assert f"**{value}** ({interval}) |" in text
    assert f"<strong>{value}</strong>†<small>{interval}</small>" in (tmp_path / "out" / "comparison.html").read_text(
        "utf-8"
    )
    assert rf"\textbf{{{value}}}$^{{\dagger}}$" in (tmp_path / "out" / "comparison.tex").read_text("utf-8")
    assert "1.000" in text
    assert "not significantly different from two" in text


def test_against_another_system(nasty: list[Path], tmp_path: Path) -> None:
    write(nasty, tmp_path / "out", against=STAR)
    tested = {name: row["scores"]["CIDEr"]["p"] for name, row in rows_of(content(tmp_path / "out")).items()}
    assert tested[STAR] is None
    assert tested["two"] == 1.0 > tested[NASTY]


def test_the_heading_names_the_catalogue(tmp_path: Path) -> None:
    shop = write_system(tmp_path / "shop", words(5), catalogue={"name": "mine", "title": "<b> A|B"})
    write([shop], tmp_path / "out")
    assert content(tmp_path / "out")["title"] == "Captions of <b> A|B"
    page = (tmp_path / "out" / "comparison.html").read_text(encoding="utf-8")
    assert page.count("Captions of &lt;b&gt; A|B: systems compared</") == 2
    assert (
        (tmp_path / "out" / "comparison.md")
        .read_text(encoding="utf-8")
        .startswith(r"# Captions of \<b\> A\|B: systems")
    )


def test_one_system_is_compared_with_nothing(nasty: list[Path], tmp_path: Path) -> None:
    write(nasty[:1], tmp_path / "out")
    made = content(tmp_path / "out")
    assert made["against"] is None
    assert {(score["p"], score["best"]) for score in rows_of(made)[NASTY]["scores"].values()} == {(None, False)}
    assert "p of the difference" not in (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8")


def test_published_rows_come_first_without_intervals(nasty: list[Path], tmp_path: Path) -> None:
    write(nasty, tmp_path / "out", published="hm")
    made = content(tmp_path / "out")
    rows = made["slices"][0]["rows"]
    theirs = [row for row in published_scores() if row.dataset == "H&M"]
    assert [(row["name"], row["setting"], row["published"]) for row in rows[:8]] == [
        (row.model, row.setting, True) for row in theirs
    ]
    for row_of, row_of_theirs in zip(rows, theirs, strict=False):
        for measure, score in row_of["scores"].items():
            expected = {"value": row_of_theirs.scores[measure], "interval": None, "p": None, "p_holm": None}
            assert score == expected | {"best": False, "signature": None}
    assert not any(row["published"] for part in made["slices"][1:] for row in part["rows"])
    lines = (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8").splitlines()
    starts = ("| System | |", "| BLIP-2-2.7B | FT, published |")
    head, finetuned = (next(line.split("|") for line in lines if line.startswith(start)) for start in starts)
    shown = dict(zip(head, finetuned, strict=True))
    assert [shown[f" {name} "].strip() for name in ("BLEU-1", "BLEU-4", "ROUGE-L", "CIDEr")] == [
        "–",
        "40.8",
        "63.4",
        "275.2",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--published", "deepfashion"], "--published: expected one of hm, facad; found deepfashion"),
        (["--against", "three"], "--against: expected one of "),
        (["--references", "none.jsonl"], "none.jsonl"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_scored(
    compare: Compare,
    nasty: list[Path],
    tmp_path: Path,
    options: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    result = compare(*nasty, "--out", tmp_path / "out", *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made(nasty: list[Path]) -> None:
    with pytest.raises(UserError, match="another --out"):
        write(nasty, nasty[0])


@pytest.mark.browser
def test_the_page_fits_a_phone(browser: Any, nasty: list[Path], tmp_path: Path) -> None:
    write(nasty, tmp_path / "out", published="hm")
    screen = {"width": PHONE, "height": 900, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.get((tmp_path / "out" / "comparison.html").as_uri())
    assert browser.execute_script("return document.documentElement.scrollWidth") <= PHONE
    assert browser.get_log("browser") == []
