"""Time and memory of `embed`, each measured in a process of its own, since the process that searches imports faiss."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from finetune.config.command_line import needs_train
from metrics.common.drafts import temporary_folder
from metrics.common.errors import UserError
from metrics.common.processes import child_environment, end_with_starter, peak_megabytes, python_module

_DEVICE = "cpu"
_FILES = 64  # photos on disk; more are these again
_GRAIN = 10  # pixels of a patch of one colour in a made-up photo
_SEED = 42


@dataclass(frozen=True)
class EncodingTime:
    """How long efficientnet-lite0 takes for photos on disk, decoding included; it is loaded and warm.

    Attributes:
        size: width and height of the photos.
        side: pixels of a side as the encoder sees them.
        photos: how many.
        seconds: of them all.
        cpu_seconds: of all threads.
    """

    size: tuple[int, int]
    side: int
    photos: int
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class EmbedMemory:
    """What writing a store takes: the peak memory of the process, the encoder among it, and seconds."""

    megabytes: float
    seconds: float


def encoding_time(size: tuple[int, int], side: int, photos: int) -> EncodingTime:
    """Encode made-up JPEGs of this size."""
    with temporary_folder() as folder:
        write_photos(folder, size, min(photos, _FILES))
        found = _in_a_process({"folder": str(folder), "side": side, "photos": photos})
    return EncodingTime(size, side, photos, found["seconds"], found["cpu_seconds"])


def embed_memory(rows: int) -> EmbedMemory:
    """Write a store of so many rows of 1,280 numbers by `embed`."""
    with temporary_folder() as folder:
        return EmbedMemory(**_in_a_process({"folder": str(folder), "rows": rows}))


def write_photos(folder: Path, size: tuple[int, int], count: int) -> None:
    """Write `count` JPEGs of coloured patches that flow into each other, named by number; the same each time."""
    draw = np.random.default_rng(_SEED)
    width, height = size
    for number in range(count):
        patches = draw.integers(0, 256, (height // _GRAIN, width // _GRAIN, 3), dtype=np.uint8)
        photo = Image.fromarray(patches).resize(size, Image.Resampling.BICUBIC)
        photo.save(folder / f"{number}.jpg", quality=90)


def _in_a_process(request: dict[str, Any]) -> dict[str, float]:
    cache = str(Path(request["folder"]) / "cache")
    done = subprocess.run(  # noqa: S603
        python_module("recommend.bench.embed_cost"),
        input=json.dumps(request),
        text=True,
        capture_output=True,
        env=child_environment(LOOKBOOK_CACHE=cache),
        check=False,
    )
    if done.returncode:
        raise UserError(f"embed failed with exit code {done.returncode}: {done.stderr.strip()[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def encode_photos(files: Sequence[Path], side: int) -> dict[str, float]:
    """Encode photos as `embed` does on a CPU; seconds and CPU seconds."""
    from finetune.embedding.encoding import default_batch, encoded  # noqa: PLC0415  # PyTorch
    from finetune.embedding.items import StoredPhoto  # noqa: PLC0415
    from finetune.models.encoders import load_encoder  # noqa: PLC0415

    encoder = load_encoder("efficientnet-lite0", _DEVICE, resolution=side)
    batch = default_batch(_DEVICE)
    rows = [{"image": {"path": str(file), "bytes": None}} for file in files]
    photos = {str(row): StoredPhoto(rows, row, "") for row in range(len(rows))}
    warm = {key: photos[key] for key in list(photos)[:batch]}
    for _ in encoded(encoder, warm, batch):
        pass
    start, used = time.perf_counter(), time.process_time()
    for _ in encoded(encoder, photos, batch):
        pass
    return {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - used}


def embed_rows(rows: int, out: Path) -> EmbedMemory:
    """Write a store by `embed`: the first batch of photos is encoded, its rows are repeated for all others."""
    from finetune.embedding.embed import about_of, embed  # noqa: PLC0415  # PyTorch
    from finetune.embedding.encoding import default_batch  # noqa: PLC0415
    from finetune.embedding.items import Work  # noqa: PLC0415
    from recommend.bench.repeated import RepeatedPhoto, Repeating  # noqa: PLC0415

    start = time.perf_counter()
    encoder = Repeating()
    work = Work({str(row): RepeatedPhoto(None, row, str(row)) for row in range(rows)})
    embed(encoder, work, about_of(encoder, work, "made-up", None, None), out, batch_size=default_batch(_DEVICE))
    return EmbedMemory(peak_megabytes(os.getpid()), time.perf_counter() - start)


def measured(request: dict[str, Any]) -> dict[str, float]:
    """What a request of `encoding_time` or `embed_memory` asks for, measured in this process."""
    folder = Path(request["folder"])
    if "rows" in request:
        return asdict(embed_rows(request["rows"], folder / "store"))
    files = sorted(folder.glob("*.jpg"))
    wanted = [files[number % len(files)] for number in range(request["photos"])]
    return encode_photos(wanted, request["side"])


@needs_train
def main() -> None:
    """Measure what standard input asks for, and print it as JSON."""
    end_with_starter()
    print(json.dumps(measured(json.load(sys.stdin))))


if __name__ == "__main__":
    main()
