"""The captions of an unfinished run: a journal of each process, from which a killed run continues."""

import errno
import json
import os
from glob import escape
from io import RawIOBase
from pathlib import Path
from typing import Any

from accelerate import PartialState
from accelerate.utils import broadcast_object_list

from metrics.common.errors import UserError
from metrics.common.files import read_bytes
from metrics.common.json_text import parse_json
from metrics.records.captions import CaptionRecord

Captions = dict[str, dict[str, Any]]


class Journals:
    """The finished batches of an unfinished run: a hidden file beside `out` for each process."""

    def __init__(self, out: Path, digest: str) -> None:
        self.own = out.with_name(f".{out.name}.{digest}.{PartialState().process_index}.partial")
        self._all = f".{escape(out.name)}.{digest}.*.partial"

    def read(self) -> Captions:
        """The captions in all of them, read by the first process and sent to each before any continues to write."""
        captions: list[Any] = [None]
        if PartialState().is_main_process:
            captions = [{key: one for path in self._paths() for key, one in _read_journal(path).items()}]
        return dict(broadcast_object_list(captions)[0])

    def remove(self) -> None:
        """Remove them all."""
        for path in self._paths():
            path.unlink(missing_ok=True)

    def _paths(self) -> list[Path]:
        return sorted(self.own.parent.glob(self._all))


def append_to_journal(journal: RawIOBase, captions: Captions) -> None:
    """Append captions; the journal is unbuffered, so that a full disk fails here."""
    lines = "".join(json.dumps({"id": key} | caption) + "\n" for key, caption in captions.items()).encode()
    try:
        if journal.write(lines) != len(lines):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        raise UserError(
            f"cannot write the captions: {error.strerror}; make room on the disk and start again: "
            "what is captioned is kept"
        ) from error


def _read_journal(path: Path) -> Captions:
    """Captions of an earlier, killed run; a line cut off by the kill is removed and done again."""
    whole = read_bytes(path).rpartition(b"\n")[0]
    try:
        rows = [parse_json(line) for line in whole.splitlines()]
        captions = {row.pop("id"): row for row in rows}
        for key, row in captions.items():
            CaptionRecord(key, **row)  # refuses what no record may have
    except (ValueError, AttributeError, KeyError, TypeError, UserError) as error:
        raise UserError(
            f"{path}: expected a caption a line, found damage ({error}); remove it and start again"
        ) from error
    os.truncate(path, len(whole) + 1 if whole else 0)
    return captions
