"""A share of the items, for one of several machines."""

from collections.abc import Iterable
from dataclasses import dataclass

from metrics.common.errors import UserError


@dataclass(frozen=True)
class Shard:
    """Every `count`-th item, from `number` (from 1)."""

    number: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str | None) -> "Shard":
        """Read `i/n`; None is all. Raises `UserError` if it is something else."""
        number, _, count = (text or "1/1").partition("/")
        if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
            raise UserError(f"--shard {text}: expected i/n with i from 1 to n, such as 1/4")
        return cls(int(number), int(count))

    def of(self, ids: Iterable[str]) -> list[str]:
        """Its ids: the same on every machine, in whatever order the catalogue is read."""
        return sorted(ids)[self.number - 1 :: self.count]
