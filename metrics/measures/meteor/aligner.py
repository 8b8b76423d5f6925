"""The official METEOR 1.5 jar, run on all cores: normal forms, alignments, powers."""

import re
import zipfile
from collections.abc import Callable, Iterable, Sequence, Set
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from metrics.common.errors import UserError
from metrics.common.parallel import cores, side_by_side
from metrics.measures.meteor.paraphrases import cut_table
from metrics.measures.statistics import Floats
from metrics.text.java import package_folder, run_all, run_jar

COLUMNS = 23
_JAR = "meteor-1.5.jar"
_TABLE = "data/paraphrase-en.gz"
# Short runs: compiling more than the first tier does not pay, and one collector thread leaves the other cores alone.
_OPTIONS = ("-Xmx2g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_METEOR = ("Meteor", "-", "-", "-l", "en", "-stdio")
_NORMALIZER = ("edu.cmu.meteor.util.Normalizer", "english", "true")
_FUNCTION_WORDS = "function/english.words"
_SECONDS = 300.0
_SECONDS_A_LINE = 0.1
_LINES_A_JVM = 1000
_SCALE = 2.0**80

Segments = tuple[str, ...]
# Java splits words at these alone.
_WORD = re.compile(r"[^ \t\n\r\f]+")
_PLAIN = re.compile(r"[a-z0-9à-öø-ž/% \-]*")
_SIGNS = re.compile(r"\W+")
_SIGN = re.compile(r"([/%])")
_HYPHEN = re.compile(r"([a-z0-9à-öø-ž])-([a-z0-9à-öø-ž])")


def align(lines: Sequence[Segments]) -> Floats:
    """Return METEOR's statistics, (n, 23), of n lines: references, one or more, then the hypothesis.

    They are those of the best-scoring reference. Repeated lines are aligned once, and a hypothesis that equals its only
    reference not at all: each word is matched exactly, in one chunk.

    Raises:
        UserError: when Java or the jar is missing, fails, takes too long or returns unexpected output.
    """
    folder = _folder()
    distinct = list(dict.fromkeys(lines))
    normal, table = _prepare(folder, sorted({text for segments in distinct for text in segments}))
    copies = np.array([len(segments) == 2 and normal[segments[0]] == normal[segments[1]] for segments in distinct])
    statistics = np.empty((len(distinct), COLUMNS))
    statistics[copies] = _copied([normal[distinct[number][0]] for number in np.flatnonzero(copies)], folder)
    others = [distinct[number] for number in np.flatnonzero(~copies)]
    ready = [" ||| ".join(("SCORE", *(normal[text] for text in segments))) for segments in others]
    statistics[~copies] = _score(folder, ready, table)
    place = {segments: number for number, segments in enumerate(distinct)}
    return statistics[[place[segments] for segments in lines]]


def powers(ratios: Sequence[tuple[float, float]], exponent: float) -> dict[tuple[float, float], float]:
    """Return `(numerator / denominator) ** exponent` as this machine's Java computes it, for each of `ratios`.

    A numerator is a whole number and a denominator a multiple of one half, as chunks and mean matches are.
    Java and the C library round one power in a thousand differently. The jar's own EVAL computes it here, with
    parameters that make the score of a perfect match 1 + 2^80 times the power, which is 2^80 times the power.
    """
    distinct = list(dict.fromkeys(ratios))
    if not distinct:
        return {}
    matched = "1 3 0 3 1 1 0 0" + " 0" * 12
    line = " ||| ".join(["EVAL", *(f"{matched} {over:.0f} {2 * under:.0f} 0" for over, under in distinct)])
    parameters = ("-m", "exact", "-p", f"0.5 {exponent!r} {-_SCALE!r} 0.75")
    text = f"{line}\n".encode()
    output = run_jar(_folder(), _JAR, (*_METEOR, *parameters), text, _limit(len(distinct)), _OPTIONS)
    scores = [float(score) for score in output.split()]
    if len(scores) != len(distinct) + 1:
        raise UserError(f"METEOR returned {len(scores) - 1} values for {len(distinct)}; no score can be trusted")
    return {ratio: score / _SCALE for ratio, score in zip(distinct, scores[:-1], strict=True)}


def _folder() -> Path:
    return package_folder("meteor", _JAR, _TABLE)


def _prepare(folder: Path, texts: Sequence[str]) -> tuple[dict[str, str], Path]:
    """Return the normal form of each text and the table for them, made side by side.

    The table is cut to the words of the texts as given, their pieces and signs; again if normal forms have others.
    """
    words = _words(texts)
    pieces = {piece for word in words for part in _SIGNS.split(word) for piece in (part, f"'{part}")}
    expected = words | pieces | {*"".join(words)}
    jobs: list[Callable[[], Any]] = [partial(_normalize, folder, texts), partial(cut_table, folder / _TABLE, expected)]
    normal, table = side_by_side(jobs)
    words = _words(normal.values())
    return normal, table if words <= expected else cut_table(folder / _TABLE, expected | words)


def _normalize(folder: Path, texts: Sequence[str]) -> dict[str, str]:
    """Return each text as METEOR's `-norm` writes it: by a rule if that is easy, else by the jar."""
    normal = {text: _plain(text) for text in texts if _PLAIN.fullmatch(text)}
    others = [text for text in texts if text not in normal]
    if others:
        given = "".join(f"{text}\n" for text in others).encode()
        output = run_jar(folder, _JAR, _NORMALIZER, given, _limit(len(others)), _OPTIONS).decode().split("\n")
        if len(output) != len(others) + 1:
            raise UserError(f"METEOR normalised {len(output) - 1} of {len(others)} texts; no score can be trusted")
        normal.update(zip(others, output[:-1], strict=True))
    return normal


def _plain(text: str) -> str:
    apart = _SIGN.sub(r" \1 ", text).replace("--", "-")
    return " ".join(_HYPHEN.sub(r"\1 \2", apart).split())


def _words(texts: Iterable[str]) -> Set[str]:
    return {word for text in texts for word in _WORD.findall(text.lower())}


def _copied(texts: Sequence[str], folder: Path) -> Floats:
    """Return the statistics, (n, 23), of texts aligned with themselves."""
    with zipfile.ZipFile(folder / _JAR) as jar:
        function_words = frozenset(jar.read(_FUNCTION_WORDS).decode("utf-8").split())
    statistics = np.zeros((len(texts), COLUMNS))
    for row, text in zip(statistics, texts, strict=True):
        words = _WORD.findall(text.lower())
        function = sum(word in function_words for word in words)
        row[:8] = np.repeat([len(words), function, len(words) - function, function], 2)
        row[20:] = min(len(words), 1), len(words), len(words)
    return statistics


def _score(folder: Path, lines: Sequence[str], table: Path) -> Floats:
    jvms = max(1, min(cores(), len(lines) // _LINES_A_JVM))
    shards = [lines[start::jvms] for start in range(jvms)]
    texts = ["".join(f"{line}\n" for line in shard).encode() for shard in shards]
    arguments = (*_METEOR, "-lower", "-a", str(table))
    outputs = run_all(folder, _JAR, arguments, texts, _limit(len(lines)), _OPTIONS) if lines else [b""]
    statistics = np.empty((len(lines), COLUMNS))
    for start, (shard, output) in enumerate(zip(shards, outputs, strict=True)):
        statistics[start::jvms] = _parse(output, len(shard))
    return statistics


def _parse(output: bytes, lines: int) -> Floats:
    values, output_lines = output.split(), output.count(b"\n")
    if output_lines != lines or len(values) != lines * COLUMNS:
        raise UserError(
            f"METEOR returned {output_lines} lines with {len(values)} values for {lines} captions of {COLUMNS} "
            "values; no score can be trusted"
        )
    return np.array(values, dtype=np.float64).reshape(lines, COLUMNS)


def _limit(lines: int) -> float:
    return _SECONDS + _SECONDS_A_LINE * lines
