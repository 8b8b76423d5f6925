"""One model family a file. A new family is added here: its name and its class."""

from importlib import import_module
from typing import TYPE_CHECKING, Literal, cast, get_args

if TYPE_CHECKING:
    from finetune.models.families.base import Captioner

FamilyName = Literal["blip2", "llava"]
_CLASSES: dict[FamilyName, str] = {"blip2": "Blip2Captioner", "llava": "LlavaCaptioner"}
FAMILIES: tuple[FamilyName, ...] = get_args(FamilyName)


def captioner_class(name: FamilyName) -> "type[Captioner]":
    """The class of a family; torch is imported only now."""
    return cast("type[Captioner]", getattr(import_module(f"finetune.models.families.{name}"), _CLASSES[name]))
