"""The commands view and ratings."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from metrics.common.errors import UserError, user_errors
from metrics.common.ownership import Overwrite
from metrics.common.version import DISTRIBUTION

app = typer.Typer(rich_help_panel="Reports")

Scores = Annotated[list[Path], typer.Argument(help="Folders that score wrote, of the same items.")]
Images = Annotated[
    Path | None,
    typer.Option(
        metavar="CATALOGUE",
        help="Recipe of the catalogue, or folder that the photos' paths start from. Default: the folder that the "
        "systems' runs name.",
    ),
]
Ratings = Annotated[
    Path | None,
    typer.Option(help="File of people's ratings, made at the first. Default: ratings.sqlite in the first of SCORES."),
]
Port = Annotated[int, typer.Option(help="Port on 127.0.0.1; 0: any that is free.", min=0, max=65535)]


@app.command()
@user_errors()
def view(scores: Scores, images: Images = None, ratings: Ratings = None, port: Port = 8765) -> None:
    """Look at captions in a browser: photo, reference, every system's caption, scores; filter, sort, search."""
    _check_extra()
    from metrics.viewer.building import open_index
    from metrics.viewer.catalogue import catalogue_of
    from metrics.viewer.photos import Photos
    from metrics.viewer.ratings.pages import RatingPages
    from metrics.viewer.ratings.store import RatingStore
    from metrics.viewer.server import build_app, serve

    folder, table = catalogue_of(images) if images else (None, None)
    store = RatingStore(ratings or scores[0] / "ratings.sqlite")
    if ratings or store.path.exists():
        store.check()
    index = open_index(scores, table)
    serve(build_app(index, Photos(folder or index.images), [RatingPages(store).extension()]), port)


@app.command()
@user_errors()
def ratings(
    file: Annotated[Path, typer.Argument(help="File of people's ratings, as view --ratings makes it.")],
    scores: Annotated[
        list[Path] | None, typer.Option(help="Folder that score wrote, for the summary; may be given several times.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File for all ratings as CSV.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Write people's ratings as CSV; say what they say of the systems, and which measure agrees with them."""
    from metrics.viewer.ratings.reports import report_ratings

    report_ratings(file, scores or [], out, json, overwrite)


def _check_extra() -> None:
    absent = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if absent:
        raise UserError(f"{', '.join(absent)} not installed, run: pip install '{DISTRIBUTION}[view]'")
