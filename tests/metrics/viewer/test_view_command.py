"""The command view: what it starts, what it refuses, and the index that it keeps."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copytree
from urllib.request import urlopen

import pytest
from scored_folders import write_scored
from typer.testing import CliRunner
from viewer_pages import Pages, item

from metrics.__main__ import app
from metrics.common.processes import child_environment, python_module

pytest.importorskip("starlette", reason="the extra `view` is not installed")


def refusal(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["view", *map(str, arguments)])
    assert result.exit_code == 2, result.output
    [line] = result.stderr.splitlines()
    return line


def scores(folder: Path, count: int = 3, system: str = "a", **changes: object) -> Path:
    items = [{**item(number), **changes} for number in range(count)]
    return write_scored(folder, items, {system: ["a dress"] * count}, {"CIDEr": [[0.5] * count]})


@contextmanager
def serving(*arguments: object) -> Iterator["subprocess.Popen[str]"]:
    command = python_module("metrics", "view", *map(str, arguments))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env=child_environment(), **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.processes
@pytest.mark.slow
def test_it_serves_until_it_is_interrupted(scored: Path) -> None:
    with serving(scored, "--port", 0) as process:
        url = process.stdout.readline().split()[0]
        assert url.startswith("http://127.0.0.1:")
        with urlopen(url + "items") as page:  # noqa: S310
            assert page.status == 200
        port = url.rstrip("/").rpartition(":")[2]
        assert f"error: cannot listen on port {port} of 127.0.0.1: Address already in use" in refusal(
            scored, "--port", port
        )
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")


def test_folders_that_score_did_not_write(tmp_path: Path) -> None:
    assert f"{tmp_path}/no: expected a folder that `lookbook score` wrote, found no such folder" in refusal(
        tmp_path / "no"
    )
    assert "has no report.json" in refusal(tmp_path)
    assert "found a file" in refusal(__file__)
    old = scores(tmp_path / "old")
    (old / "scored-references.jsonl").unlink()
    assert "has no scored-references.jsonl; score the captions again with `lookbook score`" in refusal(old)
    assert "--images: expected a recipe, or the folder" in refusal(old, "--images", tmp_path / "no")


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scoring of three items, not to be changed."""
    return scores(tmp_path_factory.mktemp("three") / "scores")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("items.jsonl", lambda text: text[:-20], "items.jsonl:3: not JSON"),
        ("items.jsonl", lambda text: text[: text.rindex('{"id"')], "items.jsonl: expected 3 lines, 3 items by each system; found 2"),
        ("items.jsonl", lambda text: text + text, "items.jsonl:4: expected 3 lines"),
        ("items.jsonl", lambda text: text.replace('"id": "001"', '"id": "002"'), "items.jsonl:2: expected id '001' of system 'a', found"),
        ("items.jsonl", lambda text: text.replace('"system": "a"', '"system": "b"'), "items.jsonl:1: expected id '000' of system 'a'"),
        ("items.jsonl", lambda text: text.replace('"CIDEr": 0.5', '"CIDEr": "0.5"'), 'items.jsonl:1: "CIDEr" must be a finite number or null'),
        ("items.jsonl", lambda text: text.replace('"CIDEr": 0.5', '"CIDEr": NaN'), 'items.jsonl:1: "CIDEr" must be a finite number or null'),
        ("items.jsonl", lambda text: text.replace('"a dress"', "7"), 'items.jsonl:1: "caption" must be a string'),
        ("items.jsonl", lambda text: "[]\n" + text, "items.jsonl:1: expected a JSON object, found list"),
        ("items.jsonl", lambda text: "[" * 10**5, "items.jsonl:1: not JSON"),
        ("scored-references.jsonl", lambda text: text[:-20], "scored-references.jsonl:3: not JSON"),
        ("scored-references.jsonl", lambda text: text.replace("001", "000"), "scored-references.jsonl:2: id"),
        ("scored-references.jsonl", lambda text: "", "scored-references.jsonl: the file is empty"),
        ("report.json", lambda text: text[:-20], "report.json: expected a JSON object, found damaged text"),
        ("report.json", lambda text: "{}", "report.json: expected systems and measures, found none"),
        ("report.json", lambda text: text.replace('"CIDEr"\n', "7\n"), 'report.json: "measures" must be a list of strings'),
    ],
)  # fmt: skip
def test_damaged_files_are_named_with_their_line(
    three: Path, tmp_path: Path, name: str, change: Callable[[str], str], message: str
) -> None:
    folder = copytree(three, tmp_path / "scores")
    text = (folder / name).read_text(encoding="utf-8")
    assert change(text) != text
    (folder / name).write_text(change(text), encoding="utf-8")
    assert message in refusal(folder)
    assert not [*Path(os.environ["LOOKBOOK_CACHE"]).rglob("*.sqlite*")]


def test_scorings_of_the_same_items_are_joined(tmp_path: Path, open_pages: Callable[..., Pages]) -> None:
    one = scores(tmp_path / "one", seen=None)
    items = [item(number) for number in (2, 0, 1)]  # in another order
    more = {"a": ["other dress"] * 3, "b": ["blue"] * 3}
    two = write_scored(tmp_path / "two", items, more, {"METEOR": [[0.2, 0.0, 0.1], [0.9] * 3]})
    pages = open_pages(one, two)
    assert pages.ids("") == [0, 1, 2]
    text = pages.text("/item?id=001")
    assert "a 50.0 – a (2) – 10.0 b – 90.0" in text
    assert "a dress" in text
    assert "other dress" in text
    assert pages.ids("slice=seen") == [0, 2]  # as the second says
    assert pages.ids("measure=METEOR&sort=METEOR&system=a+(2)") == [2, 1, 0]
    assert pages.ids("q=other") == [0, 1, 2]


def test_scorings_of_other_items_are_refused(tmp_path: Path) -> None:
    one = scores(tmp_path / "one")
    for number, other in enumerate(
        (
            scores(tmp_path / "fewer", count=2),
            scores(tmp_path / "more", count=4),
            scores(tmp_path / "reworded", references=["another text"]),
        )
    ):
        message = refusal(one, other)
        assert str(one) in message
        assert str(other) in message
        assert ("id '002' is not in both", "id '003' is not in both", "id '000' has other references")[
            number
        ] in message


def test_the_index_is_made_once_for_the_same_files(tmp_path: Path, open_pages: Callable[..., Pages]) -> None:
    folder = scores(tmp_path / "scores")
    open_pages(folder)
    [index] = Path(os.environ["LOOKBOOK_CACHE"], "viewer").iterdir()
    made = index.stat().st_mtime_ns
    folder = folder.rename(tmp_path / "elsewhere")
    assert f"From {folder}." in open_pages(folder).text("/")
    assert index.stat().st_mtime_ns == made
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    (folder / "report.json").write_text(json.dumps({**report, "title": "Other"}), encoding="utf-8")
    assert "Other" in open_pages(folder).text("/")
    assert len([*index.parent.iterdir()]) == 2


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0 but cut", b"text" * 1000])
def test_a_damaged_index_is_made_again(three: Path, open_pages: Callable[..., Pages], content: bytes) -> None:
    open_pages(three)
    [index] = Path(os.environ["LOOKBOOK_CACHE"], "viewer").iterdir()
    index.write_bytes(content or index.read_bytes()[:5000])
    assert open_pages(three).ids("") == [0, 1, 2]


def test_a_cache_that_cannot_be_written(three: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LOOKBOOK_CACHE", str(tmp_path / "file"))
    assert "name another cache folder by LOOKBOOK_CACHE" in refusal(three)


def test_the_missing_extra_is_named(scored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert refusal(scored) == "error: uvicorn not installed, run: pip install 'lookbook-captions[view]'"


@pytest.mark.parametrize("port", ["70000", "-1", "http"])
def test_ports_that_are_none(scored: Path, port: str) -> None:
    assert CliRunner().invoke(app, ["view", str(scored), "--port", port]).exit_code == 2


def test_a_port_in_use(scored: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"cannot listen on port {port} of 127.0.0.1" in refusal(scored, "--port", port)
        assert refusal(scored, "--port", port).endswith("give another one by --port")
