"""The commands that run whole experiments, check what they need, and make the packaged demo models."""

from pathlib import Path
from typing import Annotated

import typer

from finetune.config.command_line import Limit, Overrides, RecipePath, load, needs_train, with_limit
from metrics.common.errors import user_errors
from metrics.common.screen import say

app = typer.Typer(rich_help_panel="Experiments")


@app.command()
@needs_train
@user_errors()
def validate(recipe: RecipePath, overrides: Overrides = None, limit: Limit = None) -> None:
    """Check recipe, data, base model, tracker and disk before anything is spent."""
    from finetune.config.other_recipes import check_of

    check = check_of(recipe)
    if check:
        check(recipe, with_limit(overrides, limit))
        return
    loaded = load(recipe, overrides, limit)

    from finetune.data.mixture import prepare_all
    from finetune.experiments.scoring_models import check_scoring
    from finetune.models.memory import estimate as memory
    from finetune.runs.claim import as_begun, is_finished
    from finetune.training.preflight import check_recipe, check_splits
    from finetune.training.stored_features import show_disk

    loaded = as_begun(loaded)
    trained = is_finished(loaded, resume=True)
    check_recipe(loaded)
    check_scoring(loaded.scoring)
    prepared = prepare_all(loaded.catalogues, loaded.training.seed)
    say(prepared.describe())
    estimated = memory.estimate(loaded)
    memory.show(estimated)
    show_disk(estimated.stored, prepared.whole)
    check_splits(prepared.whole)
    print(f"{recipe}: trained already, in {loaded.output}" if trained else f"{recipe}: ready to train")


@app.command()
@needs_train
@user_errors()
def run(recipe: RecipePath, overrides: Overrides = None, limit: Limit = None) -> None:
    """The whole path: prepare, baselines, train, caption before and after, score, report. Resumes where it stopped."""
    loaded = load(recipe, overrides, limit)

    from finetune.experiments import pipeline
    from finetune.runs.claim import as_begun

    pipeline.run(as_begun(loaded), recipe, with_limit(overrides, limit))


@app.command()
@needs_train
@user_errors()
def reproduce(grid: Annotated[Path, typer.Argument(metavar="GRID", help="a YAML grid of recipes")]) -> None:
    """All runs of GRID in order, skipping what is finished, and the published figures next to ours."""
    from finetune.config.experiments import load_grid
    from finetune.experiments.grid_cells import plan

    loaded = load_grid(grid)
    cells = plan(loaded, str(grid))

    from finetune.experiments.reproduce import Reproduction

    Reproduction(cells, str(grid), loaded.output).run()


@app.command()
@needs_train
@user_errors()
def sweep(
    file: Annotated[Path, typer.Argument(metavar="SWEEP", help="a YAML sweep over a recipe's values")],
    chosen: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="the cells with these")] = None,
    wandb: Annotated[bool, typer.Option("--wandb", help="only print the sweep for `wandb sweep`")] = False,
) -> None:
    """Run a recipe with every combination of SWEEP's values, skipping what is finished; a table, best first."""
    from finetune.config.experiments import load_sweep
    from finetune.experiments.sweep_cells import plan, select, wandb_definition

    loaded = load_sweep(file)
    cells = plan(loaded, str(file))
    if wandb:
        print(wandb_definition(loaded, cells[0].recipe, file), end="")
        return
    selected = select(cells, loaded, chosen or [])

    from finetune.experiments.sweep import SweepRuns

    SweepRuns(loaded, cells, str(file)).run(selected)


@app.command()
@needs_train
@user_errors()
def bench_recipe(ablation: Annotated[Path, typer.Argument(metavar="ABLATION", help="a YAML ablation")]) -> None:
    """The published recipe against ours, and each correction alone: loss, CIDEr, captions that end, time per step."""
    from finetune.config.experiments import load_ablation
    from finetune.experiments.ablation_cells import plan

    loaded = load_ablation(ablation)
    cells = plan(loaded, str(ablation))

    from finetune.experiments.ablation import AblationRuns

    AblationRuns(cells, str(ablation), loaded.output).run()


@app.command()
@needs_train
@user_errors()
def check_model(
    model: Annotated[str, typer.Option(help="a model's folder or a Hub id")],
    photo: Annotated[Path | None, typer.Option(help="a photo; default: a drawing")] = None,
    dtype: Annotated[str, typer.Option(help="float32 or bfloat16")] = "bfloat16",
) -> None:
    """Load a base model, caption one photo, take one training step; report time and memory, or what is wrong."""
    from finetune.experiments import check_model as check

    check.check_model(model, photo, dtype)


@app.command()
@needs_train
@user_errors()
def make_demo_base(
    out: Annotated[Path, typer.Option(help="the folder of the model")] = Path("finetune/assets/demo-base"),
    recipe: Annotated[Path, typer.Option(help="how it is trained")] = Path("recipes/demo-base.yaml"),
    drawings: Annotated[int, typer.Option(min=100, help="how many drawings it sees")] = 40_000,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="SECTION.KEY=VALUE for the recipe")] = None,
) -> None:
    """Pre-train the demo's base model on alt texts of other drawings."""
    loaded = load(recipe, overrides)

    from finetune.experiments import demo_base as base

    base.make_demo_base(loaded, recipe, drawings, out)


@app.command()
@needs_train
@user_errors()
def make_demo_stanza(
    out: Annotated[Path, typer.Argument(help="the folder of the models")] = Path("finetune/assets/demo-stanza"),
    captions: Annotated[int, typer.Option(min=50, help="how many captions they are trained on")] = 1500,
    steps: Annotated[int, typer.Option(min=100, help="steps of the tokenizer; the tagger takes half as many")] = 600,
) -> None:
    """Train tiny Stanza models on the demo's own captions, whose parts of speech and lemmas are known."""
    from finetune.experiments import demo_stanza as stanza

    print(stanza.make_demo_stanza(out, captions, steps))
