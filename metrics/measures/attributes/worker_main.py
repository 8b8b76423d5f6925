"""A process that parses captions: `python -m metrics.measures.attributes.worker_main MODELS`.

It reads a JSON list of captions a line, answers each with a line of their lemmas, and ends with its parent process.
"""

import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any, TextIO

from metrics.common.errors import user_errors
from metrics.measures.attributes.stanza_models import load_pipeline

KEPT_TAGS = frozenset({"NOUN", "ADJ", "PROPN"})


def parse(pipeline: Any, captions: Sequence[str]) -> list[list[str]]:
    """Return for each caption the lemmas of its nouns, adjectives and proper nouns, in order; one batch."""
    from stanza import Document  # noqa: PLC0415

    documents = pipeline([Document([], text=caption) for caption in captions])
    return [
        [word.lemma for sentence in document.sentences for word in sentence.words if word.upos in KEPT_TAGS]
        for document in documents
    ]


@user_errors()
def main(source: str) -> None:
    """Answer the lines of standard input. Nothing but answers goes to standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends this process
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="ascii")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin, lines), daemon=True).start()
    pipeline = load_pipeline(source)
    while True:
        print(json.dumps(parse(pipeline, json.loads(lines.get()))), file=answers, flush=True)


def _listen(given: TextIO, lines: "queue.SimpleQueue[str]") -> None:
    for line in given:
        lines.put(line)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
