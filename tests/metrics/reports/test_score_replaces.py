"""What `score` and `compare` replace: their own files, all or none; never those of others, nor what they read."""

from pathlib import Path

import pytest
from caption_files import reference, row, write_system
from full_disk import largest_file
from typer.testing import CliRunner

from metrics.__main__ import app

pytestmark = pytest.mark.java
COMMANDS = {"score": "report.html", "compare": "comparison.html"}


def run(command: str, captions: Path, out: Path, *options: object) -> tuple[int, str]:
    arguments = [command, captions, "--measure", "ROUGE-L", "--out", out, *options]
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert "Traceback" not in result.output
    return result.exit_code, result.stderr


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    return write_system(tmp_path / "mine", [row(n, reference(n), reference(n)) for n in range(6)])


@pytest.mark.parametrize(("command", "page"), COMMANDS.items())
def test_a_full_disk_leaves_the_former_files_as_they_were(
    command: str, page: str, captions: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert run(command, captions, out)[0] == 0
    before = contents(out)
    write_system(captions.parent, [row(n, "another caption", reference(n)) for n in range(6)])
    with largest_file(len(before[page]) // 2):  # enough for the JSON, not for the page
        code, message = run(command, captions, out)
    assert (code, f"cannot write {out / page}: File too large" in message) == (2, True)
    assert contents(out) == before
    assert run(command, captions, out)[0] == 0
    assert contents(out)[page] != before[page]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_of_others_stays_as_it_is(command: str, captions: Path, tmp_path: Path) -> None:
    out = tmp_path / "theirs"
    out.mkdir()
    (out / "thesis.tex").write_text("theirs")
    (out / f"{COMMANDS[command].partition('.')[0]}.md").write_text("theirs")
    before = contents(out)
    code, message = run(command, captions, out)
    assert (code, contents(out)) == (2, before)
    assert "did not write there: " in message and "thesis.tex; give another --out" in message


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_read_is_not_replaced(command: str, captions: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(command, captions, out)[0] == 0
    page = out / COMMANDS[command]
    page.unlink()
    page.symlink_to(captions)
    code, message = run(command, captions, out)
    assert (code, f"would replace {captions}, which is read" in message) == (2, True)
