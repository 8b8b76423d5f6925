"""YAML files, and what the command line changes in them."""

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping
from copy import copy
from pathlib import Path
from typing import Any

import yaml

from metrics.common.errors import UserError
from metrics.common.files import refuse_special
from metrics.common.json_text import DEEPEST, TOO_DEEP, check_nesting

MERGE, TEXT = "tag:yaml.org,2002:merge", "tag:yaml.org,2002:str"
SIMILAR = 0.75  # of 1: how much of a file's name a suggested one has in common with it
_MOST = 100_000  # values; a few anchors that name each other can stand for billions
_LONGEST_NUMBER = 9  # digits of a place in a list


def read_yaml(path: Path, name: str) -> dict[str, Any]:
    """The values of a YAML file, a `name` in messages. Raises `UserError` if it cannot be read or is no mapping."""
    refuse_special(path)
    try:
        values = _parsed(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        near = difflib.get_close_matches(path.stem, [p.stem for p in path.parent.glob("*.yaml")], n=1, cutoff=SIMILAR)
        hint = f"; did you mean {path.parent / near[0]}.yaml?" if near else ""
        raise UserError(f"{path}: no such {name}{hint}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot read the {name}: {error}") from error
    except ValueError as error:
        raise UserError(f"{path}: not valid YAML: {error}") from error
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
    if not separator or not all(keys) or len(keys) > DEEPEST:
        raise UserError(f"override {override!r:.100}: expected section.key=value, for example training.epochs=3")
    try:
        parsed = _parsed(value)
    except ValueError as error:
        raise UserError(f"override {path}=...: the value is not valid YAML: {error}") from error
    _put(values, keys, parsed, f"override {override!r:.100}")


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
    if not keys[0].isdecimal() or len(keys[0]) > _LONGEST_NUMBER or int(keys[0]) >= len(section):
        raise UserError(f"{source}: {keys[0]:.40}: the list there has {len(section)} entries, numbered from 0")
    return [(int(keys[0]), keys[1:])]


def _parsed(text: str) -> Any:
    """The value of a YAML text. Raises `ValueError` saying why it is none, or too large with its anchors resolved."""
    try:
        value = yaml.load(text, _UniqueKeys)  # noqa: S506
        check_nesting(value, _MOST)
    except RecursionError as error:
        raise ValueError(TOO_DEEP) from error
    except (yaml.YAMLError, LookupError, AttributeError, TypeError, OverflowError) as error:
        raise ValueError(str(error) or type(error).__name__) from error  # PyYAML checks no value that has a tag
    return value


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a key that occurs twice in a mapping; YAML readers otherwise silently keep one of them.

    Keys are text: YAML otherwise reads the key `on` as true.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        scalars = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        times = Counter(key.value for key in scalars)
        repeated = next((key for key in scalars if times[key.value] > 1), None)
        if repeated is not None:
            problem = f"key {repeated.value!r} occurs twice in one section"
            raise yaml.constructor.ConstructorError(None, None, problem, repeated.start_mark)
        for key in scalars:
            if key.tag != MERGE:
                key.tag = TEXT
        return super().construct_mapping(node, deep)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        super().flatten_mapping(node)
        if len(node.value) > _MOST:
            raise ValueError(f"more than {_MOST:,} keys, as its merged anchors repeat them")

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        value = int(super().construct_yaml_int(node))
        if value.bit_length() > 63:
            raise ValueError("a whole number of more than 64 bits")
        return value


_UniqueKeys.add_constructor("tag:yaml.org,2002:int", _UniqueKeys.construct_yaml_int)
