"""How earlier versions wrote recipes, so that their files still read and their unfinished runs still resume."""

from collections.abc import Mapping
from typing import Any

from metrics.common.errors import UserError

# Sections by their old name. An old name is read wherever a recipe, an override or a run's record is.
RENAMED = {"judging": "evaluation"}


def with_current_names(values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """A recipe's values with old section names replaced. Raises `UserError` where both names are given."""
    current = dict(values)
    for old, new in RENAMED.items():
        if old in current and new in current:
            raise UserError(f"{source}: {old} is the old name of {new}; found both, give one of them")
        if old in current:
            current[new] = current.pop(old)
    return current


def current_key(override: str) -> str:
    """An override `section.key=value` with its section's old name replaced."""
    path, separator, value = override.partition("=")
    section, dot, rest = path.partition(".")
    return RENAMED.get(section, section) + dot + rest + separator + value
