"""Tasks side by side: what fails first is seen, its neighbours' programs end, and nobody else's."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from metrics import UserError
from metrics.common.parallel import ended_with_block, how_it_ended, side_by_side


def program(seconds: float, started: threading.Event) -> str:
    """Run a program and say how it ended."""
    with subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({seconds})"]) as process:
        with ended_with_block(process):
            started.set()
            code = process.wait()
        return how_it_ended(code) if code else "well"


def fail(after: threading.Event) -> str:
    assert after.wait(30)
    raise UserError("the first failure")


@pytest.mark.processes
@pytest.mark.parametrize("nested", [False, True])
def test_a_failure_ends_the_programs_of_its_neighbours(nested: bool) -> None:
    started, messages = threading.Event(), []

    def task() -> str:
        run = partial(program, 60, started)
        messages.append(side_by_side([run])[0] if nested else run())
        raise UserError("a later failure")

    with pytest.raises(UserError, match="the first failure"):
        side_by_side([task, partial(fail, started)])
    assert messages == ["was ended because another measure failed or the run was interrupted"]


@pytest.mark.processes
def test_a_failure_leaves_the_programs_of_other_calls_alone() -> None:
    started = threading.Event()
    with ThreadPoolExecutor() as pool:
        other = pool.submit(side_by_side, [partial(program, 2, started)])
        with pytest.raises(UserError, match="the first failure"):
            side_by_side([partial(fail, started)])
        assert other.result() == ["well"]


@pytest.mark.processes
def test_a_program_killed_from_outside_may_have_had_too_little_memory() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        process.kill()
    assert sys.platform == "win32" or "when memory runs out" in how_it_ended(process.returncode)
