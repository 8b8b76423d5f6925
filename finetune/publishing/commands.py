"""The commands that publish a trained model: merge, push."""

from pathlib import Path
from typing import Annotated

import typer

from finetune.config.command_line import needs_train
from metrics.common.errors import UserError, user_errors

app = typer.Typer(rich_help_panel="Publishing")


@app.command()
@needs_train
@user_errors()
def merge(
    run: Annotated[Path, typer.Argument(help="the folder of a finished run")],
    out: Annotated[Path, typer.Option(help="the new folder of the whole model")],
    dtype: Annotated[str | None, typer.Option(help="float32 or bfloat16; default: as the run's recipe")] = None,
) -> None:
    """Merge a run's adapter into its base, as a model that plain transformers loads, and compare the two."""
    if not run.is_dir():
        raise UserError(f"{run}: no such folder; expected the folder that `train` wrote")

    from finetune.publishing import merging

    merged = merging.merge(run, out, dtype)
    print(
        f"{out}: in {merged.dtype}; {merged.equal} of {merged.photos} captions of validation photos are equal to those "
        f"of base and adapter; log-probabilities differ by at most {merged.largest:.1e} a token"
    )


@app.command()
@needs_train
@user_errors()
def push(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="the folder of a run, trained and scored")],
    repo: Annotated[str, typer.Option(help="owner/name on the Hub")],
    private: Annotated[bool, typer.Option("--private", help="make the repository private")] = False,
    model: Annotated[Path | None, typer.Option(help="a folder made by `merge`, instead of the run's adapter")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="write the card, list the files, send nothing")] = False,
) -> None:
    """Publish a run on the Hub with its model card. Started again, it resumes; unchanged, it changes nothing."""
    from finetune.publishing import hub

    hub.push(run, repo, private=private, model=model, dry_run=dry_run)
