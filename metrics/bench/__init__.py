"""Time and memory of the measures compared with the official scorers."""
