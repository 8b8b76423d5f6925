"""The Stanza models, Stanza's own `en` package or a folder of model files: finding, identifying, loading them."""

import hashlib
import os
import runpy
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from platformdirs import user_cache_dir

from metrics.common.errors import UserError, first_line, is_shortage
from metrics.common.files import read_bytes, read_json_object

ENGLISH = "en"
DOWNLOAD = """python -c "import stanza; stanza.download('en')\""""
INSTALL = "pip install '.[measures]'"
MODEL_FILES = {"tokenize": "tokenizer.pt", "pos": "pos.pt", "lemma": "lemma.pt"}
RESOURCES = "resources.json"
# What Stanza and PyTorch raise on files that are cut off, overwritten or of another kind.
_BROKEN_FILE = (
    AssertionError,
    AttributeError,
    EOFError,
    FileNotFoundError,
    LookupError,
    RuntimeError,
    TypeError,
    UnpicklingError,
    ValueError,
)


def absent(source: str) -> str | None:
    """Return why the models of `source` cannot be used here and what to do, None if they can; does not import Stanza.

    Raises:
        UserError: when `source` is neither `en` nor a folder with the files of `MODEL_FILES` and `RESOURCES`.
    """
    if source != ENGLISH:
        _local_files(Path(source))
    if _package() is None:
        return f"stanza is not installed, run {INSTALL}"
    if source == ENGLISH and not all(path.is_file() for path in _english_files()):
        return f"Stanza's English models are not installed, run {DOWNLOAD}"
    return None


def require(source: str) -> None:
    """Raise `UserError` if the models of `source` cannot be used here."""
    reason = absent(source)
    if reason:
        raise UserError(reason)


@cache
def signature(source: str) -> str:
    """Return what determines the lemmas: Stanza's version and the SHA-256 of all model files (12 digits)."""
    require(source)
    digest = hashlib.sha256()
    for path in _english_files() if source == ENGLISH else _local_files(Path(source)):
        digest.update(hashlib.sha256(read_bytes(path)).digest())
    return f"{version('stanza')}-{digest.hexdigest()[:12]}"


def load_pipeline(source: str, *, gpu: bool = False, remember: bool = True) -> Any:
    """Return Stanza's pipeline (tokenize, mwt if the package has it, pos, lemma); downloads nothing.

    With `remember` it computes the lemma of a word and its part of speech once, since it depends on nothing else.

    Raises:
        UserError: when the models are missing or cannot be read.
    """
    require(source)
    import stanza  # noqa: PLC0415

    common = {"download_method": None, "use_gpu": gpu, "verbose": False, "lemma_store_results": remember}
    try:
        if source == ENGLISH:
            return stanza.Pipeline(ENGLISH, processors="tokenize,pos,lemma", dir=str(_english_folder()), **common)
        paths = {f"{name}_model_path": str(Path(source) / file) for name, file in MODEL_FILES.items()}
        charlms = {"pos_forward_charlm_path": None, "pos_backward_charlm_path": None}
        packages = dict.fromkeys(MODEL_FILES, "x")
        return stanza.Pipeline(ENGLISH, package=None, processors=packages, dir=source, **paths, **charlms, **common)
    except _BROKEN_FILE as error:
        if is_shortage(error):
            raise
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise UserError(f"{source}: Stanza cannot load its models ({reason})") from error


def _local_files(folder: Path) -> list[Path]:
    paths = [folder / name for name in (*MODEL_FILES.values(), RESOURCES)]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise UserError(
            f"{folder}: expected `{ENGLISH}` or a folder with {', '.join(path.name for path in paths)}; "
            f"missing: {', '.join(missing)}"
        )
    return paths[:-1]


def _english_files() -> list[Path]:
    """Return the files of Stanza's default English package as its `resources.json` lists them; they may be missing."""
    folder = _english_folder()
    listed = folder / RESOURCES
    if not listed.is_file():
        return [listed]
    resources = read_json_object(listed, f"run {DOWNLOAD}")
    try:
        english = resources[ENGLISH]
        packages = english["packages"]["default"]
        models = [(name, packages[name]) for name in ("tokenize", "mwt", "pos", "lemma") if name in packages]
        needed = [english[name][package].get("dependencies", []) for name, package in models]
        models += [(model["model"], model["package"]) for each in needed for model in each]
        return [folder / ENGLISH / name / f"{package}.pt" for name, package in dict.fromkeys(models)]
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{listed}: not Stanza's list of English packages ({error!r}); run {DOWNLOAD}") from error


def _package() -> Path | None:
    spec = find_spec("stanza")
    return Path(spec.origin).parent if spec and spec.origin else None  # a folder of that name is no package


def _english_folder() -> Path:
    """Return the folder of Stanza's `resources.common.DEFAULT_MODEL_DIR`, whose import would import torch."""
    folder = os.environ.get("STANZA_RESOURCES_DIR")
    if folder is not None:
        return Path(folder)
    package = _package()
    if package is None:
        raise UserError(f"stanza is not installed, run {INSTALL}")
    resources = runpy.run_path(str(package / "_version.py"))["__resources_version__"]
    return Path(user_cache_dir("stanza", "StanfordNLP", resources), "resources")
