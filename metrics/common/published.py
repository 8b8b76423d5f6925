"""Published figures, which packages keep in `published.csv` to be shown beside ours."""

import csv
from importlib.resources import files


def published_figures(package: str) -> list[dict[str, str]]:
    """The rows of the table of a package such as `metrics.reports`; lines that begin with # are comments."""
    lines = files(package).joinpath("published.csv").read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))
