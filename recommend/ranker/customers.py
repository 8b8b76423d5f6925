"""What Kaggle's customers.csv says of customers, as numbers, and what of it cannot be used."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from metrics.common.errors import UserError
from recommend.ranker.codes import UNKNOWN, ranked
from recommend.ranker.history import Floats

_NUMBERS, _WORDS = ("FN", "Active", "age"), ("club_member_status", "fashion_news_frequency")
_COLUMNS = (*_NUMBERS, *_WORDS)
_REMEDY = "use the file as Kaggle ships it, or leave `customers` out of the recipe"


@dataclass(frozen=True)
class Customers:
    """U customers.

    Attributes:
        columns: by name, (U,) what is known of each; NaN where nothing is.
        left_out: sentences on what was not there or could not be read.
    """

    columns: dict[str, Floats] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def read_customers(path: Path, customer_ids: list[str]) -> Customers:
    """The columns of the file but for the postal code, in the order of the ids.

    Raises `UserError` if the file is missing, damaged, has a customer twice, none of these, or none of the columns.
    """
    table = _read(path)
    known = [name for name in _COLUMNS if name in table]
    if not known:
        raise UserError(f"{path}: expected the columns {', '.join(_COLUMNS)}, found none of them; {_REMEDY}")
    places = pd.Index(table["customer_id"]).get_indexer(pd.Index(customer_ids))
    lacking = int((places < 0).sum())
    if lacking == len(customer_ids):
        raise UserError(f"{path}: none of the {lacking:,} customers of the purchases is in it; {_REMEDY}")
    found = Customers()
    if lacking:
        found.left_out.append(f"{path}: {lacking:,} of {len(customer_ids):,} customers are not in it")
    if absent := [name for name in _COLUMNS if name not in known]:
        found.left_out.append(f"{path}: has no column {', '.join(absent)}")
    for name in known:
        texts = table[name].iloc[places[places >= 0]].str.strip()
        values, column = _values(texts, name), np.full(len(customer_ids), np.nan, dtype=np.float32)
        column[places >= 0] = values
        found.columns[name] = column
        wrong = texts[np.isnan(values) & ~texts.str.lower().isin(["", "nan"])]
        if len(wrong):
            such = f"such as {wrong.iloc[0]!r:.40}"
            found.left_out.append(f"{path}: {name} of {len(wrong):,} customers is no number, {such}: left unknown")
    return found


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise UserError(f"{path}: no such file; {_REMEDY}")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: cannot read the table ({error}); {_REMEDY}") from error
    if "customer_id" not in table:
        raise UserError(f"{path}: column customer_id missing; {_REMEDY}")
    if table["customer_id"].duplicated().any():
        repeated = table["customer_id"][table["customer_id"].duplicated()].iloc[0]
        raise UserError(f"{path}: customer {repeated} is in several rows; {_REMEDY}")
    return table


def _values(texts: "pd.Series[str]", name: str) -> Floats:
    """A finite number for each text, words by their rank; else NaN."""
    if name in _WORDS:
        ranks = ranked(texts.tolist())
        return np.where(ranks == UNKNOWN, np.nan, ranks).astype(np.float32)
    with np.errstate(over="ignore"):
        values = np.asarray(pd.to_numeric(texts, errors="coerce"), dtype=np.float32)
    return np.where(np.isfinite(values), values, np.nan).astype(np.float32)
