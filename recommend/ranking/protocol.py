"""What determines a measure of recommendations, to be quoted with it."""

from dataclasses import dataclass
from typing import Literal

from metrics.common.version import installed_version


@dataclass(frozen=True)
class Protocol:
    """How lists were made and compared.

    Attributes:
        split: such as `per-user-80-20`.
        candidates: `trained`: articles bought in training; `catalogue`: all.
        articles: how many candidates.
        seen: whether lists leave out what the customer bought in training.
        customers: who is counted, such as `in both parts`.
        seed: of the recommenders.
    """

    split: str
    candidates: Literal["trained", "catalogue"]
    articles: int
    seen: Literal["excluded", "included"]
    customers: str
    seed: int

    def signature(self, measure: str, n: int, lookbook: str | None = None) -> str:
        """The signature of a measure over n customers, its parts joined by bars; equal scores rank by article id.

        `lookbook`: the version that made the lists; default: the one installed.
        """
        return "|".join(
            (
                measure,
                f"split:{self.split}",
                f"candidates:{self.candidates} {self.articles}",
                f"seen:{self.seen}",
                "ties:article id",
                f"customers:{self.customers}",
                f"n:{n}",
                "unit:customer",
                f"seed:{self.seed}",
                f"lookbook:{lookbook or installed_version()}",
            )
        )
