"""Every argument and option of every command has a help text."""

from importlib.metadata import entry_points
from typing import Any

import pytest
import typer

from metrics.cli import GROUP, assemble


def commands() -> dict[str, Any]:
    rooms = {entry.value.partition(":")[0]: entry.load() for entry in entry_points(group=GROUP)}
    return dict(typer.main.get_command(assemble("about", rooms)).commands)  # type: ignore[attr-defined]


COMMANDS = commands()


@pytest.mark.parametrize("name", COMMANDS)
def test_everything_is_explained(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    assert [one.name for one in command.params if not one.help] == []
