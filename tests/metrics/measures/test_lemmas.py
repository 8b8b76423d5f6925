"""Lemmas by real Stanza: the demo's own tiny models, and the small real ones where STANZA_DIR names their folder."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from places import ROOT

from finetune.experiments.demo_tagging import captions, written
from metrics import UserError
from metrics.bench.synthetic import descriptions
from metrics.bench.workloads import one_at_a_time
from metrics.measures.attributes.lemmas import Lemmas

pytestmark = pytest.mark.torch

DEMO = ROOT / "finetune" / "assets" / "demo-stanza"
MODELS = [str(DEMO), *filter(None, [os.environ.get("STANZA_DIR")])]
ODD = [
    *("", " ", "\n", "-", "...", "!?", "\x00", "😀", "👩‍👩‍👧 dress", "שלום עולם", "\u202edress", "\ufeff", "\u200b", "日本語"),
    *("a\n\ndress\n\n", "\n\nskirt", "a\u2028b", "\ud800", "İstanbul ﬁne", "<PAD>", "http://a.b/c", "1,000 3/4", "x" * 3000),
]  # fmt: skip


@pytest.fixture(params=MODELS, ids=lambda folder: Path(folder).name)
def models(request: pytest.FixtureRequest) -> str:
    """Each set of models in its turn."""
    return str(request.param)


def references_file(folder: Path, texts: list[str]) -> Path:
    path = folder / "references-train.jsonl"
    rows = [{"id": str(number), "references": [text]} for number, text in enumerate(texts)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.processes
@pytest.mark.slow
def test_a_batch_gives_what_each_caption_gives_alone(models: str) -> None:
    rng = random.Random(1)  # noqa: S311
    shop = descriptions(100 if models == str(DEMO) else 400)
    words = [*ODD, "dress", "in", "soft", "cotton", "pockets", ".", ",", "and", "the", "Top-Front"]
    jumbled = ["".join(rng.choice(words) + rng.choice(["", " "]) for _ in range(rng.randrange(9))) for _ in range(80)]
    given = list(dict.fromkeys([*ODD, *jumbled, *shop, *map(written, captions(60, 3, 0.5))]))
    together = Lemmas(models).of(given)
    assert [together[caption] for caption in given] == one_at_a_time(given, models)


@pytest.mark.processes
@pytest.mark.slow
def test_a_caption_of_ten_thousand_words() -> None:
    caption = "striped dress " * 5_000
    assert len(Lemmas(str(DEMO)).of([caption, "a dress"])[caption]) >= 9_900


@pytest.fixture
def two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metrics.measures.attributes.workers.cores", lambda: 2)
    monkeypatch.setattr("metrics.measures.attributes.workers._CAPTIONS_A_PROCESS", 20)
    monkeypatch.setattr("metrics.measures.attributes.workers._CHUNK_CAPTIONS", 16)
    monkeypatch.setattr("metrics.measures.attributes.workers._has_gpu", lambda: False)


@pytest.mark.processes
@pytest.mark.slow
def test_several_processes_give_the_same_as_one_caption_at_a_time(two_processes: None) -> None:
    given = [*descriptions(60), *ODD]
    assert [Lemmas(str(DEMO)).of(given)[caption] for caption in given] == one_at_a_time(given, str(DEMO))
    assert not children()


def test_nothing_is_parsed_twice() -> None:
    given = descriptions(50)
    first, again = Lemmas(str(DEMO)), Lemmas(str(DEMO))
    lemmas = first.of(given)
    shouted = [f"  {caption}\n".upper() for caption in given]
    assert list(again.of(shouted).values()) == list(lemmas.values())
    assert (first.parsed, first.cached) == (20, 0)  # 41% of 50, rounded
    assert (again.parsed, again.cached) == (0, 20)


@pytest.mark.processes
def test_a_process_that_dies_ends_in_a_message(two_processes: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metrics.measures.attributes.workers._Worker.parse", killing(signal.SIGKILL))
    with pytest.raises(UserError, match="a process of Stanza ended with exit code -9"):
        Lemmas(str(DEMO)).of(descriptions(100))
    assert not children()


@pytest.mark.processes
def test_a_process_that_hangs_ends_in_a_message(two_processes: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metrics.measures.attributes.workers._LOADING_SECONDS", 2)
    monkeypatch.setattr("metrics.measures.attributes.workers._SECONDS_A_WORD", 0)
    monkeypatch.setattr("metrics.measures.attributes.workers._Worker.parse", killing(signal.SIGSTOP))
    with pytest.raises(UserError, match=r"a process of Stanza gave no answer for \d+ s; .* run it again"):
        Lemmas(str(DEMO)).of(descriptions(100))
    assert not children()


def killing(number: int) -> Callable[..., Any]:
    from metrics.measures.attributes.workers import _Worker

    parse_chunk = _Worker.parse

    def parse_after_death(worker: _Worker, chunk: list[str]) -> list[list[str]]:
        worker.process.send_signal(number)
        return parse_chunk(worker, chunk)

    return parse_after_death


@pytest.mark.processes
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whatever_ends_the_command_ends_its_processes(number: int, tmp_path: Path) -> None:
    path = references_file(tmp_path, descriptions(6000, share=1.0))
    code = "import metrics.measures.attributes.workers as p; p.cores = lambda: 2; p._has_gpu = lambda: False\n"
    code += "from metrics.__main__ import app; app()"
    command = [sys.executable, "-c", code, "attributes", str(path), "--stanza", str(DEMO), "--out", str(tmp_path / "v")]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    started: list[psutil.Process] = []
    deadline = time.monotonic() + 120
    while len(started) < 2:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
        started = psutil.Process(process.pid).children(recursive=True)
    time.sleep(0.5)
    process.send_signal(number)
    assert process.wait(60) != 0
    _, alive = psutil.wait_procs(started, timeout=30)
    assert not alive
    assert not (tmp_path / "v").exists()


def children() -> list[psutil.Process]:
    return [
        one
        for one in psutil.Process().children(recursive=True)
        if "metrics.measures.attributes.worker_main" in one.cmdline()
    ]
