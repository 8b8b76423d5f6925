"""Ratings as a table, CSV, that spreadsheets may open."""

import csv
import io
from collections.abc import Iterable
from dataclasses import astuple, fields
from pathlib import Path

from metrics.common.errors import UserError
from metrics.common.files import atomic_writer
from metrics.records.spreadsheets import guarded
from metrics.viewer.ratings.store import Rating

HEADINGS = tuple(field.name for field in fields(Rating))


def to_csv(ratings: Iterable[Rating]) -> str:
    """Return a heading and a row a rating (RFC 4180): item, system, rater, rating, note, blind (0 or 1), time,
    caption_sha256.

    Text that a spreadsheet would take for a formula has an apostrophe in front (`guarded`).
    """
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(HEADINGS)
    for one in ratings:
        writer.writerow(map(_cell, astuple(one)))
    return table.getvalue()


def write_csv(ratings: Iterable[Rating], out: Path, overwrite: bool = False) -> None:
    """Write `to_csv` to a new file, or in the place of one whose first line is that of an earlier export.

    Raises:
        UserError: when `out` is any other file, unless to `overwrite`, or cannot be read or written.
    """
    heading = ",".join(HEADINGS)
    earlier = ",".join(HEADINGS[:-1])  # before captions had digests
    if out.exists() and not overwrite:
        try:
            with out.open("rb") as file:
                first = file.readline(len(heading) + 2).rstrip()
        except OSError as error:
            raise UserError(f"cannot read {out}: {error.strerror}; give another --out") from error
        if first not in (heading.encode(), earlier.encode()):
            raise UserError(
                f"{out}: exists, and its first line is not {heading}; give another --out, or add --overwrite"
            )
    with atomic_writer(out) as handle:
        handle.write(to_csv(ratings))


def _cell(value: str | int | None) -> str | int | None:
    if isinstance(value, str):
        return guarded(value)
    return None if value is None else int(value)
