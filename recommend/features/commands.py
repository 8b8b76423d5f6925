"""The command reduce."""

import typer

app = typer.Typer(rich_help_panel="Recommendation")
