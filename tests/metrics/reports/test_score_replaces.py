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
def test_what_others_put_into_our_folder_later_stays(command: str, captions: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(command, captions, out)[0] == 0
    (out / COMMANDS[command]).write_text("theirs")
    (out / "notes.txt").write_text("theirs")
    before = contents(out)
    code, message = run(command, captions, out)
    assert (code, contents(out)) == (2, before)
    assert f"did not write there: {COMMANDS[command]}; give another --out" in message


def test_items_of_others_are_not_taken_for_ours(captions: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("score", captions, out)[0] == 0
    (out / "items.jsonl").write_text('{"system": "You are a shop assistant."}')
    (out / "scored-references.jsonl").write_text('{"references": ["A coat."]}')
    assert "did not write there: items.jsonl, scored-references.jsonl;" in run("score", captions, out)[1]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("beside", [True, False], ids=["with other captions", "alone"])
def test_captions_may_lie_where_the_pages_go(
    command: str, beside: bool, captions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In whatever form and under whatever name, and so may the references."""
    own, folder = captions.rename(captions.with_name("my[1].jsonl")), captions.parent
    references = folder / "refs.csv"
    references.write_text("id,caption\n" + "".join(f"0{n:03d},{reference(n)}\n" for n in range(6)))
    if beside:
        (folder / "captions.csv").write_text("id,caption\n")
    monkeypatch.chdir(folder)
    assert run(command, own, Path(), "--references", references) == (0, "")
    assert run(command, own, folder, "--references", references)[0] == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_read_is_not_replaced(command: str, captions: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(command, captions, out)[0] == 0
    page = out / COMMANDS[command]
    page.unlink()
    page.symlink_to(captions)
    code, message = run(command, captions, out)
    assert (code, f"would replace {captions}, which is read" in message) == (2, True)
