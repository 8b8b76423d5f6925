"""The viewer under load: a made-up scoring, and the time and memory of its server."""

import json
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from metrics.bench.synthetic import made_up_captions
from metrics.common.drafts import temporary_folder
from metrics.common.errors import UserError
from metrics.common.files import atomic_writer, make_folder, write_text
from metrics.common.measure_names import MAXIMUM
from metrics.common.processes import child_environment, peak_megabytes, python_module
from metrics.common.tables import WideTable, print_tables
from metrics.common.version import DISTRIBUTION
from metrics.records.captions import CaptionRecord, write_records

_MEASURES = ("CIDEr", "SPICE", "METEOR", "ROUGE-L", "BLEU-1", "BLEU-4", "MAP", "MAR", "Attr-F1", "Acc")
_SYSTEMS = ("pre-trained", "fine-tuned")
_CATEGORIES = 20
_COLUMNS = 25  # as H&M's articles.csv has
_ROUNDS = 5
# What is asked for, and the most seconds that it may take. {n} is another number in each round, so that no list is
# answered from memory; {most} is nearly all items.
PAGES = {
    "start page": ("/", 1.0),
    "first page of all items": ("/items", 1.0),
    "one item": ("/item?id=item%20{n}", 0.5),
    "next item in a filtered, sorted list": ("/item?id=item%20{n}&category=category%20{n}&sort=CIDEr", 0.5),
    "filter by category and score": ("/items?category=category%20{n}&measure=METEOR&min=2{n}", 0.5),
    "filter by difference": ("/items?diff_min=1{n}&diff_max=400", 0.5),
    "search for two words": ("/items?q=cotton+{n}", 0.5),
    "search for a word of most items": ("/items?q=with&first={most}", 0.5),
    "sort by score": ("/items?sort=METEOR&order=asc&first={most}", 0.5),
    "sort by disagreement": ("/items?sort=disagreement&first={most}", 2.0),
    "distributions": ("/items?view=plots&first={most}", 2.0),
}
_INDEX_SECONDS, _MEGABYTES = 30, 200


def print_viewer_bench(items: int) -> None:
    """Write a scoring of `items` items, start the viewer on it twice, and print its times and memory.

    Raises:
        UserError: when the server ends, or a page fails.
    """
    with temporary_folder() as folder:
        write_scoring(folder / "scores", items)
        write_source_table(folder, items)
        table = WideTable(["what"], ["worst s", "limit s"])
        with _serving(folder) as (_, seconds, process):
            table.add_row("start with the index to be made", f"{seconds:.2f}", str(_INDEX_SECONDS))
            building = peak_megabytes(process.pid)
        with _serving(folder) as (url, seconds, process):
            table.add_row("start with the index there", f"{seconds:.2f}", "")
            for name, (path, limit) in PAGES.items():
                table.add_row(name, f"{max(_times(url + path, items)):.2f}", str(limit))
            serving = peak_megabytes(process.pid)
        [index] = (folder / "cache" / "viewer").iterdir()
        print_tables(
            f"{items:,} items, {len(_SYSTEMS)} systems, {len(_MEASURES)} measures, a table of "
            f"{_COLUMNS} columns; {_megabytes(folder / 'scores')} of files, an index of "
            f"{index.stat().st_size / 1e6:.0f} MB; the worst of {_ROUNDS} requests",
            table,
            f"peak memory: {serving:.0f} MB, limit {_MEGABYTES} MB; while the index is made {building:.0f} MB",
        )


def write_scoring(folder: Path, items: int, seed: int = 17) -> None:
    """Write what `score` writes of `items` items by two systems, with scores drawn at random, into a new folder."""
    draw = random.Random(seed)  # noqa: S311
    make_folder(folder)
    made_up = made_up_captions(items, seed)
    systems = [{"name": name, "scores": {"all": {}}} for name in _SYSTEMS]
    report = {"title": "Captions of nothing", "measures": _MEASURES, "maximum": MAXIMUM, "systems": systems}
    write_text(folder / "report.json", json.dumps(report))
    write_records(folder / "scored-references.jsonl", (_item(number, made_up[number]) for number in range(items)))
    with atomic_writer(folder / "items.jsonl") as rows:
        for name in _SYSTEMS:
            for number in range(items):
                rows.write(json.dumps(_row(draw, name, number, made_up[number])) + "\n")


def write_source_table(folder: Path, items: int) -> None:
    """Write the catalogue's own table of these items as `run` does, into the folder that the scoring is in.

    Raises:
        UserError: when pyarrow is not installed.
    """
    try:
        import pyarrow  # noqa: PLC0415
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise UserError(f"pyarrow is not installed, run: pip install '{DISTRIBUTION}[view]'") from error
    columns = {"id": [f"item {number}" for number in range(items)], "role": ["test"] * items}
    for column in range(_COLUMNS):
        columns[f"source.column {column}"] = [f"value {column} of {number % 997}" for number in range(items)]
    parquet.write_table(pyarrow.table(columns), folder / "items.parquet")
    write_text(folder / "recipe.json", "{}")


def _item(number: int, made_up: dict[str, Any]) -> CaptionRecord:
    return CaptionRecord(
        f"item {number}",
        product_id=f"product {number // 2}",
        image=f"images/{number}.jpg",
        references=tuple(made_up["references"]),
        category=f"category {number % _CATEGORIES}",
        attributes={"colour": "Dark Green", "department": f"department {number % 7}", "number": str(number)},
        seen=number % 3 != 0,
    )


def _row(draw: random.Random, system: str, number: int, made_up: dict[str, Any]) -> dict[str, Any]:
    words = sorted({word.strip(",.") for word in made_up["caption"].split()})
    attributes = {"right": words[:6], "invented": words[6:9], "missed": ["airy", "wool"]}
    scores = {measure: round(draw.betavariate(2, 3) * MAXIMUM[measure], 12) for measure in _MEASURES}
    known = {"caption": made_up["caption"], "logprob": -draw.random(), "predicted": "category 1"}
    return {"id": f"item {number}", "system": system, **known, "attributes": attributes, **scores}


@contextmanager
def _serving(folder: Path) -> Iterator[tuple[str, float, "subprocess.Popen[str]"]]:
    """Start the viewer; its URL, the seconds until its start page was there, its process."""
    command = python_module("metrics", "view", str(folder / "scores"), "--port", "0")
    environment = child_environment(LOOKBOOK_CACHE=str(folder / "cache"))
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:  # noqa: S603
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line.startswith("http"):
                raise UserError("the viewer did not start; its message is above")
            url = line.split()[0].rstrip("/")
            _times(url + "/", 1, rounds=1)
            yield url, time.perf_counter() - start, process
        finally:
            process.terminate()


def _times(url: str, items: int, rounds: int = _ROUNDS) -> list[float]:
    """The seconds that each of some requests took, every one for another list."""
    seconds = []
    for number in range(1, rounds + 1):
        start = time.perf_counter()
        with urlopen(url.format(n=number, most=items - number)) as page:  # noqa: S310
            page.read()
        seconds.append(time.perf_counter() - start)
    return seconds


def _megabytes(folder: Path) -> str:
    return f"{sum(path.stat().st_size for path in folder.iterdir()) / 1e6:.0f} MB"
