"""Which packages a measure with a model of its own lacks. Imports none of them."""

from importlib.util import find_spec


def missing_packages(*names: str) -> str | None:
    """Return what to install if one of the packages of the extra `measures` is missing, None if all are there."""
    absent = [name for name in names if find_spec(name) is None]
    return f"{', '.join(absent)} not installed, run: pip install '.[measures]' in Lookbook's folder" if absent else None
