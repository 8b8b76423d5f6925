"""Installing what SPICE needs besides its official jar: Stanford CoreNLP 3.6.0 and a JavaScript engine."""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from metrics.common.cache import cache_folder
from metrics.common.drafts import draft_folder, remove_dead
from metrics.common.errors import UserError
from metrics.common.files import sha256
from metrics.common.screen import progress, say

COMMAND = "lookbook install-spice"
_CENTRAL = "https://repo.maven.apache.org/maven2"
_GPL = "GPL v3 or later"
_MPL = "MPL 2.0"


@dataclass(frozen=True, slots=True)
class Jar:
    """A file of Maven Central, its size in bytes, its SHA-256 and its licence."""

    group: str
    artifact: str
    version: str
    classifier: str
    size: int
    sha256: str
    licence: str

    @property
    def name(self) -> str:
        """The name of the file."""
        return "-".join(filter(None, (self.artifact, self.version, self.classifier))) + ".jar"

    @property
    def address(self) -> str:
        """The URL of the file."""
        return "/".join((_CENTRAL, *self.group.split("."), self.artifact, self.version, self.name))


JARS = (
    Jar(
        "edu.stanford.nlp",
        "stanford-corenlp",
        "3.6.0",
        "",
        7_270_741,
        "d341d5863276f55782c5ef73212222d6b3b48e02ae1951ab6de7618d28b12742",
        _GPL,
    ),
    Jar(
        "edu.stanford.nlp",
        "stanford-corenlp",
        "3.6.0",
        "models",
        378_116_526,
        "d285157bd7887ee3018094b5dbae092e49088b023361ccdb550ee1daf9b2c9bd",
        _GPL,
    ),
    Jar(
        "org.mozilla",
        "rhino",
        "1.7.15",
        "",
        1_407_735,
        "2427fdcbc149ca0a25ccfbb7c71b01f39ad42708773a47816cd2342861766b63",
        _MPL,
    ),
    Jar(
        "org.mozilla",
        "rhino-engine",
        "1.7.15",
        "",
        19_604,
        "b7bbb6724812a8ba6c650cf4a1e655a24af4d73a321add5a64a54c2d5963ce00",
        _MPL,
    ),
)


def jar_folder() -> Path:
    """Return the folder of the jars."""
    return cache_folder("spice", "jars")


def lacking() -> list[Jar]:
    """Return the jars that are missing or of another size; `install` checks contents."""
    return [jar for jar in JARS if not _has_size(jar_folder() / jar.name, jar.size)]


def install(source: Path | None = None) -> Path:
    """Copy the missing jars into `jar_folder`, from the folder `source` or else from Maven Central.

    Every jar is checked by its SHA-256, also those already installed. Progress is printed on stderr.

    Raises:
        UserError: when a jar cannot be fetched or is not the expected one, the disk is too full, or the folder cannot
            be written. Jars that have arrived stay, so that the next call fetches only the rest.
    """
    folder = jar_folder()
    remove_dead(folder)
    wanted = [jar for jar in JARS if jar in lacking() or sha256(folder / jar.name) != jar.sha256]
    if not wanted:
        print(f"SPICE is already installed: {folder}", file=sys.stderr)
        return folder
    _announce(wanted, folder, str(source) if source else _CENTRAL)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _check_space(folder, sum(jar.size for jar in wanted))
        with draft_folder(folder / "incoming") as incoming:
            for jar in wanted:
                arrived = _copy(jar, source, incoming) if source else _fetch(jar, incoming)
                _check(jar, arrived, source / jar.name if source else jar.address)
                arrived.replace(folder / jar.name)
    except OSError as error:
        raise UserError(f"cannot install SPICE in {folder}: {error}") from error
    print(f"SPICE is installed: {folder}", file=sys.stderr)
    return folder


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def _announce(wanted: list[Jar], folder: Path, origin: str) -> None:
    say(f"SPICE: from {origin} to {folder}", file=sys.stderr)
    for jar in wanted:
        say(f"  {jar.name}, {jar.size / 1e6:.1f} MB, licence {jar.licence}", file=sys.stderr)


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"SPICE needs {needed / 1e6:.0f} MB in {folder}, which has {free / 1e6:.0f} MB free; "
            "make room or set LOOKBOOK_CACHE to another folder"
        )


def _copy(jar: Jar, source: Path, incoming: Path) -> Path:
    try:
        return Path(shutil.copyfile(source / jar.name, incoming / jar.name))
    except FileNotFoundError as error:
        raise UserError(f"{source} has no {jar.name}; fetch it from {jar.address}") from error


def _fetch(jar: Jar, incoming: Path) -> Path:
    from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415

    context = MavenContext(
        PythonResolver(progress_callback=_bar),
        repo_cache=incoming,
        local_repos=[],
        remote_repos={"central": _CENTRAL},
        timeout=30,
    )
    component = context.project(jar.group, jar.artifact).at_version(jar.version)
    try:
        return Path(component.artifact(classifier=jar.classifier).resolve())
    except (OSError, RuntimeError) as error:  # what `requests` raises is an OSError without a number
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise UserError(
            f"cannot fetch {jar.address}: {error}\nWithout a network, fetch the jars on another machine and "
            f"run `{COMMAND} --from FOLDER`"
        ) from error


@contextmanager
def _bar(name: str, total: int) -> Iterator[Callable[[int], object]]:
    with progress(None, name, total=total, unit="B", unit_scale=True) as bar:
        yield bar.update


def _check(jar: Jar, path: Path, origin: object) -> None:
    digest = sha256(path)
    if digest != jar.sha256:
        raise UserError(f"{origin} is not the expected file: its SHA-256 is {digest}, expected {jar.sha256}")
