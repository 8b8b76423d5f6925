"""The command line: python -m finetune COMMAND."""

import os
import warnings
from pathlib import Path
from typing import Annotated

import typer

from finetune import makers
from finetune.extras import needs_train
from finetune.options import Limit, Overrides, RecipePath, load, with_limit
from metrics.common.errors import UserError, user_errors

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

app.add_typer(makers.app)


@app.callback()
def main() -> None:
    """Fine-tune captioning models on fashion catalogues and write captions with them."""


@app.command()
@needs_train
@user_errors()
def prepare(recipe: RecipePath, overrides: Overrides = None, limit: Limit = None) -> None:
    """Load, split and cache the catalogues; write references-{train,validation,test}.jsonl and each one's card."""
    from finetune.data import mixture, preparation
    from finetune.data.card import page as card
    from finetune.runs import folder as runs

    loaded = load(recipe, overrides, limit)
    runs.refuse_other_data(loaded)
    prepared = mixture.prepare_all(loaded)
    print(prepared.describe())
    for part, folder in prepared.folders(loaded.output):
        for path in [*preparation.write_references(part, folder), *card.write_card(part, folder)]:
            print(path)


@app.command()
@needs_train
@user_errors()
def compare_catalogues(
    first: Annotated[Path, typer.Argument(metavar="RECIPE", help="a YAML recipe")],
    second: Annotated[Path, typer.Argument(metavar="OTHER-RECIPE", help="another, or the same")],
    out: Annotated[Path, typer.Option(help="the folder of the page")],
) -> None:
    """Write the catalogue card of two recipes' catalogues, side by side."""
    from finetune.data import mixture
    from finetune.data.card import page as card

    recipes = {path: load(path, None, None) for path in (first, second)}
    several = [str(path) for path, loaded in recipes.items() if len(loaded.catalogues) > 1]
    if several:
        raise UserError(f"{', '.join(several)}: mixes several catalogues; compare recipes of one each")
    card.refuse_a_file(out)
    prepared = [(str(path), mixture.prepare_one(recipes[path])) for path in (first, second)]
    for path in card.write_comparison(prepared, out):
        print(path)


@app.command()
@needs_train
@user_errors()
def image_urls(recipe: RecipePath, out: Path, overrides: Overrides = None) -> None:
    """List the URLs of FACAD's large photos in OUT, a CSV file; fetches nothing."""
    from finetune.data.catalogues.facad.loader import Facad
    from finetune.data.catalogues.facad.meta import write_image_urls

    sections = list(load(recipe, overrides, None).catalogues.values())
    if len(sections) != 1 or not isinstance(sections[0], Facad):
        found = ", ".join(section.catalogue for section in sections)
        raise UserError(f"{recipe}: data.catalogue: image-urls needs one catalogue, facad; found {found}")
    print(f"{out}: {write_image_urls(sections[0].meta_file(), out):,} URLs")


@app.command()
@needs_train
@user_errors()
def validate(recipe: RecipePath, overrides: Overrides = None, limit: Limit = None) -> None:
    """Check recipe, data, base model, tracker and disk before anything is spent."""
    from finetune.data import mixture
    from finetune.experiments import measures as scoring
    from finetune.models.memory import estimate as memory
    from finetune.training import preflight as validation

    loaded = load(recipe, overrides, limit)
    validation.check_recipe(loaded)
    scoring.check_scoring(loaded)
    prepared = mixture.prepare_all(loaded)
    print(prepared.describe())
    memory.show(memory.estimate(loaded))
    validation.check_splits(prepared.whole)
    print(f"{recipe}: ready to train")


@app.command()
@needs_train
@user_errors()
def train(
    recipe: RecipePath,
    overrides: Overrides = None,
    limit: Limit = None,
    resume: bool = False,
    dry_run: bool = False,
    init_from: Annotated[str | None, typer.Option(help="an adapter's folder, its run's, or a Hub id")] = None,
) -> None:
    """Fine-tune as RECIPE says; --resume goes on from the last checkpoint, --init-from begins from an adapter.

    --dry-run measures a step and keeps nothing.
    """
    from finetune.training import dry_run as trial
    from finetune.training import train as training

    if dry_run and (resume or init_from):
        raise UserError("--dry-run trains nothing to go on with; leave --resume and --init-from out")
    loaded = load(recipe, overrides, limit)
    if dry_run:
        trial.dry_run(loaded)
    else:
        training.train(loaded, str(recipe), resume=resume, init_from=init_from)


@app.command()
@needs_train
@user_errors()
def baselines(recipe: RecipePath, out: Path, overrides: Overrides = None, limit: Limit = None) -> None:
    """Write the captions of the two baselines that look at no picture to OUT."""
    from finetune.captioning import baselines as looking_at_nothing
    from finetune.data import mixture

    prepared = mixture.prepare_all(load(recipe, overrides, limit))
    for part, folder in prepared.folders(out):
        for path in looking_at_nothing.write_baselines(part, folder):
            print(path)


@app.command()
@needs_train
@user_errors()
def caption(
    photos: Annotated[list[Path] | None, typer.Argument(help="photos to caption on the screen")] = None,
    model: Annotated[str, typer.Option(help="a run's folder, a model's or a Hub id, perhaps @revision")] = "",
    adapter: Annotated[
        list[str] | None, typer.Option(help="an adapter on that model: a folder, a run's or a Hub id; repeatable")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="a recipe, or a folder of photos")] = None,
    catalogue: Annotated[str | None, typer.Option(help="which one, of a recipe with several catalogues")] = None,
    split: Annotated[str | None, typer.Option(help="train, validation, test, undescribed or all")] = None,
    out: Annotated[Path | None, typer.Option(help="where the captions go; run.json goes beside them")] = None,
    ids: Annotated[Path | None, typer.Option(help="a file with one id a line: caption these alone")] = None,
    form: Annotated[str, typer.Option("--format", help="jsonl, csv or parquet")] = "jsonl",
    name: Annotated[str | None, typer.Option(help="the system's name in reports")] = None,
    limit: Limit = None,
    change: Annotated[list[str] | None, typer.Option("--set", help="SECTION.KEY=VALUE for the recipe")] = None,
) -> None:
    """Write captions for photos, a split of a catalogue or a folder."""
    from finetune.captioning.request import CaptionRequest, run

    request = CaptionRequest(
        photos or [], model, adapter or [], data, split, out, ids, form, name, limit, catalogue, change or []
    )
    run(request)


@app.command()
@needs_train
@user_errors()
def merge(
    run: Annotated[Path, typer.Argument(help="the folder of a finished run")],
    out: Annotated[Path, typer.Option(help="the new folder of the whole model")],
    dtype: Annotated[str | None, typer.Option(help="float32 or bfloat16; default: as the run's recipe")] = None,
) -> None:
    """Merge a run's adapter into its base, as a model that plain transformers loads, and compare the two."""
    from finetune.publishing import merging

    found = merging.merge(run, out, dtype)
    print(
        f"{out}: in {found.dtype}; {found.equal} of {found.photos} captions of validation photos are equal to those of "
        f"base and adapter; log-probabilities differ by at most {found.largest:.1e} a token"
    )


@app.command()
@needs_train
@user_errors()
def run(recipe: RecipePath, overrides: Overrides = None, limit: Limit = None) -> None:
    """The whole path: prepare, baselines, train, caption before and after, score, report. Goes on where it stopped."""
    from finetune.experiments import pipeline

    pipeline.run(load(recipe, overrides, limit), recipe, with_limit(overrides, limit))


@app.command()
@needs_train
@user_errors()
def reproduce(grid: Annotated[Path, typer.Argument(metavar="GRID", help="a YAML grid of recipes")]) -> None:
    """All runs of GRID in order, skipping what is finished, and the published figures beside ours."""
    from finetune.experiments import reproduce as grids

    grids.reproduce(grid)


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
    """Publish a run on the Hub with its model card. Started again, it goes on; unchanged, it changes nothing."""
    from finetune.publishing import hub

    hub.push(run, repo, private=private, model=model, dry_run=dry_run)


@app.command()
@needs_train
@user_errors()
def sweep(
    file: Annotated[Path, typer.Argument(metavar="SWEEP", help="a YAML sweep over a recipe's values")],
    chosen: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="the cells with these")] = None,
    wandb: Annotated[bool, typer.Option("--wandb", help="only print the sweep for `wandb sweep`")] = False,
) -> None:
    """Run a recipe with every combination of SWEEP's values, skipping what is finished; a table, best first."""
    from finetune.experiments import sweep as sweeps

    if wandb:
        print(sweeps.wandb_definition(file), end="")
    else:
        sweeps.run_sweep(file, chosen or [])


@app.command()
@needs_train
@user_errors()
def bench_recipe(ablation: Annotated[Path, typer.Argument(metavar="ABLATION", help="a YAML ablation")]) -> None:
    """The published recipe against ours, each correction by itself: loss, CIDEr, captions that end, time per step."""
    from finetune.experiments import ablation as runs

    runs.bench_recipe(ablation)


@app.command()
@needs_train
@user_errors()
def smoke(
    model: Annotated[str, typer.Option(help="a model's folder or a Hub id")],
    photo: Annotated[Path | None, typer.Option(help="a photo; a drawing where none is given")] = None,
    dtype: Annotated[str, typer.Option(help="float32 or bfloat16")] = "bfloat16",
) -> None:
    """Load a base model, caption one photo, take one training step; tell time and memory, refuse what is not right."""
    from finetune.experiments import check_model as test

    test.smoke(model, photo, dtype)


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.filterwarnings("ignore", ".is_gradient_checkpointing. is deprecated", FutureWarning)  # of every PEFT load
    app(prog_name="python -m finetune")
