"""What every part of a recipe has in common."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A block of a recipe: immutable, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def expanded(path: Path) -> Path:
    """The path with `~` and `$VARIABLES` replaced. Raises `ValueError` if a variable is not set."""
    whole = Path(os.path.expandvars(path)).expanduser()
    if "$" in str(whole):
        raise ValueError(f"set the environment variable in {path}")
    return whole
