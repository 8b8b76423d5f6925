"""The commands attribute-precision, clusters and compare-methods."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from finetune.config.command_line import needs_train
from metrics.common.errors import UserError, user_errors
from metrics.common.formatting import printable
from metrics.common.ownership import refuse_foreign

app = typer.Typer(rich_help_panel="Recommendation")

Items = Annotated[Path, typer.Option(help="items.parquet, which prepare wrote, or its folder")]
Attribute = Annotated[
    list[str] | None, typer.Option(help="a column to compare; repeatable; default: H&M's or fashion-product's five")
]
Group = Annotated[str | None, typer.Option(help="a column; --queries counts in each of its groups")]
Queries = Annotated[int | None, typer.Option(min=1, help="draw this many queries (of each group); default: all items")]
Dimensions = Annotated[int, typer.Option(min=1, help="of the reduced vectors")]
Probes = Annotated[int, typer.Option(min=1, help="how many clusters near to a query are searched")]
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
    from recommend.evaluation.precision_output import CONTENTS, screen_tables, write_files
    from recommend.evaluation.request import attributes_of, distinct_names, draw_queries, lacking, read_setting

    if out:
        refuse_foreign(out, CONTENTS)
    opened = [FeatureStore.open(path) for path in stores]
    distinct_names(opened)
    setting = read_setting(opened, items, attributes_of(items, attribute or ()), group)
    for name, count in setting.left_out.items():
        print(printable(f"{name}: {count:,} items are left out, since another store lacks them"))
    for line in lacking(items, setting.ids, setting.labels.names):
        print(printable(line))
    drawn = draw_queries(setting.groups, queries)
    kinds = {"out": [False], "in": [True], "both": [False, True]}[siblings]
    if len(set(setting.labels.products.tolist())) == len(setting.ids):
        print("No item has a sibling: each is a product of its own.")
        kinds = kinds[:1]
    result = measure(opened, setting, drawn, k, kinds, join, centre)
    print_tables(*screen_tables(result))
    for path in write_files(result, out) if out else ():
        print(path)


@app.command()
@needs_train
@user_errors()
def clusters(
    store: Annotated[Path, typer.Argument(metavar="STORE", help="a store of features")],
    out: Annotated[Path, typer.Option(help="folder of clusters.parquet, .json and, with --try, .html")],
    k: Annotated[int, typer.Option(min=1, help="how many clusters")] = 10,
    method: Annotated[Literal["kmeans", "spectral"], typer.Option(help="how they are made")] = "kmeans",
    dimensions: Dimensions = 100,
    attempts: Annotated[
        str | None, typer.Option("--try", help="numbers of clusters to compare, such as 2,5,10")
    ] = None,
    nprobe: Probes = 1,
    items: Annotated[Path | None, typer.Option(help="items.parquet or its folder, for the precision at each")] = None,
    attribute: Attribute = None,
    group: Group = None,
    queries: Annotated[int, typer.Option(min=1, help="queries of each group")] = 100,
    siblings: Annotated[bool, typer.Option(help="items of the query's product may be found")] = False,
) -> None:
    """Put a store's items into clusters; --try with --items helps to choose how many."""
    from finetune.data.feature_cache import FeatureStore
    from metrics.common.tables import print_tables
    from recommend.evaluation.cluster_output import CONTENTS, screen_tables, write_files
    from recommend.evaluation.run_clusters import cluster_counts, run_clusters

    refuse_foreign(out, CONTENTS)
    ks = cluster_counts(attempts) if attempts else []
    result = run_clusters(
        FeatureStore.open(store), k, method, dimensions, ks, nprobe, items, attribute or (), group, queries, siblings
    )
    print_tables(*screen_tables(result))
    for path in write_files(result, out):
        print(path)


@app.command()
@needs_train
@user_errors()
def compare_methods(
    store: Annotated[Path, typer.Argument(metavar="STORE", help="a store of features")],
    items: Items,
    out: Annotated[Path, typer.Option(help="folder of methods.html and methods.json")],
    method: Annotated[
        list[str] | None,
        typer.Option(help="exact, pca, kernel-pca, isomap, umap, tsne, kmeans, spectral; repeatable; default: all"),
    ] = None,
    attribute: Attribute = None,
    group: Group = None,
    k: K = 6,
    queries: Annotated[int, typer.Option(min=1, help="queries of each group")] = 100,
    siblings: Annotated[bool, typer.Option(help="items of the query's product may be found")] = False,
    dimensions: Dimensions = 100,
    clusters: Annotated[int, typer.Option(min=1, help="how many clusters")] = 10,
    nprobe: Probes = 1,
) -> None:
    """Compare exact search, reductions and clusters: precision by group, and the time of a query."""
    from finetune.data.feature_cache import FeatureStore
    from metrics.common.tables import print_tables
    from recommend.evaluation.methods import chosen_methods, compare
    from recommend.evaluation.methods_output import CONTENTS, screen_tables, write_files
    from recommend.evaluation.request import attributes_of, group_of, read_setting
    from recommend.features.fusion import UnitVectors

    refuse_foreign(out, CONTENTS)
    wanted = chosen_methods(method or ())
    opened = FeatureStore.open(store)
    setting = read_setting([opened], items, attributes_of(items, attribute or ()), group_of(items, group))
    study = compare(UnitVectors([opened]), setting, wanted, k, siblings, queries, dimensions, clusters, nprobe)
    print_tables(*screen_tables(study))
    for path in write_files(study, out):
        print(path)
