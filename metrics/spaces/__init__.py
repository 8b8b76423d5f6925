"""The measures as modules of Hugging Face `evaluate`: each folder here is loaded by it, or pushed as a Space."""

from pathlib import Path


def path(name: str) -> str:
    """Return what `evaluate.load` and `evaluate.combine` take for one of our measures, such as `cider`."""
    return str(Path(__file__).parent / name)
