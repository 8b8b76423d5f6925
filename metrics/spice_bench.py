"""SPICE by Lookbook beside the jar as pycocoevalcap runs it, on made-up captions."""

import json
import os
import random
import subprocess
from collections.abc import Sequence
from pathlib import Path

from metrics.java import find_java
from metrics.spice import Item, ItemScores, read_scores, spice_per_item
from metrics.spice_install import jar_folder
from metrics.spice_java import JAR, module_options, spice_folder

_WORDS = (
    "a the soft cotton jersey dress with long sleeves and a round neckline two pockets wide leg trousers in woven "
    "fabric black blue printed front back zip at waist concealed button small red three large"
)


def made_up(pairs: int, distinct: float = 0.41, words: int = 24, seed: int = 7) -> list[Item]:
    """Return candidate and one reference of each of `pairs` items; a share of all captions is distinct."""
    draw = random.Random(seed)  # noqa: S311
    pool = [" ".join(draw.choices(_WORDS.split(), k=words)) for _ in range(round(2 * pairs * distinct))]
    texts = [*pool, *draw.choices(pool, k=2 * pairs - len(pool))]
    draw.shuffle(texts)
    return [(candidate, (reference,)) for candidate, reference in zip(texts[::2], texts[1::2], strict=True)]


def ours(items: Sequence[Item]) -> list[ItemScores]:
    """Score with what is cached in `cache_folder("spice", "parses")`."""
    return spice_per_item([candidate for candidate, _ in items], [references for _, references in items]).items


def as_shipped(items: Sequence[Item], folder: Path) -> list[ItemScores]:
    """Score as pycocoevalcap does, its files and its cache in `folder`, an existing one.

    Raises:
        CalledProcessError: when the jar fails.
    """
    given, scores, cache = folder / "in.json", folder / "out.json", folder / "cache"
    cache.mkdir(exist_ok=True)
    rows = [{"image_id": n, "test": test, "refs": list(texts)} for n, (test, texts) in enumerate(items)]
    given.write_text(json.dumps(rows, indent=2), encoding="ascii")
    java, jar = find_java(), spice_folder() / JAR
    command = [str(java), *module_options(java), "-Xmx8G", "-cp", os.pathsep.join((str(jar), str(jar_folder() / "*")))]
    options = [str(given), "-cache", str(cache), "-out", str(scores), "-subset", "-silent"]
    subprocess.run([*command, "edu.anu.spice.SpiceScorer", *options], capture_output=True, check=True)  # noqa: S603
    found = read_scores(scores.read_text(encoding="utf-8"))
    return [found[number] for number in range(len(items))]
