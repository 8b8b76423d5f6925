"""Typed access to a JSON object from anybody's file."""

from collections.abc import Callable, Mapping
from typing import Any

from metrics.common.errors import UserError

_HUGE = 1e30  # no loss, time or count is as large; NaN fails the comparison too
_WHOLE = range(-(2**63), 2**63)  # what SQLite, Arrow and NumPy hold


class JsonReader:
    """The values of one JSON object by type; a wrong type is a `UserError` that names the place.

    Attributes:
        values: the whole object.
        where: what names it in messages.
        remedy: what the user can do about a wrong type; it ends the messages.
    """

    def __init__(self, values: object, where: str, remedy: str) -> None:
        self.where = where
        self.remedy = remedy
        if not isinstance(values, dict):
            raise self.error(f"expected a JSON object, found {type(values).__name__}")
        self.values: dict[str, Any] = values

    def error(self, problem: str) -> UserError:
        """The error to raise for a `problem` of this object: it names the place and ends with what to do."""
        return UserError(f"{self.where}: {problem}; {self.remedy}")

    def text(self, key: str) -> str | None:
        """The string at `key`, None if it is missing or null."""
        value: str | None = self._typed(key, "a string", lambda value: isinstance(value, str))
        return value

    def whole(self, key: str) -> int | None:
        """The whole number of at most 64 bits at `key`, None if it is missing or null."""
        value: int | None = self._typed(key, "a whole number", _is_whole)
        return value

    def number(self, key: str) -> float | None:
        """The number at `key`, None if it is missing, null or not finite."""
        value: float | None = self._typed(key, "a number", _is_number)
        return value if _is_finite(value) else None

    def mapping(self, key: str) -> Mapping[str, Any]:
        """The object at `key`, empty if it is missing or null."""
        value: Mapping[str, Any] | None = self._typed(key, "an object", lambda value: isinstance(value, dict))
        return value or {}

    def inside(self, key: str) -> "JsonReader":
        """A reader of the object at `key`."""
        return JsonReader(self.mapping(key), f"{self.where}: {key}", self.remedy)

    def each(self, key: str) -> list["JsonReader"]:
        """Readers of the objects in the list at `key`."""
        places = enumerate(self._list(key))
        return [JsonReader(value, f"{self.where}: {key}[{place}]", self.remedy) for place, value in places]

    def mappings(self, key: str) -> list[dict[str, Any]]:
        """The objects in the list at `key`."""
        return [reader.values for reader in self.each(key)]

    def texts(self, key: str) -> list[str]:
        """The strings in the list at `key`."""
        values = self._list(key)
        wrong = next((value for value in values if not isinstance(value, str)), None)
        if wrong is not None:
            raise self.error(f'"{key}" must be a list of strings, found {wrong!r:.60} in it')
        return values

    def numbers(self, key: str | None = None) -> dict[str, Any]:
        """The finite numbers of this object, or of the object at `key`."""
        values = self.values if key is None else self.mapping(key)
        return {name: value for name, value in values.items() if _is_finite(value)}

    def _list(self, key: str) -> list[Any]:
        values: list[Any] | None = self._typed(key, "a list", lambda value: isinstance(value, list | tuple))
        return list(values or ())

    def _typed(self, key: str, expected: str, holds: Callable[[object], bool]) -> Any:
        value = self.values.get(key)
        if value is not None and not holds(value):
            raise self.error(f'"{key}" must be {expected}, found {value!r:.60}')
        return value


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value in _WHOLE


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _HUGE
