"""The report: nothing of it is markup that came from a file, and nothing is loaded from elsewhere."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from caption_files import row, write_system
from PIL import Image
from typer.testing import Result

from metrics.common.charts import loss_chart
from metrics.common.formatting import cell, duration
from metrics.photos.folders import remember_folder

pytestmark = pytest.mark.java

EVIL = "<script>alert(1)</script>&\"'<img src=x onerror=alert(1)>\u2028|*_` \ud800"


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def parse(page: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Tags()
    parser.feed(page)
    return parser.tags


@pytest.fixture
def page(score: Callable[..., Result], systems: list[Path], tmp_path: Path) -> str:
    remember_folder(systems[0].parents[1] / "catalogue", outside=False)
    assert score(*systems, "--out", tmp_path).exit_code == 0
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def test_everything_is_in_the_page(page: str) -> None:
    text = " ".join(re.sub(r"<style.*?</style>|<[^>]*>", " ", page, flags=re.S).split())
    for part in (
        "74.9% of the test captions occur word for word in training",
        "72.1% of the test items have a sibling",
        "40 test items were audited; 31 distinct captions",
        "with a description 105,126",
        "Split (published)",
        "validation 2.500 at the end",
        "5 min 1 s",
        "&#34;learning_rate&#34;: 0.0001",
        "CIDEr-D|tok:ptb-3.4.1|refs:1|n:40|df:40",
        "24 of 40 items",
        "The highest CIDEr of fine-tuned",
        "CIDEr of what is kept when the least confident are withheld",
        "photo not found",
    ):
        assert part in text
    assert page.count('<article class="card">') == 24 + 6 + 6


def test_the_page_needs_nothing_else(page: str) -> None:
    for tag, attributes in parse(page):
        assert tag not in {"script", "iframe", "object", "base"}
        for name in ("src", "href"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert "@import" not in page
    assert "url(" not in page


def test_text_from_files_is_never_markup(score: Callable[..., Result], tmp_path: Path) -> None:
    rows = [row(0, EVIL, EVIL, category=EVIL, image=EVIL), {**row(1, "", EVIL), "id": EVIL}]
    captions = write_system(
        tmp_path,
        rows,
        system=EVIL,
        kind="finetuned",
        model=EVIL,
        adapter=EVIL,
        recipe={EVIL: [EVIL]},
        recipe_path=EVIL,
        catalogue={
            "name": EVIL,
            "folder": EVIL,
            "counts": [{"step": EVIL, "articles": 1}],
            "split": {"method": EVIL, "sizes": {EVIL: 1}},
        },
        loss_history=[{"step": 1, "loss": 1.0, EVIL: EVIL}],
        parameters={EVIL: {"total": 0, "trainable": 0}},
        versions={EVIL: EVIL},
        hardware={EVIL: EVIL},
        times={EVIL: 1},
        git=EVIL,
        decoding={EVIL: EVIL},
    )
    result = score(captions, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    tags = parse((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert "script" not in {tag for tag, _ in tags}
    assert not any("onerror" in attributes for _, attributes in tags)
    markdown = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "<script" not in markdown.replace("\\<", "")
    tables = [line for line in markdown.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in tables)


def test_photos_stay_within_the_catalogue(score: Callable[..., Result], tmp_path: Path) -> None:
    catalogue = tmp_path / "catalogue"
    catalogue.mkdir()
    Image.new("RGB", (10, 10)).save(tmp_path / "secret.png")
    (catalogue / "text.jpg").write_text("no picture")
    Image.effect_noise((300, 300), 50).save(catalogue / "whole.jpg")
    (catalogue / "cut.jpg").write_bytes((catalogue / "whole.jpg").read_bytes()[:2000])
    for mode in ("CMYK", "L"):
        Image.new(mode, (50, 80)).save(catalogue / f"{mode}.jpg")
    Image.new("RGBA", (50, 80), (0, 0, 0, 0)).save(catalogue / "clear.png")
    Image.new("I;16", (50, 80)).save(catalogue / "deep.png")
    problems = {
        "../secret.png": "photo outside the catalogue folder",
        str(tmp_path / "secret.png"): "photo outside the catalogue folder",
        "text.jpg": "photo cannot be read",
        "cut.jpg": "photo cannot be read",
        "gone.jpg": "photo not found",
        "long" * 100: "photo cannot be read",
        "nul\0.jpg": "photo outside the catalogue folder",
    }
    good = ["CMYK.jpg", "L.jpg", "clear.png", "deep.png"]
    rows = [row(number, "a", "a", image=image) for number, image in enumerate([*problems, *good])]
    captions = write_system(tmp_path, rows, catalogue={"folder": str(catalogue)})
    assert score(captions, "--out", tmp_path / "out").exit_code == 0
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    samples = page.split('<section id="samples">')[1].split("</section>")[0]
    assert samples.count("data:image/jpeg;base64,") == len(good)
    for problem in set(problems.values()):
        assert samples.count(problem) == list(problems.values()).count(problem)


def test_without_run_json_the_report_shows_what_is_not_known(score: Callable[..., Result], tmp_path: Path) -> None:
    assert score(write_system(tmp_path, [row(0, "a", "a")]), "--out", tmp_path / "out").exit_code == 0
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "none beside the captions" in page
    assert "no photo given" in page
    assert "<svg" not in page
    assert "<h2>Confidence</h2>" not in page


def test_the_loss_chart_spans_its_points() -> None:
    chart = loss_chart([{"step": 0, "loss": 4.0}, {"step": 100, "loss": 2.0}, {"step": 100, "eval_loss": 3.0}])
    assert chart is not None
    training, validation = chart.curves
    assert [x for x, _ in training.dots] == [chart.left, chart.right]
    assert (training.last, validation.last) == (2.0, 3.0)
    assert validation.dots[0][1] == pytest.approx((training.dots[0][1] + training.dots[1][1]) / 2)
    assert [tick.label for tick in chart.x_ticks] == ["0", "20", "40", "60", "80", "100"]
    assert loss_chart([]) is None
    single = loss_chart([{"step": 5, "loss": 0.0}])
    assert single is not None
    assert single.curves[0].dots == [
        ((single.left + single.right) / 2, pytest.approx((single.top + single.bottom) / 2))
    ]


def test_formats() -> None:
    assert cell("a|b\n<i>") == "a\\|b \\<i\\>"
    assert [duration(seconds) for seconds in (1, 301, 11_520)] == ["1.0 s", "5 min 1 s", "3 h 12 min"]
