"""YAML files, and what the command line changes in them."""

import difflib
from collections.abc import Iterator, Mapping
from copy import copy
from pathlib import Path
from typing import Any

import yaml

from metrics.common.errors import UserError
from metrics.common.files import refuse_special

MERGE, TEXT = "tag:yaml.org,2002:merge", "tag:yaml.org,2002:str"
SIMILAR = 0.75  # of 1: how much of a file's name a suggested one has in common with it
_TOO_DEEP = "lists or sections nested too deeply to be read; remove the brackets that are too many"


def read_yaml(path: Path, name: str) -> dict[str, Any]:
    """The values of a YAML file, a `name` in messages. Raises `UserError` if it cannot be read or is no mapping."""
    refuse_special(path)
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeys)  # noqa: S506
    except FileNotFoundError as error:
        near = difflib.get_close_matches(path.stem, [p.stem for p in path.parent.glob("*.yaml")], n=1, cutoff=SIMILAR)
        hint = f"; did you mean {path.parent / near[0]}.yaml?" if near else ""
        raise UserError(f"{path}: no such {name}{hint}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot read the {name}: {error}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{path}: not valid YAML: {error}") from error
    except RecursionError as error:
        raise UserError(f"{path}: expected a {name}, found {_TOO_DEEP}") from error
    if values is None:
        raise UserError(f"{path}: the file is empty; expected the keys of the {name}")
    if not isinstance(values, dict):
        kind = "a list" if isinstance(values, list) else f"the value {values!s:.100}"
        raise UserError(f"{path}: expected the keys of the {name}, found {kind}")
    return values


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys, as overrides name them, with their values."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def apply_override(values: dict[str, Any], override: str) -> None:
    """Apply `section.key=value`; in a list a number names the entry, any other key is set in all of them.

    Raises `UserError` if the override is not of this form or names no entry of a list.
    """
    path, separator, value = override.partition("=")
    keys = path.split(".")
    if not separator or not all(keys):
        raise UserError(f"override {override!r}: expected section.key=value, for example training.epochs=3")
    try:
        parsed = yaml.load(value, _UniqueKeys)  # noqa: S506
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"override {override!r}: the value is not valid YAML: {error}") from error
    except RecursionError as error:
        raise UserError(f"override {path}=...: expected a value, found {_TOO_DEEP}") from error
    _put(values, keys, parsed, f"override {override!r}")


def _put(section: dict[str, Any] | list[Any], keys: list[str], value: Any, source: str) -> None:
    """Set a value in a section, in one entry of a list or in all of them."""
    for place, rest in _places(section, keys, source):
        if not rest:
            section[place] = value
            continue
        inner = section.get(place) if isinstance(section, dict) else section[place]
        if not isinstance(inner, dict | list | None):
            raise UserError(f"{source}: {place} is a value, not a section")
        section[place] = (
            {} if inner is None else copy(inner)
        )  # a section shared by a YAML anchor changes in this place only
        _put(section[place], rest, value, source)


def _places(section: dict[str, Any] | list[Any], keys: list[str], source: str) -> list[tuple[Any, list[str]]]:
    if isinstance(section, dict):
        return [(keys[0], keys[1:])]
    if not keys[0].isdecimal() and section:
        return [(place, keys) for place in range(len(section))]
    if not keys[0].isdecimal() or int(keys[0]) >= len(section):
        raise UserError(f"{source}: {keys[0]}: the list there has {len(section)} entries, numbered from 0")
    return [(int(keys[0]), keys[1:])]


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a key that occurs twice in a mapping; YAML readers otherwise silently keep one of them.

    Keys are text: YAML otherwise reads the key `on` as true.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        repeated = next((key for key, _ in node.value if keys.count(key.value) > 1), None)
        if repeated is not None:
            problem = f"key {repeated.value!r} occurs twice in one section"
            raise yaml.constructor.ConstructorError(None, None, problem, repeated.start_mark)
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != MERGE:
                key.tag = TEXT
        return super().construct_mapping(node, deep)
