"""The command view."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from metrics.common.errors import UserError, user_errors
from metrics.common.version import DISTRIBUTION

app = typer.Typer(rich_help_panel="Reports")

Scores = Annotated[list[Path], typer.Argument(help="Folders that score wrote, of the same items.")]
Images = Annotated[
    Path | None,
    typer.Option(help="Folder that the photos' paths start from. Default: the catalogue's of the systems' runs."),
]
Port = Annotated[int, typer.Option(help="Port on 127.0.0.1; 0: any that is free.", min=0, max=65535)]


@app.command()
@user_errors()
def view(scores: Scores, images: Images = None, port: Port = 8765) -> None:
    """Look at captions in a browser: photo, reference, every system's caption, scores; filter, sort, search."""
    _check_extra()
    from metrics.viewer.building import open_index
    from metrics.viewer.photos import Photos
    from metrics.viewer.server import build_app, serve

    if images is not None and not images.is_dir():
        raise UserError(
            f"--images: expected a folder, found {images}; give the folder that the photos' paths start from "
            "(in a recipe it is data.folder)"
        )
    index = open_index(scores)
    serve(build_app(index, Photos(images or index.images)), port)


def _check_extra() -> None:
    absent = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if absent:
        raise UserError(f"{', '.join(absent)} not installed, run: pip install '{DISTRIBUTION}[view]'")
