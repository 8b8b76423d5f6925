"""Table 1 of the main paper, beside the same figures of any purchases."""

from dataclasses import astuple, dataclass

import numpy as np

from metrics.common.tables import WideTable
from recommend.interactions.interactions import Purchases
from recommend.interactions.purchases import CUSTOMERS_CSV, PurchasesFolder
from recommend.interactions.settings import AUGMENTED, FILTERED, ORIGINAL


@dataclass(frozen=True)
class Sizes:
    """A row of Table 1: customers, articles (all, and those bought), purchases, and those of each part of 80/20.

    Customers are those with a purchase; None where the paper gives no figure.
    """

    customers: int
    articles: int
    bought: int
    purchases: int
    train: int | None
    test: int | None


FIGURES = ("customers", "articles", "articles bought", "purchases", "80/20: training", "80/20: test")
PUBLISHED = {
    ORIGINAL: Sizes(1_372_980, 105_542, 104_547, 31_788_324, None, None),
    FILTERED: Sizes(1_360_178, 104_232, 103_251, 31_400_864, 24_516_873, 6_883_991),
    AUGMENTED: Sizes(1_361_823, 105_100, 104_106, 31_651_678, 24_717_300, 6_934_378),
}
PUBLISHED_WITHOUT_PURCHASE = 9_699
NOTES = (
    "The paper's 1,372,980 customers are probably a misprint of 1,371,980, all of customers.csv: less the 9,699 "
    "without a purchase these are the 1,362,281 who bought.",
    "Table 5's column Original is on the filtered purchases, not on those of the row original.",
)


def sizes(purchases: Purchases) -> Sizes:
    """The figures of a setting; a customer's first floor(0.8 n) of n purchases are training."""
    counts = np.bincount(purchases.customers, minlength=purchases.customer_count)
    train = int((counts * 4 // 5).sum())
    return Sizes(
        customers=int((counts > 0).sum()),
        articles=len(purchases.article_ids),
        bought=int((np.bincount(purchases.articles) > 0).sum()),
        purchases=len(purchases),
        train=train,
        test=len(purchases) - train,
    )


def table1(folder: PurchasesFolder) -> WideTable:
    """The figures of the folder's settings beside the published ones."""
    table = WideTable(["setting", "figure"], ["here", "published"])
    for setting in folder.about["settings"]:
        ours = sizes(folder.purchases(setting))
        for name, here, published in zip(FIGURES, astuple(ours), astuple(PUBLISHED[setting]), strict=True):
            table.add_row(setting, name, f"{here:,}", "-" if published is None else f"{published:,}")
        if setting == ORIGINAL:
            counts = folder.about["counts"]
            known = CUSTOMERS_CSV in folder.about["sources"]
            without = f"{counts['customers_without_purchase']:,}" if known else "-"
            table.add_row(setting, "customers without a purchase", without, f"{PUBLISHED_WITHOUT_PURCHASE:,}")
            table.add_row(setting, "customers in all", f"{counts['customers']:,}" if known else "-", "see below")
    return table
