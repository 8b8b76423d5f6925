"""The section `baselines` of a recipe: what makes photos similar to those baselines that look captions up."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from finetune.config.section import Section, expanded

BASE, NONE = "base", "none"


class Baselines(Section):
    """The captions of similar training photos: the nearest one's, and the consensus of several.

    `encoder`: what photos are compared by: `base`, the vision tower of the base model; an encoder of photos as `embed`
    names it (efficientnet-lite0, a CLIP's Hub id, ...); or `none`, without these baselines. `neighbours`: how many
    training items the consensus is of.
    """

    encoder: Annotated[str, Field(min_length=1), AfterValidator(lambda name: str(expanded(Path(name))))] = BASE
    neighbours: Annotated[int, Field(ge=2, le=100)] = 10
