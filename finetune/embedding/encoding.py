"""Rows of items, batch by batch; photos are decoded by threads while the batch before is encoded."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune.embedding.items import PhotoFile, Source, StoredPhoto
from finetune.embedding.texts import Text
from finetune.models.encoders.base import Encoder
from metrics.common.parallel import cores

Rows = NDArray[np.float32]
_BATCH = 32
_CPU_BATCH = 4  # photos; the C library hands memory of tensors above 32 MB back after each use, which costs a third
_AHEAD = 2  # batches that are decoded before the first of them is encoded


def default_batch(device: str, of_photos: bool = True) -> int:
    """How many items are encoded at once on a device of torch's name: 32, or 4 photos on a CPU."""
    return _CPU_BATCH if of_photos and device == "cpu" else _BATCH


def encoded(encoder: Encoder, sources: Mapping[str, Source], size: int) -> Iterator[tuple[list[str], Rows]]:
    """Ids and rows (n, *shape) of all items, at most `size` at a time. Raises `UserError` naming a broken photo."""
    texts = {key: one.text for key, one in sources.items() if isinstance(one, Text)}
    for keys in _batches(list(texts), size):
        yield keys, encoder.encode_texts([texts[key] for key in keys])
    photos = {key: one for key, one in sources.items() if not isinstance(one, Text)}
    for keys, pixels in _decoded(encoder, photos, size):
        yield keys, encoder.encode_pixels(pixels)


def _decoded(
    encoder: Encoder, photos: Mapping[str, StoredPhoto | PhotoFile], size: int
) -> Iterator[tuple[list[str], list[Any]]]:
    def read(key: str) -> Any:
        return encoder.pixels(photos[key].read(key, encoder.side))

    waiting: deque[tuple[list[str], list[Future[Any]]]] = deque()
    with ThreadPoolExecutor(cores()) as pool:
        try:
            for keys in _batches(list(photos), size):
                waiting.append((keys, [pool.submit(read, key) for key in keys]))
                if len(waiting) == _AHEAD:
                    first, pixels = waiting.popleft()
                    yield first, [one.result() for one in pixels]
            for last, pixels in waiting:
                yield last, [one.result() for one in pixels]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _batches(keys: Sequence[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(keys), size):
        yield list(keys[start : start + size])
