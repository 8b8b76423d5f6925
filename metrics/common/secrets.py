"""Secrets of the environment, which no message, page or record may hold: `$NAME` is shown in their place."""

import os
import re
from collections.abc import Mapping
from typing import Any

_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD)\Z", re.IGNORECASE)
_SHORTEST = 8  # shorter values, such as `true`, are words of any text


def secrets() -> dict[str, str]:
    """Return the values of the variables whose names end in KEY, TOKEN, SECRET or PASSWORD, by name, longest first."""
    found = {name: value for name, value in os.environ.items() if _NAME.search(name) and len(value) >= _SHORTEST}
    return dict(sorted(found.items(), key=lambda one: -len(one[1])))


def secret_in(text: str) -> str | None:
    """Return the name of a variable whose secret the text contains, None if there is none."""
    return next((name for name, value in secrets().items() if value in text), None)


def without_secrets(value: Any) -> Any:
    """Return text, or plain values with texts in them, with each secret replaced by `$NAME`."""
    return replaced(value, secrets())


def replaced(value: Any, known: Mapping[str, str]) -> Any:
    """As `without_secrets`, of the secrets `known` by their variables."""
    if not known:
        return value
    if isinstance(value, str):
        for name, secret in known.items():
            value = value.replace(secret, f"${name}")
        return value
    if isinstance(value, Mapping):
        return {key: replaced(entry, known) for key, entry in value.items()}
    return [replaced(entry, known) for entry in value] if isinstance(value, list | tuple) else value
