"""The output of `bench-recommend` on `embed`."""

from collections.abc import Sequence

from metrics.common.tables import WideTable, print_tables
from recommend.bench.embed_cost import EncodingTime, embed_memory, encoding_time
from recommend.bench.table import load

# Width and height of the photos, pixels of a side as the encoder sees them, minutes that 105,000 may take.
PHOTOS = (((360, 540), 128, 20), ((360, 540), 224, 45), ((1166, 1750), 224, None))
WHOLE = 105_000
MEGABYTES = 2_000


def print_embed(photos: int, rows: Sequence[int]) -> None:
    """Measure how long photos take, and how much memory `embed` takes for each number of rows; print the tables."""
    headings = ("at px", "photos", "photos a s", "wall ms a photo", "CPU ms a photo", f"min for {WHOLE:,}", "limit")
    table = WideTable(["efficientnet-lite0, JPEGs of"], headings)
    for size, side, limit in PHOTOS:
        table.add_row(*_cells(encoding_time(size, side, photos), limit))
    print_tables(table, load())
    memory = WideTable(["rows by embed"], ["peak MB", "limit", "s"])
    for count in rows:
        measured = embed_memory(count)
        memory.add_row(f"{count:,}", f"{measured.megabytes:,.0f}", f"{MEGABYTES:,}", f"{measured.seconds:.1f}")
    note = (
        "of 1,280 numbers: one batch of photos is encoded by efficientnet-lite0 at 224 px, then its rows are repeated"
    )
    print_tables(memory, note, load())


def _cells(time: EncodingTime, limit: int | None) -> tuple[str, ...]:
    wall, cpu = time.seconds / time.photos, time.cpu_seconds / time.photos
    return (
        " x ".join(map(str, time.size)),
        str(time.side),
        f"{time.photos:,}",
        f"{1 / wall:.1f}",
        f"{1000 * wall:.1f}",
        f"{1000 * cpu:.1f}",
        f"{WHOLE * wall / 60:.1f}",
        "" if limit is None else str(limit),
    )
