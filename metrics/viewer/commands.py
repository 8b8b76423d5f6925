"""The command view."""

import typer

app = typer.Typer(rich_help_panel="Reports")
