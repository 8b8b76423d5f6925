"""The command purchases."""

from pathlib import Path
from typing import Annotated

import typer

from finetune.config.command_line import needs_recommend
from metrics.common.errors import user_errors

app = typer.Typer(rich_help_panel="Recommendation")


@app.command()
@needs_recommend
@user_errors()
def purchases(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="folder of transactions_train.csv, as Kaggle ships it")],
    out: Annotated[Path, typer.Option(help="the folder to make; kept if it was made of these files")],
    items: Annotated[
        Path | None, typer.Option(help="items.parquet, which prepare wrote; without it: only setting original")
    ] = None,
) -> None:
    """Read purchases into a folder of Parquet files, and print the paper's Table 1 beside theirs."""
    from finetune.data.demo.catalogue import is_of_earlier_version
    from metrics.common.tables import print_tables
    from recommend.interactions.account import account
    from recommend.interactions.purchases import write_purchases
    from recommend.interactions.table1 import NOTES, table1

    if is_of_earlier_version(data):
        print(f"{data}: an earlier version drew this demo, with fewer purchases; remove it to have it drawn again")
    folder = write_purchases(data, out, items)
    print_tables(*account(folder), table1(folder), *NOTES)
    print(out)
