"""One model family a file. A family is registered here, by its name and its class."""

from importlib import import_module
from typing import TYPE_CHECKING, cast

from metrics.common.errors import UserError

if TYPE_CHECKING:
    from finetune.config.recipe import FamilyName
    from finetune.models.families.base import Captioner

_CLASSES: dict["FamilyName", str] = {"blip2": "Blip2Captioner", "llava": "LlavaCaptioner"}
FAMILIES = tuple(_CLASSES)


def captioner_class(name: "FamilyName") -> "type[Captioner]":
    """The class of a family, from the file of its name; torch is imported only now."""
    return cast("type[Captioner]", getattr(import_module(f"finetune.models.families.{name}"), _CLASSES[name]))


def family_of(base: str, revision: str | None = None) -> "FamilyName":
    """The family of a base model, a folder or a Hub id. Raises `UserError` if it is of none of them."""
    from finetune.models.loading import read_config  # noqa: PLC0415

    model_type = read_config(base, revision).get("model_type")
    known = {captioner_class(name).model_type: name for name in FAMILIES}
    if model_type not in known:
        raise UserError(f"model.base: {base}: model_type is {model_type!r}; expected one of {', '.join(known)}")
    return known[model_type]
