"""How earlier versions wrote recipes, so that their files still read and their unfinished runs still resume."""

import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

from metrics.common.errors import UserError

# Sections by their old name. An old name is read wherever a recipe, an override or a run's record is.
RENAMED = {"judging": "evaluation"}
# Keys added since, with the value that means what was done before there was a key ("data.split.version": 1). Runs begun
# before resume with it, and a data section with it has the fingerprint that it always had. A key whose default is the
# old behaviour belongs here too.
# A function makes it of the section that lacks the key.
ADDED: dict[str, Any] = {
    "language": "en",
    "data.split.version": 1,
    "data.split.join_similar": None,
    "data.encoding": None,
    "data.outside": "read",
    "model.image": lambda model: "crop" if model.get("family") == "llava" else "stretch",
}


def with_current_names(values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """A recipe's values with old section names replaced. Raises `UserError` if both names are given."""
    current = dict(values)
    for old, new in RENAMED.items():
        if old in current and new in current:
            raise UserError(f"{source}: {old} is the old name of {new}; found both, give one of them")
        if old in current:
            current[new] = current.pop(old)
    return current


def current_overrides(overrides: Iterable[str], source: str) -> list[str]:
    """Overrides `section.key=value` with old section names replaced. Raises `UserError` if both names are given."""
    names = [(re.split("[.=]", override, maxsplit=1)[0], override) for override in overrides]
    with_current_names(dict(names), source)  # refuses both names of one section
    return [RENAMED.get(section, section) + override.removeprefix(section) for section, override in names]


def with_old_values(
    values: Mapping[str, Any], began: Mapping[str, Any], defaults: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A recipe's values, with the old value of each key of `ADDED` that they lack, and that the run `began` without.

    A section that they lack as a whole is taken from `defaults`, the recipe with all its values.
    """
    completed = deepcopy(dict(values))
    for key, value in ADDED.items():
        if value is not None and not _has(began, key.split(".")):  # None is what these keys have by themselves
            _complete(completed, key.split("."), value, values if defaults is None else defaults)
    return completed


def _has(section: Any, keys: list[str]) -> bool:
    """Whether a section, or any entry of a list, has a dotted key."""
    if isinstance(section, list):
        return any(_has(entry, keys) for entry in section)
    if not isinstance(section, Mapping) or keys[0] not in section:
        return False
    return len(keys) == 1 or _has(section[keys[0]], keys[1:])


def _complete(section: Any, keys: list[str], value: Any, defaults: Any) -> None:
    """Set a value that a section lacks; of a list, in each entry."""
    if isinstance(section, list):
        for entry, default in zip(section, defaults, strict=True):
            _complete(entry, keys, value, default)
    elif not isinstance(section, dict):
        return  # what is wrong with it is said when the recipe is checked
    elif len(keys) == 1:
        section.setdefault(keys[0], value(section) if callable(value) else value)
    elif keys[0] in section:
        _complete(section[keys[0]], keys[1:], value, defaults.get(keys[0], {}))
    else:
        section[keys[0]] = deepcopy(defaults.get(keys[0], {}))
        section[keys[0]].pop(keys[1], None)
        _complete(section[keys[0]], keys[1:], value, {})
