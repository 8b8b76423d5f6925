"""LightGBM's LGBMRanker: lambdarank (Burges, 2010), fitted and applied so that the same input gives the same scores."""

from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from metrics.common.errors import UserError
from recommend.ranker.history import Floats
from recommend.ranker.recipe import Ranker

# The paper's is that of Radek's starter pack for the competition: one DART tree, all else LightGBM's defaults.
PRESETS: dict[str, dict[str, Any]] = {
    "boosted": {"boosting_type": "gbdt", "n_estimators": 100, "learning_rate": 0.05, "min_child_samples": 100},
    "paper": {"boosting_type": "dart", "n_estimators": 1},
}
_NAMES = {
    "trees": "n_estimators",
    "learning_rate": "learning_rate",
    "leaves": "num_leaves",
    "least_in_leaf": "min_child_samples",
}

MOST_CANDIDATES = 10_000  # LightGBM's kMaxPosition, of a query


@dataclass(frozen=True)
class Fitted:
    """Trees that rank by the columns `names`."""

    names: list[str]
    booster: lightgbm.Booster
    threads: int

    def scores(self, rows: Floats) -> NDArray[np.float64]:
        """The score of each candidate, of rows (n, len(names)); only the order within a customer has a meaning."""
        return np.asarray(self.booster.predict(rows, num_threads=self.threads), dtype=np.float64)

    def importances(self) -> list[dict[str, Any]]:
        """Each feature's share of all splits, and of all gain, the highest gain first; 0 where there is no split."""
        kinds = {kind: self.booster.feature_importance(kind).astype(np.float64) for kind in ("split", "gain")}
        shares = {kind: values / max(values.sum(), 1e-12) for kind, values in kinds.items()}
        order = np.lexsort((np.arange(len(self.names)), -shares["gain"]))
        return [
            {"feature": self.names[place], **{kind: round(float(values[place]), 6) for kind, values in shares.items()}}
            for place in order
        ]


def settings_of(ranker: Ranker, seed: int, threads: int) -> dict[str, Any]:
    """What LGBMRanker is given: the preset, changed by what the recipe says."""
    given = {ours: getattr(ranker, name) for name, ours in _NAMES.items() if getattr(ranker, name) is not None}
    fixed = {"random_state": seed, "n_jobs": threads, "deterministic": True, "force_row_wise": True, "verbosity": -1}
    return {"objective": "lambdarank", **PRESETS[ranker.preset], **given, **fixed}


def fit(
    rows: Floats, labels: NDArray[np.bool_], groups: NDArray[np.int64], names: list[str], settings: dict[str, Any]
) -> Fitted:
    """Fit on candidates. LightGBM is not told the names: it refuses some characters.

    Args:
        rows: (n, len(names)), NaN where something is not known.
        labels: (n,) which were bought.
        groups: how many of the rows, which lie together, each customer has; their sum is n.
        names: of the columns.
        settings: those of `settings_of`.

    Raises:
        UserError: a customer has more candidates than LightGBM takes.
    """
    if groups.max() > MOST_CANDIDATES:
        raise UserError(
            f"candidates: a customer has {groups.max():,}, and LightGBM takes at most {MOST_CANDIDATES:,}; lower "
            "candidates.bestsellers, purchases or similar"
        )
    model = lightgbm.LGBMRanker(**settings)
    model.fit(rows, labels.astype(np.int32), group=groups)
    return Fitted(names, model.booster_, settings["n_jobs"])
