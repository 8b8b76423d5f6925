"""The commands about catalogues: compare-catalogues, image-urls, fetch-images."""

from pathlib import Path
from typing import Annotated, Any

import typer

from finetune.config.command_line import Overrides, RecipePath, load, needs_train
from metrics.common.errors import UserError, user_errors
from metrics.common.formatting import printable
from metrics.common.ownership import Overwrite, refuse_foreign, refuse_inputs, refuse_other

app = typer.Typer(rich_help_panel="Data")


@app.command()
@needs_train
@user_errors()
def compare_catalogues(
    first: Annotated[Path, typer.Argument(metavar="RECIPE", help="a YAML recipe")],
    second: Annotated[Path, typer.Argument(metavar="OTHER-RECIPE", help="another, or the same")],
    out: Annotated[Path, typer.Option(help="the folder of the page")],
) -> None:
    """Write the catalogue card of two recipes' catalogues, side by side."""
    recipes = {path: load(path) for path in (first, second)}
    several = [str(path) for path, recipe in recipes.items() if len(recipe.catalogues) > 1]
    if several:
        raise UserError(f"{', '.join(several)}: mixes several catalogues; compare recipes of one each")

    from finetune.data.card.page import COMPARISON, write_comparison
    from finetune.data.mixture import prepare_one

    refuse_foreign(out, COMPARISON)
    loaded = [(str(path), recipes[path]) for path in (first, second)]
    prepared = [(path, prepare_one(one.catalogues, one.training.seed)) for path, one in loaded]
    for path in write_comparison(prepared, out):
        print(path)


@app.command()
@needs_train
@user_errors()
def image_urls(
    recipe: RecipePath,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="the CSV file, which `lookbook fetch-images` reads")],
    overrides: Overrides = None,
    overwrite: Overwrite = False,
) -> None:
    """List the URLs of FACAD's large photos in OUT, a CSV file; fetches nothing."""
    sections: list[Any] = list(load(recipe, overrides).catalogues.values())

    from finetune.config.catalogues import Facad
    from finetune.data.catalogues.facad.loader import FacadLoader
    from finetune.data.catalogues.facad.meta import URL_COLUMNS, write_image_urls

    if len(sections) != 1 or not isinstance(sections[0], Facad):
        names = ", ".join(section.catalogue for section in sections)
        raise UserError(f"{recipe}: data.catalogue: image-urls needs one catalogue, facad; found {names}")
    meta = FacadLoader(sections[0]).meta_file()
    refuse_other(out, ",".join(URL_COLUMNS), "list of URLs", "OUT", overwrite)
    refuse_inputs([] if overwrite else [out], [recipe, meta], "OUT")
    print(f"{out}: {write_image_urls(meta, out):,} URLs")


@app.command()
@needs_train
@user_errors()
def fetch_images(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="CSV, TSV, XLSX, JSON lines or Parquet with URLs")],
    out: Annotated[Path, typer.Option(help="the folder of photos, metadata.csv and failed.csv")],
    column: Annotated[str | None, typer.Option(help="the column of URLs; default: by its usual names")] = None,
    encoding: Annotated[str | None, typer.Option(help="of a table that is a text; default: UTF-8")] = None,
    pause: Annotated[float, typer.Option(min=0, max=3600, help="seconds between two requests to a host")] = 0.2,
    megabytes: Annotated[float, typer.Option(min=0.001, max=10_000, help="refuse photos that are larger")] = 20,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="also from hosts inside your network or on this machine")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace metadata.csv of another table, or one that was changed.")
    ] = False,
) -> None:
    """Fetch the photos that a table has URLs of into a folder, which then is a catalogue. Started again, it goes on.

    One connection to each host; photos that are there are not fetched again.
    """
    from finetune.data.fetching.download import Manners
    from finetune.data.fetching.fetch import fetch_images as fetch
    from finetune.data.fetching.written import FAILED, TABLE

    refuse_inputs([out / TABLE, out / FAILED], [table])
    manners = Manners(pause, round(megabytes * 1e6), allow_private)
    fetched = fetch(table, out, column, encoding, manners, overwrite)
    print(f"{out}: photos of {fetched.rows:,} rows, from the column {printable(fetched.column)}")
    if fetched.failed:
        print(f"  {len(fetched.failed):>9,}  URLs without a photo, with the reasons: {out / FAILED}")
