"""The command bench-recommend."""

import typer

app = typer.Typer(rich_help_panel="Recommendation")
