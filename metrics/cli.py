"""The console command `lookbook`, and what every command line shares.

Each room keeps its commands in a `commands.py` and registers them in pyproject.toml under the entry-point group
`lookbook.commands`, so that `lookbook` has the commands of whatever packages are installed.
"""

import inspect
import sys
from collections.abc import Callable, Mapping
from copy import copy
from functools import wraps
from importlib.metadata import entry_points
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer.main import get_command_name

from metrics.common.errors import UserError, user_errors
from metrics.common.processes import end_with_starter
from metrics.common.screen import verbosity
from metrics.common.version import installed_version

GROUP = "lookbook.commands"
ABOUT = "Fine-tune captioning models on fashion catalogues, write captions with them, and score captions."
_SHARED = {
    "quiet": Annotated[bool, typer.Option("--quiet", help="show only warnings, errors and the result")],
    "verbose": Annotated[bool, typer.Option("--verbose", help="show also what the libraries say")],
}


@user_errors()
def main() -> None:
    """Run `lookbook COMMAND`."""
    rooms = {entry.value.partition(":")[0]: entry.load() for entry in sorted(entry_points(group=GROUP))}
    assemble(ABOUT, rooms)(prog_name="lookbook")


def assemble(about: str, rooms: Mapping[str, typer.Typer]) -> typer.Typer:
    """One command line with the commands of all rooms, which are given by the names of their modules.

    `--help` shows those of a room under the `rich_help_panel` of its `typer.Typer`. All have the options `_SHARED`.

    Raises `UserError` if two rooms have a command of the same name.
    """
    _escape_unprintable()
    owners: dict[str, str] = {}
    app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    app.callback(help=about)(_options)
    for room, commands in rooms.items():
        for command in commands.registered_commands:
            name = command.name or get_command_name(command.callback.__name__)  # type: ignore[union-attr]
            if name in owners:
                raise UserError(
                    f"the command {name} is defined twice, in {owners[name]} and in {room}; "
                    "uninstall one of the two packages, or rename its command"
                )
            owners[name] = room
            shared = copy(command)
            shared.callback = _shared(command.callback)  # type: ignore[arg-type]
            shared.rich_help_panel = commands.rich_help_panel or room.removesuffix(".commands")
            app.registered_commands.append(shared)
    return app


def _shared(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with `--quiet` and `--verbose`; its process ends with the one of ours that started it."""

    @wraps(command)
    def wrapped(*args: Any, quiet: bool = False, verbose: bool = False, **kwargs: Any) -> Any:
        end_with_starter()
        with user_errors(), verbosity(quiet=quiet, verbose=verbose):
            return command(*args, **kwargs)

    signature = inspect.signature(command)
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation)
        for name, annotation in _SHARED.items()
    ]
    wrapped.__signature__ = signature.replace(parameters=[*signature.parameters.values(), *shared])  # type: ignore[attr-defined]
    wrapped.__annotations__ = command.__annotations__ | _SHARED
    return wrapped


def _escape_unprintable() -> None:
    """Print backslash escapes for characters that the terminal's encoding lacks, and for names that are no UTF-8."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"lookbook {installed_version()}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options of the command line itself."""
    _escape_unprintable()
