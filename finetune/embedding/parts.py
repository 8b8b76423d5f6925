"""The parts of a store that is being made, one of each process and of each killed run before."""

import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from accelerate import PartialState
from accelerate.utils import broadcast_object_list

from finetune.data.feature_cache import FeatureStore
from finetune.data.feature_files import About, Dtype, remove_store
from finetune.data.feature_writer import FeatureWriter
from finetune.embedding.join import copy_rows
from finetune.embedding.texts import TEXTS
from finetune.models.encoders.base import LEARNT
from metrics.common.errors import UserError
from metrics.common.locks import alone

WriteBeside = Callable[[Path, Sequence[str]], None]


class Parts:
    """Numbered stores in a hidden folder beside `out`, all of the same features."""

    def __init__(self, out: Path, about: About, shape: tuple[int, ...], dtype: Dtype) -> None:
        self.out, self.about, self.shape, self.dtype = out, about, shape, dtype
        self.folder = out.with_name(f".{out.name}.parts")

    def locked(self) -> AbstractContextManager[None]:
        """Wait until no other run makes the same store."""
        return alone(self.folder, f"waiting for another process that makes {self.out}")

    def path(self, number: int) -> Path:
        """Where a part is."""
        return self.folder / str(number)

    def recover(self, ids: Sequence[str]) -> tuple[set[str], int]:
        """The ids that parts of earlier runs have, and the number of the next part; the first process finds out.

        Raises `UserError` if the parts are of other features, or of items that are not among `ids`.
        """
        found: list[Any] = [None]
        if PartialState().is_main_process:
            for draft in self.folder.glob(".*.partial"):
                self._finish(self.folder / draft.name.removeprefix(".").removesuffix(".partial"))
            done = {key for part in self._finished() for key in part.ids}
            self._refuse_others(done.difference(ids))
            found = [(done, max((int(part.path.name) for part in self._finished()), default=0) + 1)]
        done, number = broadcast_object_list(found)[0]
        return done, number

    def join(self, write_beside: WriteBeside) -> None:
        """Make the store of all parts; `write_beside` writes what belongs beside the rows of its ids into a folder."""
        parts = self._finished()
        if len(parts) == 1:
            write_beside(parts[0].path, parts[0].ids)
            parts[0].path.rename(self.out)
        else:
            with FeatureWriter(self.out, self.about, self.shape, self.dtype) as writer:
                for part in parts:
                    copy_rows(part, writer)
                write_beside(writer.draft, writer.ids)
                writer.finish()

    def remove(self) -> None:
        """Remove the parts, whose rows are in the store."""
        if self.folder.exists():
            for part in self._finished():
                remove_store(part.path, TEXTS, LEARNT)
            with suppress(OSError):  # if somebody else has put something there, it stays
                self.folder.rmdir()

    def _finish(self, path: Path) -> None:
        """Make a part of what a killed process has written."""
        with FeatureWriter(path, self.about, self.shape, self.dtype) as writer:
            if writer.ids:
                writer.finish()
            else:
                shutil.rmtree(writer.draft)

    def _refuse_others(self, others: set[str]) -> None:
        if others:
            raise UserError(
                f"{self.folder}: an interrupted run has left features of {len(others):,} items that are not of this "
                f"share, such as {min(others)}; finish that run with its own --shard, remove the folder, or give "
                "another --out"
            )

    def _finished(self) -> list[FeatureStore]:
        numbers = sorted(int(path.name) for path in self.folder.glob("[0-9]*"))
        parts = [FeatureStore.open(self.path(number)) for number in numbers]
        remedy = f"remove {self.folder}, or give another --out"
        for part in parts:
            self.about.refuse_other(part.about, str(part.path), remedy)
            part.refuse_other_dtype(self.dtype, remedy)
        return parts
