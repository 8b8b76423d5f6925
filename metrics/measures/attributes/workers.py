"""Captions parsed by Stanza: on the GPU if there is one, else by several single-threaded processes."""

import json
import tempfile
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from queue import SimpleQueue
from threading import Event, Thread

from metrics.common.errors import UserError
from metrics.common.parallel import cores, start_python
from metrics.measures.attributes.stanza_models import load_pipeline
from metrics.measures.attributes.worker_main import parse

Chunk = list[str]
Parsed = Generator[tuple[Chunk, list[list[str]]], None, None]
_CHUNK_CAPTIONS, _CHUNK_CHARACTERS = 128, 60_000
_CAPTIONS_A_PROCESS, _MOST_PROCESSES = 400, 16
_LOADING_SECONDS, _SECONDS_A_WORD = 600, 0.1  # a hundred times what a slow core takes


def parsed(captions: Sequence[str], source: str) -> Parsed:
    """Yield chunks of the captions with their lemmas as they are parsed; close the generator to end its processes.

    Raises:
        UserError: when the models cannot be loaded, or a process dies or does not answer.
    """
    if not captions:
        return
    chunks = _chunks(captions)
    gpu = _has_gpu()
    count = min(cores(), _MOST_PROCESSES, -(-len(captions) // _CAPTIONS_A_PROCESS))
    if not gpu and count > 1:
        yield from _by_processes(chunks, source, count)
        return
    pipeline = load_pipeline(source, gpu=gpu)
    for chunk in chunks:
        yield chunk, parse(pipeline, chunk)


def _by_processes(chunks: list[Chunk], source: str, count: int) -> Parsed:
    workers: list[_Worker] = []
    free: SimpleQueue[_Worker] = SimpleQueue()
    pool = ThreadPoolExecutor(count)
    try:
        for _ in range(count):
            workers.append(_Worker(source))
            free.put(workers[-1])
        running = {pool.submit(_by_any, free, chunk): chunk for chunk in chunks}
        yield from ((running[future], future.result()) for future in as_completed(running))
    finally:
        for worker in workers:
            worker.process.kill()
        pool.shutdown(cancel_futures=True)
        for worker in workers:
            worker.close()


def _by_any(free: "SimpleQueue[_Worker]", chunk: Chunk) -> list[list[str]]:
    worker = free.get()
    try:
        return worker.parse(chunk)
    finally:
        free.put(worker)


class _Worker:
    """A process of `worker_main`, which ends when this process does, however it ends."""

    def __init__(self, source: str) -> None:
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115
        self.silent_for = 0
        self.process = start_python("metrics.measures.attributes.worker_main", source, self.errors)

    def parse(self, chunk: Chunk) -> list[list[str]]:
        """Return the lemmas of each caption.

        Raises:
            UserError: with the end of its error output, when it died or was killed as it did not answer in time.
        """
        given, answers = self.process.stdin, self.process.stdout
        if given is None or answers is None:
            raise ValueError("the process has no pipes")
        answer, answered = b"", Event()
        Thread(target=self._watch, args=(answered, _patience(chunk)), daemon=True).start()
        try:
            given.write(json.dumps(chunk).encode() + b"\n")
            given.flush()
            answer = answers.readline()
        except BrokenPipeError:
            pass
        finally:
            answered.set()
        if not answer.endswith(b"\n"):
            raise UserError(self._obituary())
        lemmas: list[list[str]] = json.loads(answer)
        return lemmas

    def close(self) -> None:
        """Close its files, once it has ended."""
        self.process.communicate()
        self.errors.close()

    def _watch(self, answered: Event, seconds: int) -> None:
        for _ in range(seconds):  # one by one, so that time in which this process is stopped does not count
            if answered.wait(1):
                return
        self.silent_for = seconds
        self.process.kill()

    def _obituary(self) -> str:
        code = self.process.wait()
        self.errors.seek(0)
        last_lines = self.errors.read().decode("utf-8", "replace").strip().splitlines()[-5:]
        end = f"ended with exit code {code}"
        if self.silent_for:
            end = f"gave no answer for {self.silent_for} s; what was parsed is kept; run it again to resume"
        return "\n".join([f"a process of Stanza {end}", *last_lines])


def _patience(chunk: Chunk) -> int:
    return round(_LOADING_SECONDS + _SECONDS_A_WORD * sum(len(caption.split()) for caption in chunk))


def _chunks(captions: Sequence[str]) -> list[Chunk]:
    """Split into batches that fit in memory, whatever the captions' lengths."""
    chunks: list[Chunk] = []
    characters = _CHUNK_CHARACTERS
    for caption in captions:
        if characters + len(caption) > _CHUNK_CHARACTERS or len(chunks[-1]) == _CHUNK_CAPTIONS:
            chunks.append([])
            characters = 0
        chunks[-1].append(caption)
        characters += len(caption)
    return chunks


def _has_gpu() -> bool:
    import torch  # noqa: PLC0415

    return torch.cuda.is_available()
