"""What became of the rows of a CSV of purchases, in lines of text."""

from collections.abc import Iterator

from recommend.interactions.csv_file import NAMED
from recommend.interactions.purchases import PurchasesFolder
from recommend.interactions.settings import AUGMENTED


def account(folder: PurchasesFolder) -> Iterator[str]:
    """The rows that were read, left out and are noteworthy; a line for each kind that occurs."""
    counts, unknown = folder.about["counts"], folder.about["unknown_articles"]
    yield f"{counts['rows']:,} rows, {counts['purchases']:,} purchases"
    if unknown:
        named = ", ".join(list(unknown)[:NAMED]) + (", ..." if len(unknown) > NAMED else "")
        rows = f"{counts['of_unknown_articles']:,} rows of {len(unknown):,} articles"
        yield f"left out: {rows} that the catalogue does not have: {named}"
    if counts["without_customer"]:
        yield f"left out: {counts['without_customer']:,} rows without a customer"
    if counts["repeated"]:
        yield f"{counts['repeated']:,} rows repeat customer, article and day of another: they count as further pieces"
    if counts["without_price"]:
        yield f"{counts['without_price']:,} purchases have no price; none is needed"
    if counts["out_of_order"]:
        yield (
            f"{counts['out_of_order']:,} rows are dated before the row above: a customer's purchases are ranked by "
            "day, those of a day in the order of the file"
        )
    if AUGMENTED in folder.about["settings"]:
        yield (
            f"articles with a photo that had no description: a model described {counts['filled']:,}; "
            f"{counts['undescribed']:,} still have none (`lookbook fill`)"
        )
