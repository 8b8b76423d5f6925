"""The command attribute-precision."""

import typer

app = typer.Typer(rich_help_panel="Recommendation")
