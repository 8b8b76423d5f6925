"""Bars on a terminal, seldom lines in a log; --quiet and --verbose, which children inherit."""

import os
import sys
import time

import pytest

from metrics import UserError
from metrics.common import screen
from metrics.common.processes import child_environment
from metrics.common.screen import progress, say, verbosity


def work(seconds: float) -> float:
    """Something that shows its progress whenever it may, and prints in between; the seconds it took."""
    start = time.monotonic()
    with progress(None, "encoding", total=1000, unit="photo") as bar:
        while time.monotonic() < start + seconds:
            bar.update()
            bar.set_postfix_str("refreshed")
            bar.write("said")
            time.sleep(0.01)
    return time.monotonic() - start


def test_in_a_log_it_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screen, "LINE_SECONDS", 0.2)
    seconds = work(0.7)
    shown = capsys.readouterr().err
    assert 1 <= len(shown.splitlines()) <= seconds / 0.2
    assert "\r" not in shown
    assert all(line.startswith("encoding: ") and "/1000" in line for line in shown.splitlines())


def test_in_a_log_what_takes_less_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    work(0.05)
    assert list(progress([1, 2], "items")) == [1, 2]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("quiet", [False, True])
def test_on_a_terminal_it_is_a_bar_unless_quiet(
    quiet: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with verbosity(quiet=quiet):
        assert list(progress([1, 2], "items")) == [1, 2]
        say("on the way")
    shown = capsys.readouterr()
    assert ("\ritems: 100%" in shown.err, shown.out) == ((False, "") if quiet else (True, "on the way\n"))


def test_children_say_as_much_and_afterwards_all_is_as_before() -> None:
    before = dict(os.environ)
    with verbosity(verbose=True):
        assert child_environment()["TRANSFORMERS_VERBOSITY"] == "info"
        with verbosity():
            assert screen.is_verbose()
    with verbosity(quiet=True):
        assert child_environment()["HF_HUB_DISABLE_PROGRESS_BARS"] == "1"
        with verbosity():
            assert screen.is_quiet()
    assert os.environ == before
    with pytest.raises(UserError, match="give one of them"), verbosity(quiet=True, verbose=True):
        pass
