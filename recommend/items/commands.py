"""The commands similar and clusters."""

import typer

app = typer.Typer(rich_help_panel="Recommendation")
