"""A folder of purchases: made once from Kaggle's CSV, then read in any setting of the paper's Table 1."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from finetune.data.readers import FLAG, NUMBER, TEXT, read_parquet
from metrics.common.errors import UserError
from metrics.common.files import atomic_folder, check_folder, read_json_object, sha256, write_text
from recommend.interactions.csv_file import COUNTED, Table, read_table
from recommend.interactions.interactions import NOT_A_CANDIDATE, Purchases
from recommend.interactions.settings import ARTICLES_CSV, ORIGINAL, SETTINGS, Articles, read_articles

PURCHASES_CSV, CUSTOMERS_CSV = "transactions_train.csv", "customers.csv"
_PURCHASES, _CUSTOMERS, _ARTICLES = "purchases.parquet", "customers.parquet", "articles.parquet"
_TABLES = (_PURCHASES, _CUSTOMERS, _ARTICLES)
_ABOUT = "purchases.json"
_FORMAT = 1
COUNTS = (*COUNTED, "filled", "undescribed")
_REMEDY = "make it again by `lookbook purchases`, into another folder"


@dataclass(frozen=True)
class PurchasesFolder:
    """What `write_purchases` made.

    Attributes:
        path: the folder.
        about: its purchases.json: `sources` (SHA-256 of the files that it was made from), `files` (of its own),
            `counts`, `unknown_articles` (with the number of their purchases), `settings`.
    """

    path: Path
    about: dict[str, Any]

    @classmethod
    def open(cls, path: Path) -> "PurchasesFolder":
        """Raises `UserError` if there is no such folder, or if a file is damaged."""
        about = read_json_object(path / _ABOUT, "name a folder that `lookbook purchases` made")
        if about.get("format") != _FORMAT:
            raise UserError(f"{path / _ABOUT}: expected format {_FORMAT}, found {about.get('format')}; {_REMEDY}")
        _check_whole(path / _ABOUT, about)
        for name in _TABLES:
            if sha256(path / name) != about["files"].get(name):
                raise UserError(f"{path / name}: is not as it was written; {_REMEDY}")
        return cls(path, about)

    @property
    def digest(self) -> str:
        """SHA-256 of purchases.json, which has those of all files."""
        return sha256(self.path / _ABOUT)

    def customer_ids(self) -> list[str]:
        """All customers, sorted: a customer's number is its place here."""
        return _ids(self.path / _CUSTOMERS)

    def purchases(self, setting: str) -> Purchases:
        """The purchases of a setting's articles; raises `UserError` if there is no such setting."""
        if setting not in SETTINGS:
            raise UserError(f"setting {setting!r}: expected one of {', '.join(SETTINGS)}")
        if setting not in self.about["settings"]:
            raise UserError(
                f"{self.path}: setting {setting}: which articles it has is in the items.parquet of `lookbook prepare`; "
                "make the folder again with --items"
            )
        whole = self._whole()
        if setting == ORIGINAL:
            return whole
        members = read_parquet(self.path / _ARTICLES, _REMEDY, {setting: FLAG})
        return _only(whole, members[setting].to_numpy())

    def _whole(self) -> Purchases:
        names = ("customer", "article", "day")
        table = read_parquet(self.path / _PURCHASES, _REMEDY, dict.fromkeys(names, NUMBER))
        customers, bought, days = (table[name].to_numpy().astype(np.int32, copy=False) for name in names)
        articles, known = _ids(self.path / _ARTICLES), read_parquet(self.path / _CUSTOMERS, _REMEDY, {"id": TEXT})
        for name, places, count in (("customer", customers, len(known)), ("article", bought, len(articles))):
            if len(places) and not 0 <= places.min() <= places.max() < count:
                raise UserError(
                    f"{self.path / _PURCHASES}: {name}: expected places below {count:,}, found others; {_REMEDY}"
                )
        return Purchases(customers, bought, days, len(known), articles)


def open_purchases(folder: Path, setting: str = ORIGINAL) -> Purchases:
    """The purchases that `write_purchases` left in `folder`, those of a setting's articles.

    Raises `UserError` if there is no such folder or setting, or if a file is damaged.
    """
    return PurchasesFolder.open(folder).purchases(setting)


def write_purchases(data: Path, out: Path, items: Path | None = None) -> PurchasesFolder:
    """Make the folder `out` from the purchases in the folder `data`; the same bytes each time.

    Args:
        data: has transactions_train.csv, articles.csv unless `items` is given, and perhaps customers.csv, which names
            the customers without a purchase.
        out: the folder: purchases.parquet (int32 `customer`, `article`, `day`, in the order of the file),
            customers.parquet and articles.parquet (`id`, sorted; the settings of Table 1) and purchases.json.
        items: the catalogue's items.parquet, from which the settings of Table 1 are known.

    Where `out` has been made of these very files, nothing is done.

    Raises:
        UserError: if a file is missing, damaged or no such table, or `out` is anything else or cannot be written.
    """
    customers_csv = data / CUSTOMERS_CSV if (data / CUSTOMERS_CSV).exists() else None
    named = [data / PURCHASES_CSV, items or data / ARTICLES_CSV, *([customers_csv] if customers_csv else [])]
    sources = {path.name: sha256(path) for path in named}
    if out.exists():
        return _made_before(out, sources)
    check_folder(out)
    articles = read_articles(data, items)
    table = read_table(data / PURCHASES_CSV, articles.ids, customers_csv)
    about = {
        "format": _FORMAT,
        "sources": sources,
        "counts": {**table.counts, "filled": articles.filled, "undescribed": articles.undescribed},
        "unknown_articles": table.unknown,
        "settings": list(articles.members),
    }
    with atomic_folder(out) as draft:
        about["files"] = _write_tables(draft, table, articles)
        write_text(draft / _ABOUT, json.dumps(about, indent=1) + "\n")
    return PurchasesFolder(out, about)


def _ids(path: Path) -> list[str]:
    ids: list[str] = read_parquet(path, _REMEDY, {"id": TEXT})["id"].to_pylist()
    return ids


def _check_whole(path: Path, about: dict[str, Any]) -> None:
    """Raise `UserError` if purchases.json lacks anything, or has something of another kind."""
    kinds = {"sources": dict, "files": dict, "counts": dict, "unknown_articles": dict, "settings": list}
    wrong = [name for name, kind in kinds.items() if not isinstance(about.get(name), kind)]
    if not wrong:
        wrong = [f"counts.{name}" for name in COUNTS if not isinstance(about["counts"].get(name), int)]
    if wrong:
        raise UserError(f"{path}: {', '.join(wrong)}: missing or of another kind; {_REMEDY}")


def _made_before(path: Path, sources: dict[str, str]) -> PurchasesFolder:
    if not (path / _ABOUT).is_file():
        raise UserError(f"{path}: exists and is no folder that `lookbook purchases` made; give another --out")
    folder = PurchasesFolder.open(path)
    if folder.about["sources"] != sources:
        raise UserError(f"{path}: was made of other files; give another --out, or remove it")
    return folder


def _write_tables(folder: Path, table: Table, articles: Articles) -> dict[str, str]:
    """Write them; the SHA-256 of each."""
    columns = {"customer": table.customers, "article": table.articles, "day": table.days}
    pq.write_table(pa.table(columns), folder / _PURCHASES, compression="zstd", use_dictionary=False)
    pq.write_table(pa.table({"id": table.customer_ids.to_list()}), folder / _CUSTOMERS)
    settings = {name: places for name, places in articles.members.items() if name != ORIGINAL}
    pq.write_table(pa.table({"id": articles.ids, **settings}), folder / _ARTICLES)
    return {name: sha256(folder / name) for name in _TABLES}


def _only(purchases: Purchases, members: NDArray[np.bool_]) -> Purchases:
    """The purchases of some of the articles (I,), which become all."""
    kept = purchases.taken(members[purchases.articles])
    places = np.where(members, np.cumsum(members) - 1, NOT_A_CANDIDATE).astype(np.int32)
    ids = [purchases.article_ids[place] for place in np.flatnonzero(members)]
    return Purchases(kept.customers, places[kept.articles], kept.days, purchases.customer_count, ids)
