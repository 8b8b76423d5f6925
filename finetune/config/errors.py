"""The errors of a recipe, in terms of the keys that its author wrote."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from finetune.config.overrides import flat
from finetune.config.section import Section
from metrics.common.errors import UserError
from metrics.common.secrets import secret_in

ONE, SEVERAL = "one", "several"
LONGEST_SHOWN = 200
_NO_TEXT = re.compile("[\0\ud800-\udfff]")  # no path has a NUL, no UTF-8 half of a character
# What a value must be, by pydantic's type of error.
EXPECTED = {
    "dict_type": "a section with keys",
    "model_type": "a section with keys",
    "model_attributes_type": "a section with keys",
    "tuple_type": "a list",
    "too_short": "at least one entry",
    "path_type": "a path",
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "float_type": "a number",
    "float_parsing": "a number",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
}
Parsed = TypeVar("Parsed", bound=Section)


def parse(kind: type[Parsed], values: Mapping[str, Any], source: str) -> Parsed:
    """Validate the values of a YAML file of this `kind`.

    Raises `UserError` with all errors at once, or if a value contains a secret of the environment.
    """
    broken = [f"  {key}: expected text, found {found!r} in it; leave that out" for key, found in _broken_texts(values)]
    if broken:
        raise _several(kind, source, broken)
    try:
        parsed = kind.model_validate(values)
    except ValidationError as error:
        lines = [f"  {_explain(kind, one)}" for one in error.errors() if not _only_follows(one)]
        raise _several(kind, source, lines) from error
    _refuse_secrets(parsed, source)
    return parsed


def _several(kind: type[BaseModel], source: str, lines: list[str]) -> UserError:
    return UserError("\n".join([f"{source}: {len(lines)} error(s) in the {kind.__name__.lower()}", *lines]))


def _broken_texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Dotted keys of texts with a NUL or half of a character in them, and which one it is."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _broken_texts(str(name), key or "a key")
            yield from _broken_texts(inner, f"{key}.{name}".lstrip("."))
    elif isinstance(value, list | tuple):
        for place, inner in enumerate(value):
            yield from _broken_texts(inner, f"{key}.{place}")
    elif isinstance(value, str) and (found := _NO_TEXT.search(value)):
        yield key, found[0]


def _refuse_secrets(parsed: Section, source: str) -> None:
    """Recipes are kept in records, reports, trackers and on cards; a secret comes into one by `$NAME` in a path."""
    for key, value in flat(parsed.model_dump(mode="json")):
        if name := secret_in(str(value)):
            raise UserError(
                f"{source}: {key}: contains the secret in ${name}, and records and reports keep recipes; leave it out"
            )


def _only_follows(error: Any) -> bool:
    """Whether a list is too short only because its entries have errors, which are reported themselves."""
    return error["type"] == "too_short" and bool(error["input"])


def _explain(kind: type[BaseModel], error: Any) -> str:
    """One line for one of pydantic's errors, with the nearest known key for an unknown one."""
    sections, keys = _located(kind, error["loc"])
    where = ".".join(keys) or kind.__name__.lower()
    if error["type"].startswith("union_tag"):
        key, found = error["ctx"]["discriminator"].strip("'"), error["ctx"].get("tag", "nothing")
        known = list(_by_tag(sections))
        return f"{where}.{key}: expected one of {', '.join(known)}; found {found}{nearest(found, known)}"
    if error["type"] == "missing":
        return f"{where}: missing; the {kind.__name__.lower()} must give it"
    if error["type"] != "extra_forbidden":
        return f"{where}: {_expected(error)}, found {_shown(error['input'])}{_remedy(error)}"
    known = list(sections[0].model_fields)
    return f"{where}: unknown key{nearest(keys[-1], known) or '; known: ' + ', '.join(known)}"


def _expected(error: Any) -> str:
    message: str = error["msg"].removeprefix("Value error, ")
    if error["type"] in EXPECTED:
        return f"expected {EXPECTED[error['type']]}"
    if error["type"] == "string_pattern_mismatch":
        return f"expected text that matches {error['ctx']['pattern']}"
    if error["type"].startswith(("greater_than", "less_than")):
        return message.replace("Input should be", "expected a number", 1)
    return message.replace("Input should be", "expected", 1)


def _remedy(error: Any) -> str:
    """What to do about a value left blank, or text that YAML reads as a number, a truth value or a date."""
    if error["input"] is None:
        return "; write one, or leave the key out"
    is_other = error["type"] == "string_type" and isinstance(error["input"], int | float | date)
    return "; write it in quotes" if is_other else ""


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the known one it may have meant."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _shown(value: Any) -> str:
    if value is None:
        return "no value"
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value) if isinstance(value, date) else repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 3]}..."


def _located(kind: type[BaseModel], location: tuple[int | str, ...]) -> tuple[list[type[BaseModel]], list[str]]:
    """The section that an error is in, and its key as the file has it; the parts of a union whose tag is wrong.

    Pydantic puts the tag of a union's part after its key or its place in a list, and `ONE` or `SEVERAL` after `data`.
    """
    sections, keys = [kind], []
    for key in location:
        if len(sections) > 1 and isinstance(key, str):
            sections = [_by_tag(sections)[key]] if key not in (ONE, SEVERAL) else sections
            continue
        keys.append(str(key))
        field = sections[0].model_fields.get(str(key))
        sections = (_models(field.annotation) if field else []) or sections
    return sections, keys


def _by_tag(sections: Iterable[type[BaseModel]]) -> dict[str, type[BaseModel]]:
    """The parts of a union by the value that their discriminator, a literal that each must give, may have."""
    parts: dict[str, type[BaseModel]] = {}
    for section in sections:
        for field in section.model_fields.values():
            if field.is_required() and get_origin(field.annotation) is Literal:
                parts |= dict.fromkeys(get_args(field.annotation), section)
    return parts


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]
