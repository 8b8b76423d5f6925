"""The commands attribute-precision, clusters and compare-methods."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from finetune.config.command_line import needs_train
from metrics.common.errors import UserError, user_errors

app = typer.Typer(rich_help_panel="Recommendation")

Items = Annotated[Path, typer.Option(help="items.parquet, which prepare wrote")]
Attribute = Annotated[
    list[str] | None, typer.Option(help="a column to compare; repeatable; default: H&M's or fashion-product's five")
]
Group = Annotated[str | None, typer.Option(help="a column; --queries counts in each of its groups")]
Queries = Annotated[int | None, typer.Option(min=1, help="draw this many queries (of each group); default: all items")]
K = Annotated[int, typer.Option(min=1, help="how many items are found")]


@app.command()
@needs_train
@user_errors()
def attribute_precision(
    stores: Annotated[list[Path], typer.Argument(metavar="STORE...", help="stores of features of the same items")],
    items: Items,
    attribute: Attribute = None,
    k: K = 6,
    siblings: Annotated[
        Literal["out", "in", "both"], typer.Option(help="may items of the query's product be found")
    ] = "both",
    join: Annotated[
        bool, typer.Option(help="also join the first two; the weight is chosen on half of the queries")
    ] = False,
    centre: Annotated[bool, typer.Option(help="subtract the mean vector, as similar does")] = True,
    group: Group = None,
    queries: Queries = None,
    out: Annotated[Path | None, typer.Option(help="folder of a page and JSON")] = None,
) -> None:
    """Measure how often the items found by features agree with the query: in type, colour and other attributes."""
    if join and len(stores) < 2:
        raise UserError("--join: expected two stores, found one; name an image store and a text store")

    from finetune.data.feature_cache import FeatureStore
    from metrics.common.tables import print_tables
    from recommend.evaluation.precision import measure
    from recommend.evaluation.precision_output import screen_tables, write_files
    from recommend.evaluation.request import attributes_of, distinct_names, draw_queries, read_setting

    opened = [FeatureStore.open(path) for path in stores]
    distinct_names(opened)
    setting = read_setting(opened, items, attributes_of(items, attribute or ()), group)
    for name, count in setting.left_out.items():
        print(f"{name}: {count:,} items are left out, since another store lacks them")
    drawn = draw_queries(setting.groups, queries)
    kinds = {"out": [False], "in": [True], "both": [False, True]}[siblings]
    result = measure(opened, setting, drawn, k, kinds, join, centre)
    print_tables(*screen_tables(result))
    for path in write_files(result, out) if out else ():
        print(path)
