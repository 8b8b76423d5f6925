"""The command recipe, which writes out a recipe that is part of the installation."""

import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import typer

from metrics.common.errors import UserError, user_errors
from metrics.common.files import make_folder, write_text

app = typer.Typer(rich_help_panel="Recipes")

# How a grid, a sweep or an ablation names the recipes that it runs.
REFERENCE = re.compile(r"\brecipe: recipes/([\w./-]+)\.yaml")


@app.command()
@user_errors()
def recipe(
    name: Annotated[str | None, typer.Argument(help="such as demo or grids/demo; default: list all names")] = None,
) -> None:
    """Write the packaged recipe NAME to recipes/NAME.yaml in the current folder, with the recipes that it names."""
    recipes = packaged_recipes()
    if name is None:
        for known, file in recipes.items():
            print(f"{known:34} {_title(file)}")
        return
    if name not in recipes:
        raise UserError(f"no recipe is called {name}; `lookbook recipe` lists their names: {', '.join(recipes)}")
    target = Path("recipes", f"{name}.yaml")
    if target.exists():
        raise UserError(f"{target}: is there already; remove it or go to another folder")
    text = recipes[name].read_text(encoding="utf-8")
    for part in dict.fromkeys([name, *REFERENCE.findall(text)]):
        path = Path("recipes", f"{part}.yaml")
        if not path.exists():
            make_folder(path.parent)
            write_text(path, recipes[part].read_text(encoding="utf-8"))
            print(path)


def packaged_recipes() -> dict[str, Traversable]:
    """Every packaged recipe by its name: its path in recipes/ without the suffix."""
    root = files("finetune.recipes")
    folders = {"": root} | {f"{folder.name}/": folder for folder in root.iterdir() if folder.is_dir()}
    return {
        f"{prefix}{file.name.removesuffix('.yaml')}": file
        for prefix, folder in sorted(folders.items())
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if file.name.endswith(".yaml")
    }


def _title(file: Traversable) -> str:
    """What a recipe is: its first comment up to a colon, a semicolon or the end of the sentence."""
    comment = file.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
    return re.split(r"[:;]|\.(?: (?=[A-Z])|$)", comment)[0]
