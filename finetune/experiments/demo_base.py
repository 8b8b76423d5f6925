"""The demo's base model: a tiny BLIP-2 taught alt texts of drawings that are not in the demo catalogue."""

import csv
import json
from pathlib import Path

import numpy as np

from finetune.config.catalogues import Folder
from finetune.config.recipe import Recipe
from finetune.data.catalogues.tables import read_table
from finetune.data.demo.drawing import draw
from finetune.data.demo.garments import sample_garment
from finetune.data.demo.wording import alt_text, description
from finetune.models.families import captioner_class
from finetune.models.processor_files import save_processor
from finetune.models.tiny import make_tiny
from finetune.runs.claim import recipe_values
from finetune.runs.folder import RunFolder
from finetune.training.train import train
from metrics.common.drafts import temporary_folder
from metrics.common.errors import UserError
from metrics.common.files import atomic_folder, copy_together, write_text
from metrics.common.ownership import Contents, refuse_foreign
from metrics.common.screen import progress
from metrics.records.run import TrainingRecord

COLUMNS = ("file_name", "alt_text", "description")
DRAWN_SIZE = (96, 144)
SEED = 1_000_003
MADE = Contents({"made.json": '"command": "lookbook make-demo-base'}, record="made.json")
FROM_TRAINING = ("best_validation_loss", "best_step", "versions", "hardware", "times", "seed")
"""What `made.json` repeats of the training's record."""


def make_demo_base(recipe: Recipe, recipe_path: Path, drawings: int, out: Path) -> None:
    """Draw, train as `recipe` says, and write the model in bfloat16 with `made.json`: command, figures, versions.

    Like a real language model's, its tokenizer knows the words of descriptions, but the model is not trained on them.

    Raises:
        UserError: if the recipe's data is not one folder or its model has no `tiny`, or as `train`.
    """
    if not isinstance(recipe.data, Folder):
        names = ", ".join(recipe.catalogues)
        raise UserError(f"data: expected one catalogue, folder, that the drawings are written into; found {names}")
    refuse_foreign(out, MADE)
    folder = Path(str(recipe.data.folder))
    write_drawings(folder, drawings)
    _write_untrained(recipe, folder)
    untrained = recipe.model.model_copy(update={"tiny": None})
    train(recipe.model_copy(update={"model": untrained}), str(recipe_path), resume=True)
    captioner = captioner_class(recipe.model.family).load(
        recipe.model.model_copy(update={"base": str(RunFolder(recipe.output).model), "dtype": "bfloat16"})
    )
    with temporary_folder() as work:
        captioner.model.bfloat16().save_pretrained(work)
        save_processor(captioner.processor, work)
        write_text(work / MADE.record, _made(recipe, drawings))
        copy_together(work, out, [file.name for file in work.iterdir()])


def _made(recipe: Recipe, drawings: int) -> str:
    record = TrainingRecord.read(RunFolder(recipe.output).training).to_json()
    made = {"command": f"lookbook make-demo-base --drawings {drawings}", "drawings_seed": SEED}
    made |= {"recipe": recipe_values(recipe)} | {key: record[key] for key in FROM_TRAINING if key in record}
    return json.dumps(made, indent=1)


def _write_untrained(recipe: Recipe, folder: Path) -> None:
    if recipe.model.tiny is None:
        raise UserError("model.tiny: missing in the recipe; it gives the shape of the demo's base model")
    table = read_table(folder / "metadata.csv", COLUMNS)
    texts = [*table["alt_text"], *table["description"]]
    make_tiny(recipe.model.family, recipe.model.tiny, texts, Path(recipe.model.base))


def write_drawings(folder: Path, drawings: int, seed: int = SEED) -> None:
    """Write `drawings` garments as photos with `metadata.csv` (columns `COLUMNS`), all or none.

    Raises `UserError` if the folder has other files in it.
    """
    table = folder / "metadata.csv"
    if table.is_file():
        return
    if folder.exists() and any(folder.iterdir()):
        raise UserError(
            f"{folder}: expected no files, or finished drawings; found others, or unfinished ones; remove it"
        )
    with atomic_folder(folder) as draft:
        _draw_all(draft, drawings, seed)


def _draw_all(folder: Path, drawings: int, seed: int) -> None:
    (folder / "images").mkdir()
    rows = [_write_drawing(folder, number, seed) for number in progress(range(drawings), "drawing", unit="drawing")]
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])


def _write_drawing(folder: Path, number: int, seed: int) -> tuple[str, str, str]:
    rng = np.random.default_rng([seed, number])
    garment = sample_garment(rng)
    name = f"images/{number:06d}.jpg"
    draw(garment, rng).resize(DRAWN_SIZE).save(folder / name, quality=90)
    return name, alt_text(garment, rng), description(garment).lower()
