"""Lookbook against the official scorers: the same values, the time and the memory of both, side by side in one run."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from metrics.errors import UserError
from metrics.files import write_text
from metrics.java import find_java
from metrics.made_up import made_up_captions

Values = dict[str, list[float]]
PAIRS, ALL_PAIRS = 10_000, 101_225
_LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class Contest:
    """The same work done by Lookbook and by others, each in a process of its own that starts with an empty cache.

    Attributes:
        name: what is computed.
        inputs: takes a folder and the number of pairs, writes the inputs into it and says what they are.
        ours: takes the folder and returns each measure's values, the corpus's first, then the items'.
        theirs: the same, by the official scorers.
    """

    name: str
    inputs: Callable[[Path, int], str]
    ours: Callable[[Path], Values]
    theirs: Callable[[Path], Values]


@dataclass(frozen=True, slots=True)
class Run:
    """One side: wall seconds, seconds of CPU and MB of memory at the peak with all that it started, values."""

    seconds: float
    cpu_seconds: float
    megabytes: float
    values: Values


@dataclass(frozen=True, slots=True)
class Outcome:
    """Both sides of a contest over the same inputs."""

    contest: Contest
    inputs: str
    ours: Run
    theirs: Run

    @property
    def ratio(self) -> float:
        """How many times faster ours is."""
        return self.theirs.seconds / self.ours.seconds

    @property
    def different(self) -> list[str]:
        """The measures whose values, corpus or items, are not the same floats."""
        return [name for name, values in self.theirs.values.items() if self.ours.values.get(name) != values]


def write_pairs(folder: Path, pairs: int) -> str:
    """Write captions and references as `captions.jsonl`; return what they are."""
    records = made_up_captions(pairs)
    write_text(folder / "captions.jsonl", "".join(json.dumps(record) + "\n" for record in records))
    references = [record["references"][0] for record in records]
    words = sum(len(text.split()) for text in references) / pairs
    distinct = len({(record["caption"], record["references"][0]) for record in records}) / pairs
    return (
        f"{pairs:,} made-up captions, one reference each; references of {words:.1f} words, "
        f"{len(set(references)) / pairs:.0%} of them distinct (pairs: {distinct:.0%})"
    )


def our_scores(folder: Path) -> Values:
    """Score the pairs by Lookbook, without the intervals, which the official scorers do not have."""
    import numpy as np  # noqa: PLC0415

    from metrics.bleu import Bleu  # noqa: PLC0415
    from metrics.captions import read_records  # noqa: PLC0415
    from metrics.cider import Cider  # noqa: PLC0415
    from metrics.corpus import Corpus  # noqa: PLC0415
    from metrics.meteor import Meteor  # noqa: PLC0415
    from metrics.rouge import RougeL  # noqa: PLC0415
    from metrics.suite import _run  # noqa: PLC0415
    from metrics.systems import System  # noqa: PLC0415

    records = read_records(folder / "captions.jsonl")
    corpus = Corpus([System("captions", {record.id: record for record in records})], records)
    everything = np.arange(len(records))
    measured = [of_all[0] for _, of_all in _run([Bleu(), Meteor(), RougeL(), Cider()], corpus)]
    statistics = {name: one for found in measured for name, one in found.statistics.items()}
    return {name: [one.value(everything), *one.per_item.tolist()] for name, one in statistics.items()}


def pycocoevalcap_scores(folder: Path) -> Values:
    """Score the pairs as pycocoevalcap's `COCOEvalCap.evaluate` does, without SPICE."""
    from pycocoevalcap.bleu.bleu import Bleu  # noqa: PLC0415
    from pycocoevalcap.cider.cider import Cider  # noqa: PLC0415
    from pycocoevalcap.meteor.meteor import Meteor  # noqa: PLC0415
    from pycocoevalcap.rouge.rouge import Rouge  # noqa: PLC0415
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer  # noqa: PLC0415

    records = [json.loads(line) for line in (folder / "captions.jsonl").read_text(encoding="utf-8").splitlines()]
    tokenizer = PTBTokenizer()
    references = tokenizer.tokenize({r["id"]: [{"caption": text} for text in r["references"]] for r in records})
    captions = tokenizer.tokenize({r["id"]: [{"caption": r["caption"]}] for r in records})
    values: Values = {}
    bleu, of_items = Bleu(4).compute_score(references, captions)
    for order in range(4):
        values[f"BLEU-{order + 1}"] = [bleu[order], *of_items[order]]
    for name, scorer in (("METEOR", Meteor()), ("ROUGE-L", Rouge()), ("CIDEr", Cider())):
        score, of_items = scorer.compute_score(references, captions)
        values[name] = [float(score), *map(float, of_items)]
    return values


CONTESTS: Sequence[Contest] = (Contest("all but SPICE", write_pairs, our_scores, pycocoevalcap_scores),)


def bench(pairs: int, contests: Sequence[Contest] = CONTESTS) -> list[Outcome]:
    """Run both sides of every contest, one process after the other, and return what came of it.

    Raises:
        UserError: when a side fails, with the end of what it said.
    """
    outcomes = []
    for contest in contests:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            inputs = contest.inputs(folder, pairs)
            theirs, ours = (_measure(contest, side, folder) for side in ("theirs", "ours"))
            outcomes.append(Outcome(contest, inputs, ours, theirs))
    return outcomes


def _measure(contest: Contest, side: str, folder: Path) -> Run:
    work = getattr(contest, side)
    call = f"import sys, json, pathlib, {work.__module__} as m; folder = pathlib.Path(sys.argv[1]); "
    call += f"(folder / 'values.json').write_text(json.dumps(m.{work.__name__}(folder)))"
    environment = _environment() | {"LOOKBOOK_CACHE": str(folder / f"cache of {side}")}
    log = folder / f"{side}.log"
    start, used, peak = time.perf_counter(), _cpu_of_children(), 0
    command = [sys.executable, "-c", call, str(folder)]
    with log.open("wb") as out, _started(command, out, environment) as process:
        while process.poll() is None:
            peak = max(peak, _memory(process.pid))
            time.sleep(_LOOK_S)
    seconds = time.perf_counter() - start
    if process.returncode:
        said = log.read_text(encoding="utf-8", errors="replace").strip()
        raise UserError(f"{contest.name}: {side} failed with exit code {process.returncode}: {said[-2000:]}")
    cpu_seconds = _cpu_of_children() - used
    return Run(seconds, cpu_seconds, peak / 1e6, json.loads((folder / "values.json").read_text(encoding="utf-8")))


def _cpu_of_children() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _started(command: list[str], out: IO[bytes], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment)  # noqa: S603


def _environment() -> dict[str, str]:
    """The official scorers call `java` of the PATH, and read and write in the machine's encoding."""
    path = os.environ.get("PATH", "")
    if not shutil.which("java"):
        path = f"{find_java().parent}{os.pathsep}{path}"
    return {**os.environ, "PATH": path, "LC_ALL": "C.UTF-8"}


def _memory(pid: int) -> int:
    """Return the bytes of memory that a process and all it started hold; 0 where the system has no /proc."""
    try:
        resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        threads = [path for path in Path(f"/proc/{pid}/task").iterdir() if path.name != str(pid)]
        children += [child for path in threads for child in (path / "children").read_text().split()]
    except OSError:
        return 0
    return resident + sum(_memory(int(child)) for child in children)
