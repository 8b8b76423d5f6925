"""METEOR's real jar beside a short table of paraphrases, which is quick to cut; test_golden has the full one."""

import gzip
import shutil
from pathlib import Path

from metrics.measures.meteor import aligner

PARAPHRASES = [("qwd qwe", "qwf"), ("soft", "smooth"), ("qwf", "qwd qwe")]


def write_short_meteor(folder: Path) -> Path:
    """Write both to the folder."""
    shutil.copy(aligner._folder() / aligner._JAR, folder)
    entries = "".join(f"0.5\n{phrase}\n{other}\n" for phrase, other in PARAPHRASES)
    (folder / aligner._TABLE).parent.mkdir()
    (folder / aligner._TABLE).write_bytes(gzip.compress(entries.encode()))
    return folder
