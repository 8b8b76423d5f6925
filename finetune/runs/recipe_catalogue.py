"""What the viewer shows of a recipe's catalogue; the entry point `lookbook.recipe_catalogues`."""

from pathlib import Path

from finetune.config.command_line import needs_train
from metrics.common.errors import UserError


@needs_train
def recipe_catalogue(path: Path) -> tuple[Path | None, Path | None]:
    """Return the folder of the catalogue of the recipe at `path`, and its items.parquet, which is prepared if needed.

    Roles are those of the recipe's run, if there is one. Raises `UserError` if the recipe or the catalogue cannot be
    read, and if it is a mixture.
    """
    from finetune.runs.claim import load_begun  # noqa: PLC0415  # pydantic is in the extra `train`

    recipe = load_begun(path)
    if len(recipe.catalogues) > 1:
        raise UserError(f"{path}: mixes catalogues: {', '.join(recipe.catalogues)}; give the folder of one")
    from finetune.data.preparation import prepare  # noqa: PLC0415  # after the recipe is known to be right

    [section] = recipe.catalogues.values()
    prepared = prepare(section)
    return Path(prepared.account.folder) if prepared.account.folder else None, prepared.items
