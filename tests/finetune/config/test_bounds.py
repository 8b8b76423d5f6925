"""Every number of a recipe has an upper bound: a recipe is read before anybody looks at what it asks for."""

import types
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from finetune.config.recipe import Recipe, parse_recipe
from metrics.common.errors import UserError
from recommend.experiments.recipe import Recipe as Experiments
from recommend.ranker.recipe import Recipe as Ranking
from recommend.retrieval.recipe import Recipe as Composed

OWNED_ELSEWHERE = (
    "seed",
    "learning_rate",
    "Rates.vision",
    "Rates.connector",
    "Rates.language",
)  # with tests of their own


def numbers(kind: type[BaseModel], seen: set[type]) -> list[tuple[str, FieldInfo, bool]]:
    """The fields of a section and those in it that hold a number, and whether it has an upper bound."""
    if kind in seen:
        return []
    seen.add(kind)
    found = []
    for name, field in kind.model_fields.items():
        found += of_annotation(f"{kind.__name__}.{name}", field.annotation, field.metadata, field, seen)
    return found


def of_annotation(
    name: str, annotation: Any, metadata: Any, field: FieldInfo, seen: set[type]
) -> list[tuple[str, FieldInfo, bool]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return numbers(annotation, seen)
    if annotation in (int, float):
        return [(name, field, "le=" in repr(metadata) or "lt=" in repr(metadata))]
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        return of_annotation(name, inner, [metadata, *more], field, seen)
    parts = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType, tuple) else ()
    return [one for part in parts for one in of_annotation(name, part, metadata, field, seen)]


@pytest.mark.parametrize("kind", [Recipe, Experiments, Ranking, Composed])
def test_every_number_is_bounded(kind: type[BaseModel]) -> None:
    found = numbers(kind, set())
    assert len(found) > 5
    unbounded = [name for name, _, bounded in found if not bounded and not name.endswith(OWNED_ELSEWHERE)]
    assert not unbounded


@pytest.mark.parametrize("value", ["batch_size: 100000000000", "epochs: 1.0e+300", "workers: 5000"])
def test_a_number_too_large_is_refused(value: str) -> None:
    key, number = value.split(": ")
    data = {"catalogue": "demo", "folder": "x"}
    training = {key: float(number) if "e" in number else int(number)}
    with pytest.raises(UserError, match=f"training.{key}: expected a number less than or equal to"):
        parse_recipe({"output": "out", "data": data, "model": {"base": "x"}, "training": training}, "recipe")
