"""One model family a file. A new family is added here: its name and its class."""

from importlib import import_module
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from finetune.families.base import Captioner

FamilyName = Literal["blip2"]


def captioner_class(name: FamilyName) -> "type[Captioner]":
    """The class of a family; torch is imported only now."""
    classes = {"blip2": "Blip2Captioner"}
    return cast("type[Captioner]", getattr(import_module(f"finetune.families.{name}"), classes[name]))
