"""Commands in processes of their own, forked from a server that has torch loaded: a second rather than ten each."""

import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Iterable
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    ["finetune.experiments.pipeline", "finetune.models.families.blip2", "finetune.models.families.llava"]
)


def _main(arguments: list[str], log: str, environment: dict[str, str]) -> None:
    from finetune.__main__ import app

    os.environ.update(environment)
    multiprocessing.set_start_method("fork", force=True)  # the default, which a child of a fork server does not inherit
    if "ACCELERATE_USE_FSDP" in environment:
        _let_fsdp_run_on_the_cpu()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.argv = ["finetune", *arguments]
    app(arguments, prog_name="python -m finetune")


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
    """`python -m finetune ARGUMENTS`, all that it prints in `log`."""
    process = CONTEXT.Process(target=_main, args=(list(arguments), str(log), {**os.environ, **environment}))
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


def finished(*arguments: str, log: Path, **environment: str) -> str:
    """What `python -m finetune ARGUMENTS`, which must succeed, printed."""
    codes = end([start(*arguments, log=log, **environment)], timeout=300)
    assert codes == [0], log.read_text()[-3000:]
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
    return [process.exitcode for process in processes]
