"""The order of training items: a function of seed, epoch and step alone, on any number of processes."""

import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from finetune.runs.processes import ENDING
from finetune.training.augmentation import Augmenter
from metrics.photos.colours import to_rgb


@dataclass(frozen=True)
class Place:
    """A row of the training split in an epoch; `idle` if it only gives a batch to a process that would have none."""

    row: int
    epoch: int
    idle: bool = False


class TrainingOrder(Sampler[list[Place]]):
    """The micro-batches of one process.

    An epoch is a permutation drawn from seed + epoch, an optimizer step the next `batch_size` items of it, distributed
    over processes and micro-batches of at most `micro`. The last step takes what is left, each item once; a process
    that would have none then gets one whose labels are all masked.
    """

    def __init__(self, items: int, batch_size: int, micro: int, seed: int, processes: int = 1, process: int = 0):
        self.items, self.batch_size, self.micro, self.seed = items, batch_size, micro, seed
        self.processes, self.process = processes, process
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration."""
        self.epoch = epoch

    @property
    def steps(self) -> int:
        """Optimizer steps of an epoch."""
        return ceil(self.items / self.batch_size)

    def __len__(self) -> int:
        last = self.items - (self.steps - 1) * self.batch_size
        return (self.steps - 1) * self._turns(self.batch_size) + self._turns(last)

    def __iter__(self) -> Iterator[list[Place]]:
        order = self._order(self.epoch)
        for first in range(0, self.items, self.batch_size):
            rows = order[first : first + self.batch_size]
            for turn in range(self._turns(len(rows))):
                start = (turn * self.processes + self.process) * self.micro
                mine = [Place(row, self.epoch) for row in rows[start : start + self.micro]]
                yield mine or [Place(rows[0], self.epoch, idle=True)]

    def rows_of(self, step: int) -> list[int]:
        """The rows of an optimizer step, counted from the start of training."""
        epoch, step = divmod(step, self.steps)
        return self._order(epoch)[step * self.batch_size : (step + 1) * self.batch_size]

    def _order(self, epoch: int) -> list[int]:
        generator = torch.Generator().manual_seed(self.seed + epoch)
        return list(torch.randperm(self.items, generator=generator).tolist())

    def _turns(self, items: int) -> int:
        return ceil(items / (self.micro * self.processes))


class TrainingItems(Dataset[dict[str, Any]]):
    """Rows by their place; photos are changed by a draw from (seed, epoch, row), in any process and at any time."""

    def __init__(self, rows: Sequence[Mapping[str, Any]], augmenter: Augmenter | None, seed: int):
        self.rows, self.augmenter, self.seed = rows, augmenter, seed

    def __getitem__(self, place: Place) -> dict[str, Any]:
        row = dict(self.rows[place.row])
        if self.augmenter:
            draw = np.random.default_rng((self.seed, place.epoch, place.row)).random(4)
            row["image"] = self.augmenter(to_rgb(row["image"]), draw.tolist())
        return row | {"idle": place.idle}


class TrainingBatches(DataLoader[Any]):
    """A data loader that passes the epoch on to its order."""

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration."""
        self.batch_sampler.set_epoch(epoch)  # type: ignore[union-attr]


def ignore_signals(_: int) -> None:
    """Let a worker process of a data loader outlive a signal to end: the current step needs its batch."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
