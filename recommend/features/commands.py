"""The commands join-features, reduce and map-photos."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from finetune.config.command_line import needs_train
from metrics.common.errors import UserError, user_errors
from metrics.common.ownership import Overwrite

app = typer.Typer(rich_help_panel="Recommendation")

StorePath = Annotated[Path, typer.Argument(metavar="STORE", help="a store of features, one vector an item")]
MethodName = Literal["pca", "kernel-pca", "isomap", "umap", "tsne"]


@app.command()
@needs_train
@user_errors()
def join_features(
    first: Annotated[Path, typer.Argument(metavar="STORE", help="a store of features, such as of photos")],
    second: Annotated[Path, typer.Argument(metavar="STORE", help="another of the same items, such as of texts")],
    out: Annotated[Path, typer.Option(help="the new store")],
    weight: Annotated[float, typer.Option(help="the first store's share of the cosine")] = 0.5,
    centre: Annotated[bool, typer.Option(help="subtract each store's mean vector")] = True,
) -> None:
    """Write a store whose vectors are those of two stores, each of length one, joined."""
    from finetune.data.feature_cache import FeatureStore
    from finetune.data.feature_writer import refuse_existing
    from recommend.features.fusion import UnitVectors
    from recommend.features.joined import write_joined

    refuse_existing(out)
    stores = [FeatureStore.open(first), FeatureStore.open(second)]
    vectors = UnitVectors(stores, weight, centre)
    write_joined(vectors, centre, out)
    print(f"{out}: {len(vectors):,} rows of {vectors.dimension:,} (float32)")
    for store, count in zip(stores, vectors.left_out, strict=True):
        if count:
            print(f"  {count:>9,}  left out of {store.path}: the other store lacks them")


@app.command()
@needs_train
@user_errors()
def reduce(
    store: StorePath,
    out: Annotated[Path, typer.Option(help="the new store")],
    method: Annotated[MethodName, typer.Option(help="how")] = "pca",
    dimensions: Annotated[int | None, typer.Option(min=1, help="of the new vectors; default: 100")] = None,
    variance: Annotated[
        float | None, typer.Option(min=0.01, max=1, help="instead: the share of the variance to explain")
    ] = None,
    kernel: Annotated[Literal["rbf", "cosine", "poly", "sigmoid"], typer.Option(help="of kernel-pca")] = "rbf",
    gamma: Annotated[
        float | None, typer.Option(min=1e-9, help="of that kernel; default for rbf: 1 / median squared distance")
    ] = None,
    elbow: Annotated[Path | None, typer.Option(help="also write this page: variance by dimensions")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write a store whose vectors have fewer dimensions."""
    if dimensions is not None and variance is not None:
        raise UserError("--dimensions and --variance: give one of them")
    if out.exists():
        raise UserError(f"{out}: exists already; give another --out, or remove it")
    if elbow and method not in ("pca", "kernel-pca"):
        raise UserError(f"--elbow: {method} explains no variance; take pca or kernel-pca")

    from finetune.data.feature_cache import FeatureStore
    from recommend.features.fusion import UnitVectors
    from recommend.features.pages import check_elbow, write_elbow
    from recommend.features.reduce import reduce_vectors, write_reduced

    if elbow:
        check_elbow(elbow, overwrite)
    vectors = UnitVectors([FeatureStore.open(store)])
    wanted = None if variance is not None else dimensions or 100
    reduced = reduce_vectors(vectors, method, wanted, variance, kernel, gamma)
    if len(reduced.ids) < len(vectors):
        print(f"{method} maps no more than it is fitted on: {len(reduced.ids):,} of {len(vectors):,} items are kept")
    write_reduced(reduced, vectors, out)
    print(f"{out}: {reduced.method}")
    if elbow and reduced.variance is not None:
        write_elbow(reduced, reduced.variance, vectors, elbow)
        print(elbow)


@app.command()
@needs_train
@user_errors()
def map_photos(
    store: StorePath,
    items: Annotated[Path, typer.Option(help="items.parquet, which prepare wrote, or its folder")],
    out: Annotated[Path, typer.Option(help="the page")],
    colour_by: Annotated[
        list[str] | None, typer.Option(help="a column; repeatable; default: category and sub category of known tables")
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(help="pca, kernel-pca, isomap, umap or tsne; repeatable; default: kernel-pca and tsne"),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Draw all items in two dimensions, coloured by category."""
    from finetune.data.feature_cache import FeatureStore
    from recommend.common.columns import category_columns
    from recommend.features.fusion import UnitVectors
    from recommend.features.pages import check_map, map_methods, write_map

    check_map(out, overwrite)
    methods = map_methods(method or ())
    columns = colour_by or category_columns(items)
    vectors = UnitVectors([FeatureStore.open(store)])
    for done in write_map(vectors, items, columns, methods, out):
        print(done)
    print(out)
