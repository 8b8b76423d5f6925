"""The command that writes features: embed."""

from pathlib import Path
from typing import Annotated

import typer

from finetune.config.command_line import Limit, needs_train
from metrics.common.errors import user_errors

app = typer.Typer(rich_help_panel="Features")


@app.command()
@needs_train
@user_errors()
def embed(
    places: Annotated[list[Path], typer.Argument(metavar="CATALOGUE", help="a recipe or a folder; parts with --join")],
    out: Annotated[Path, typer.Option(help="the folder of the store")],
    encoder: Annotated[str, typer.Option(help="such as efficientnet-lite0, fashion-clip, tfidf, RUN:queries")] = "",
    resolution: Annotated[
        int | None, typer.Option(min=1, help="pixels of a side, of efficientnet-lite0 or a ResNet")
    ] = None,
    pooling: Annotated[str | None, typer.Option(help="pooled or grid; of RUN:queries mean, flat or grid")] = None,
    text: Annotated[str, typer.Option(help="description, or columns:A,B,... of the catalogue's table")] = "",
    captions: Annotated[Path | None, typer.Option(help="encode the captions of this file instead")] = None,
    fill: Annotated[bool, typer.Option("--fill", help="captions only where there is no description")] = False,
    pca: Annotated[int | None, typer.Option(min=1, help="reduce the rows to so many dimensions")] = None,
    dtype: Annotated[
        str | None, typer.Option(help="of the stored numbers: float16 (the default), float32 or bfloat16")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="photos that are encoded at once; default: 32, or 4 on a CPU")
    ] = None,
    shard: Annotated[str | None, typer.Option(metavar="I/N", help="encode one of N shares, to be joined")] = None,
    join: Annotated[bool, typer.Option("--join", help="put the parts that --shard wrote together")] = False,
    catalogue: Annotated[str | None, typer.Option(help="only this one of a recipe with several catalogues")] = None,
    limit: Limit = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="SECTION.KEY=VALUE for the recipe; data.outside=read needs none")
    ] = None,
) -> None:
    """Write the features of a catalogue's photos or texts to a store."""
    from finetune.embedding.request import EmbedRequest, check

    request = EmbedRequest(
        places,
        out,
        encoder,
        resolution,
        pooling,
        text,
        captions,
        fill,
        pca,
        dtype,
        batch_size,
        shard,
        join,
        catalogue,
        limit,
        change or [],
    )
    check(request)

    from finetune.embedding.run_embed import join_parts, run

    if join:
        join_parts(request)
        return
    from finetune.runs.place import catalogue_recipe

    run(request, catalogue_recipe(places[0], request.change, catalogue, limit))
