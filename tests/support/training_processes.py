"""Commands in processes of their own, forked from a server that has torch loaded: a second rather than ten each.

So are the commands that they start. They compute METEOR with a short table. `test_pipeline` and `test_interruption` each have a
test that starts its processes as a user does.
"""

import gc
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from multiprocessing.context import ForkProcess
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
from short_meteor import write_short_meteor

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        "finetune.experiments.pipeline",
        "finetune.models.families.blip2",
        "finetune.models.families.llava",
        "metrics.measures.category.training",
    ]
)


@cache
def meteor_folder() -> tempfile.TemporaryDirectory[str]:
    """METEOR with a short table, removed when this process ends."""
    folder = tempfile.TemporaryDirectory()
    write_short_meteor(Path(folder.name))
    return folder


def run_logged(arguments: list[str], log: str, environment: Mapping[str, str], meteor: str) -> None:
    """`lookbook ARGUMENTS` in this process, all that it prints in `log`."""
    from finetune.runs import processes
    from metrics.measures.meteor import aligner

    gc.freeze()  # as in conftest.py
    processes.psutil = SimpleNamespace(Popen=_forked, NoSuchProcess=psutil.NoSuchProcess)  # type: ignore[assignment]
    aligner._folder = lambda: Path(meteor)
    multiprocessing.set_start_method("fork", force=True)  # the default, which a child of a fork server does not inherit
    if "ACCELERATE_USE_FSDP" in environment:
        _let_fsdp_run_on_the_cpu()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _write_to(log)
    _run(arguments, environment)


def _write_to(log: str) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)


def _run(arguments: list[str], environment: Mapping[str, str]) -> None:
    from metrics.cli import main

    given = dict(environment)
    os.environ.clear()
    os.environ.update(given)
    sys.argv = ["lookbook", *arguments]
    main()


def _forked(command: Sequence[str], env: Mapping[str, str] | None, **how: Any) -> "psutil.Popen | _Forked":
    """What `psutil.Popen` does; one of our own commands is forked from the one that starts it."""
    if command[:3] != [sys.executable, "-m", "finetune"]:
        return psutil.Popen(command, env=env, **how)
    process = _Forked(target=_run, args=(command[3:], os.environ if env is None else env))
    process.start()
    return process


class _Forked(ForkProcess):
    def wait(self) -> int | None:
        self.join()
        return self.exitcode


def _let_fsdp_run_on_the_cpu() -> None:
    """accelerate leaves FSDP out where the devices are CPUs (`AcceleratorState` asks for MULTI_GPU and its like);
    PyTorch's own works there by gloo. Nothing else is changed."""
    from accelerate import PartialState
    from accelerate.utils import DistributedType

    original = PartialState.__init__

    def renamed(self: PartialState, *args: object, **kwargs: object) -> None:
        original(self, *args, **kwargs)
        if self.distributed_type == DistributedType.MULTI_CPU:
            self.distributed_type = DistributedType.MULTI_GPU

    PartialState.__init__ = renamed


def start(*arguments: str, log: Path, **environment: str) -> BaseProcess:
    """`lookbook ARGUMENTS`, all that it prints in `log`."""
    given = (list(arguments), str(log), {**os.environ, **environment}, meteor_folder().name)
    process = CONTEXT.Process(target=run_logged, args=given)
    process.start()
    return process


def start_two(*arguments: str, log: Path, **environment: str) -> list[BaseProcess]:
    """Two processes of one training, as `accelerate launch` starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"ACCELERATE_USE_CPU": "true", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    shared |= {"LOCAL_WORLD_SIZE": "2"} | environment
    return [start(*arguments, log=log, RANK=str(rank), LOCAL_RANK=str(rank), **shared) for rank in range(2)]


def start_launched(*arguments: str, log: Path) -> BaseProcess:
    """As `accelerate launch` of one process: it starts `lookbook ARGUMENTS` and passes no signal on."""
    environment = {**os.environ, "ACCELERATE_MIXED_PRECISION": "no"}
    process = CONTEXT.Process(target=_launch, args=(list(arguments), str(log), environment, meteor_folder().name))
    process.start()
    return process


def _launch(*given: Any) -> None:
    process = _Forked(target=run_logged, args=given)
    process.start()
    process.wait()


def start_run_on_two(path: Path, *overrides: str, log: Path) -> BaseProcess:
    """What `lookbook run` does on two GPUs to train, here on the CPU, with a real `accelerate launch`."""
    process = CONTEXT.Process(target=_train_on_two, args=(path, overrides, str(log)))
    process.start()
    return process


def _train_on_two(path: Path, overrides: Sequence[str], log: str) -> None:
    from finetune.experiments import pipeline

    _write_to(log)
    os.environ["ACCELERATE_USE_CPU"] = "true"
    pipeline.torch.cuda.device_count = lambda: 2
    pipeline.launch_training(path, overrides)


def finished(*arguments: str, log: Path, code: int = 0, **environment: str) -> str:
    """What `lookbook ARGUMENTS`, which must end with that exit code, printed."""
    codes = end([start(*arguments, log=log, **environment)], timeout=300)
    assert codes == [code], log.read_text()[-3000:]
    return log.read_text()


def kill_all(processes: Iterable[BaseProcess]) -> None:
    """SIGKILL the processes and all that they have started."""
    for process in processes:
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.join()
        for child in children:
            child.kill()
        psutil.wait_procs(children)


def end(processes: list[BaseProcess], timeout: float = 120) -> list[int | None]:
    """Wait for all and return their exit codes."""
    for process in processes:
        process.join(timeout)
        if process.is_alive():
            process.kill()
            process.join()
            raise AssertionError(f"it did not end within {timeout:.0f} s")
    return [process.exitcode for process in processes]
