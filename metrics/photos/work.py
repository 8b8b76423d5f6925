"""How many pixels are decoded at once: threads that read large photos wait for each other."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_MOST = 200_000_000  # pixels; up to 12 bytes each while they become RGB


class Budget:
    """Pixels that may be at work in this process at once; a forked process has none of its parent's threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._start()
        os.register_at_fork(after_in_child=self._start)

    def _start(self) -> None:
        self._free, self._changed = self._most, threading.Condition()

    @contextmanager
    def spent(self, pixels: int) -> Iterator[None]:
        """Wait until so many pixels are free, and take them for the block; one photo alone may take more than all."""
        share = min(pixels, self._most)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= share)
            self._free -= share
        try:
            yield
        finally:
            with self._changed:
                self._free += share
                self._changed.notify_all()


DECODING = Budget(_MOST)
