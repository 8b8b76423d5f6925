"""What every part of a recipe has in common."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=1_000_000_000)]  # items, steps
Size = Annotated[int, Field(ge=1, le=65_536)]  # of a batch, a layer, a text
Positive = Annotated[float, Field(gt=0, le=1e9)]
NotNegative = Annotated[float, Field(ge=0, le=1e9)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what NumPy takes
_HIGHEST_RATE = 1e30


def _in_float32(rate: float) -> float:
    if rate > _HIGHEST_RATE:
        raise ValueError(f"expected at most {_HIGHEST_RATE:g}, with which float32 can still compute")
    return rate


LearningRate = Annotated[float, Field(gt=0), AfterValidator(_in_float32)]
LowestRate = Annotated[float, Field(ge=0), AfterValidator(_in_float32)]


class Section(BaseModel):
    """A block of a recipe: immutable, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def expanded(path: Path) -> Path:
    """The path with `~` and `$VARIABLES` replaced. Raises `ValueError` if a variable is not set."""
    whole = Path(os.path.expandvars(path)).expanduser()
    if "$" in str(whole):
        raise ValueError(f"set the environment variable in {path}")
    return whole
