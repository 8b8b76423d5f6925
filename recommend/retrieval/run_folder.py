"""The folder of a run of composed retrieval: whose it is, and its files."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from finetune.config.errors import parse
from metrics.common.errors import UserError
from metrics.common.files import make_folder, read_json_object, write_text
from metrics.common.ownership import Contents, refuse_foreign
from recommend.retrieval.fashion_iq import Split
from recommend.retrieval.recipe import Recipe

_REMEDY = "name another output, or remove this folder"
_CONTENTS = Contents({"recipe.json": ('"recipe": {', '"data": "')}, record="recipe.json")


class ComposedRun:
    """A run's folder.

    Attributes:
        path: the folder.
        recipe_file: what it is the run of.
        features: the store of a frozen encoder's features of photos.
        text: what the text encoder has learnt.
        weights, about: of the trained model, and what its encoders were.
        checkpoints: while it trains.
        vectors: the store of all photos in the model's space.
        categories: the ids of the photos of each category.
        training: the record, written when the model is there whole.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.recipe_file, self.training = path / "recipe.json", path / "training.json"
        self.features, self.vectors, self.checkpoints = path / "photos", path / "vectors", path / "checkpoints"
        self.text, self.weights, self.about = path / "text", path / "model.safetensors", path / "model.json"
        self.categories = path / "categories.json"

    @property
    def trained(self) -> bool:
        """Whether its model is there."""
        return self.training.is_file()

    def claim(self, recipe: Recipe, splits: Sequence[Split]) -> None:
        """Make the folder this recipe's on these pairs.

        Raises `UserError` if it holds anything else, or cannot be written.
        """
        if self.refuse_other(recipe, splits):
            return
        make_folder(self.path)
        write_text(self.recipe_file, json.dumps(_values(recipe, splits), indent=1) + "\n")

    def refuse_other(self, recipe: Recipe, splits: Sequence[Split]) -> bool:
        """Whether the folder is this recipe's on these pairs already; raises `UserError` as `claim` does."""
        refuse_foreign(self.path, _CONTENTS, "name another output")
        begun = self.recipe_file.is_file()
        if begun:
            self._refuse_other(_values(recipe, splits))
        return begun

    def recipe(self) -> Recipe:
        """The recipe that it is the run of. Raises `UserError` if it holds no trained model."""
        if not self.recipe_file.is_file() or not self.trained:
            raise UserError(f"{self.path}: expected a trained run of composed retrieval; run compose-train first")
        values = read_json_object(self.recipe_file, "train again").get("recipe")
        if not isinstance(values, dict):
            raise UserError(f"{self.recipe_file}: has no recipe; train again")
        return parse(Recipe, values, str(self.recipe_file))

    def _refuse_other(self, values: Mapping[str, Any]) -> None:
        found = read_json_object(self.recipe_file, _REMEDY)
        if found.get("data") != values["data"]:
            raise UserError(f"{self.path}: holds a run on other pairs or photos; {_REMEDY}")
        theirs, ours = _flat(found.get("recipe")), _flat(values["recipe"])
        changed = next((key for key in sorted(ours | theirs) if ours.get(key) != theirs.get(key)), None)
        if changed is not None:
            there, wanted = theirs.get(changed), ours.get(changed)
            raise UserError(f"{self.path}: holds a run with {changed} {there}, found {wanted} in the recipe; {_REMEDY}")


def _values(recipe: Recipe, splits: Sequence[Split]) -> dict[str, Any]:
    return {"recipe": recipe.model_dump(mode="json"), "data": _digest(splits)}


def _flat(values: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(values, dict):
        return {prefix.rstrip("."): values}
    return {name: one for key, value in values.items() for name, one in _flat(value, f"{prefix}{key}.").items()}


def _digest(splits: Sequence[Split]) -> str:
    """Hash of all ids and pairs."""
    digest = hashlib.sha256()
    for split in splits:
        values = [split.category, split.name, list(split.ids), [asdict(pair) for pair in split.pairs]]
        digest.update(json.dumps(values).encode())
    return digest.hexdigest()[:16]
