"""The commands that a report runs, each in a process of its own: what imports faiss must not import PyTorch."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from finetune.data.feature_cache import FeatureStore
from finetune.data.feature_files import remove_store
from metrics.common.errors import UserError
from metrics.common.processes import child_environment, python_module
from metrics.common.screen import is_quiet, say
from recommend.report.table import MAPS, METHODS, PRECISION, Columns

PHOTO, TEXT = "photo", "text"
_DIMENSIONS, _SAMPLE, _CLUSTERS = 100, 8, (2, 5, 10, 20)


@dataclass(frozen=True)
class Step:
    """A command of the report.

    Attributes:
        package: whose command line has it.
        arguments: of the command.
        source, made: the store that it reduces, and the one that it writes, which is kept while it is of the same
            features; None of a command that is run each time.
        dimensions: of the store that it writes.
        title: of its part of the page, empty if it has none.
        page: the page that it writes, None if it writes none.
    """

    package: str
    arguments: Sequence[str]
    source: Path | None = None
    made: Path | None = None
    title: str = ""
    page: Path | None = None
    dimensions: int | None = None

    @property
    def command(self) -> str:
        """As a person would type it."""
        return " ".join(["lookbook", *self.arguments])


def prepare(recipe: Path) -> Step:
    """Prepare the catalogue, which writes the table of its items."""
    return Step("finetune", ("prepare", str(recipe)))


def stores(recipe: Path, out: Path, photo: str, text: str, resolution: int | None) -> list[Step]:
    """Embed the catalogue's photos and texts into `out`; `embed` keeps a store of the same features, refuses others."""
    embed = ("embed", str(recipe), "--encoder")
    side = ("--resolution", str(resolution)) if resolution else ()
    return [
        Step("finetune", (*embed, photo, *side, "--out", str(out / PHOTO))),
        Step("finetune", (*embed, text, "--out", str(out / TEXT))),
    ]


def studies(out: Path, items: Path, columns: Columns, count: int) -> list[Step]:
    """What the stores in `out`, of `count` items, are good for; each step writes a page.

    Those that need columns which the table lacks are left out.
    """
    photo, both, table = str(out / PHOTO), (str(out / PHOTO), str(out / TEXT)), ("--items", str(items))
    similar, page = out / "similar.html", out / "map.html"
    precision, clusters, methods = (out / name for name in ("attribute-precision", "clusters", "methods"))
    sample = ("--sample", str(min(_SAMPLE, count)))
    dimensions = max(1, min(_DIMENSIONS, count // 4))  # of few items Isomap finds fewer
    few = ("--dimensions", str(dimensions))
    attributes = _repeated("--attribute", columns.attributes)
    compared = (*table, *attributes) if attributes else ()
    tried = ("--try", ",".join(str(k) for k in _CLUSTERS if k <= count))
    colours = _repeated("--colour-by", columns.colours)
    steps = [_study("Similar items", similar, "similar", *both, *sample, "--no-siblings", *table, "--html")]
    if attributes:
        steps.append(_study(PRECISION, precision, "attribute-precision", *both, *compared, "--join", "--out"))
    steps.append(_reduction(out, dimensions))
    if colours:
        steps.append(_study(MAPS, page, "map-photos", photo, *table, *colours, "--out"))
    steps.append(_study("Clusters", clusters, "clusters", photo, *compared, *few, *tried, "--out"))
    if attributes:
        steps.append(_study(METHODS, methods, "compare-methods", photo, *compared, *few, "--out"))
    return steps


def _repeated(option: str, values: Sequence[str]) -> tuple[str, ...]:
    return tuple(word for value in values for word in (option, value))


def _reduction(out: Path, dimensions: int) -> Step:
    photo, reduced, elbow = out / PHOTO, out / f"{PHOTO}-pca", out / "elbow.html"
    asked = ("--dimensions", str(dimensions), "--elbow", str(elbow), "--out", str(reduced))
    return Step("recommend", ("reduce", str(photo), *asked), photo, reduced, "Reduction", elbow, dimensions)


def _study(title: str, out: Path, *arguments: str) -> Step:
    page = out if out.suffix else out / f"{out.name}.html"
    return Step("recommend", (*arguments, str(out)), title=title, page=page)


def run(step: Step) -> None:
    """Run a step, unless the store that it makes is of the features of its source; an older one is removed first.

    Raises `UserError` naming the command that failed, or the folder to remove if it is no store that we wrote.
    """
    say(f"$ {step.command}")
    if step.source and step.made and step.made.exists():
        if step.page and step.page.exists() and _is_of(step.made, step.source, step.dimensions):
            say(f"{step.made} is there already")
            return
        FeatureStore.open(step.made)
        remove_store(step.made)
        say(f"{step.made} is not what is asked for of {step.source}, or lacks its page: made again")
    command = python_module(step.package, *step.arguments)
    stdout = subprocess.DEVNULL if is_quiet() else None
    code = subprocess.run(command, env=child_environment(), stdout=stdout, check=False).returncode  # noqa: S603
    if code:
        raise UserError(f"`{step.command}` failed with exit code {code}; its message is above")


def _is_of(made: Path, source: Path, dimensions: int | None) -> bool:
    """Whether `reduce` has made a store of so many dimensions of the features that are in `source`."""
    store = FeatureStore.open(made)
    ours, theirs = store.about, FeatureStore.open(source).about
    return (
        store.shape == (dimensions,)
        and ours.pooling.startswith(f"{theirs.pooling}; ")
        and ours == replace(theirs, pooling=ours.pooling, items=ours.items)
    )
