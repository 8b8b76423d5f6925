"""The measures' time and memory beside those of the official scorers."""
