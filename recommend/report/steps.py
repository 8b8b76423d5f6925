"""The commands that a report runs, each in a process of its own: what imports faiss must not import PyTorch."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from metrics.common.errors import UserError
from metrics.common.processes import child_environment, python_module

PHOTO, TEXT = "photo", "text"


@dataclass(frozen=True)
class Step:
    """A command of the report.

    Attributes:
        package: whose command line has it.
        arguments: of the command.
        made: what it writes that need not be made again, None if it is run each time.
        title: of its part of the page, empty if it has none.
        page: the page that it writes, None if it writes none.
    """

    package: str
    arguments: Sequence[str]
    made: Path | None = None
    title: str = ""
    page: Path | None = None

    @property
    def command(self) -> str:
        """As a person would type it."""
        return " ".join(["lookbook", *self.arguments])


def stores(recipe: Path, out: Path, photo: str, text: str, resolution: int | None) -> list[Step]:
    """Prepare the catalogue, and embed its photos and texts into `out`."""
    embed = ("embed", str(recipe), "--encoder")
    side = ("--resolution", str(resolution)) if resolution else ()
    return [
        Step("finetune", ("prepare", str(recipe))),
        Step("finetune", (*embed, photo, *side, "--out", str(out / PHOTO)), out / PHOTO),
        Step("finetune", (*embed, text, "--out", str(out / TEXT)), out / TEXT),
    ]


def studies(out: Path, items: Path) -> list[Step]:
    """What the stores in `out` are good for; each step writes a page."""
    photo, both, table = str(out / PHOTO), (str(out / PHOTO), str(out / TEXT)), ("--items", str(items))
    pages = {name: out / f"{name}.html" for name in ("similar", "elbow", "map")}
    precision, clusters, methods = (out / name for name in ("attribute-precision", "clusters", "methods"))
    reduced, elbow = out / "photo-pca", pages["elbow"]
    reduce = ("reduce", photo, "--dimensions", "100", "--elbow", str(elbow), "--out", str(reduced))
    return [
        _study("Similar items", pages["similar"], "similar", *both, "--sample", "8", "--no-siblings", *table, "--html"),
        _study("Attribute precision", precision, "attribute-precision", *both, *table, "--join", "--out"),
        Step("recommend", reduce, reduced, "Reduction", elbow),
        _study("Maps", pages["map"], "map-photos", photo, *table, "--out"),
        _study("Clusters", clusters, "clusters", photo, *table, "--try", "2,5,10,20", "--out"),
        _study("Methods of search", methods, "compare-methods", photo, *table, "--out"),
    ]


def _study(title: str, out: Path, *arguments: str) -> Step:
    page = out if out.suffix else out / f"{out.name}.html"
    return Step("recommend", (*arguments, str(out)), title=title, page=page)


def run(step: Step) -> None:
    """Run a step, unless what it makes is there. Raises `UserError` naming the command that failed."""
    print(f"$ {step.command}", flush=True)
    if step.made is not None and step.made.exists() and (step.page is None or step.page.exists()):
        print(f"{step.made} is there already")
        return
    command = python_module(step.package, *step.arguments)
    code = subprocess.run(command, env=child_environment(), check=False).returncode  # noqa: S603
    if code:
        raise UserError(f"`{step.command}` failed with exit code {code}; its message is above")
