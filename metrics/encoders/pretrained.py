"""Loading pretrained models of transformers: without the libraries' notices, with errors that name the source.

Imports torch.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from huggingface_hub.utils import logging as hub_logging
from transformers.utils import cached_file, logging

from metrics.common.errors import UserError, is_shortage, reason_of
from metrics.common.screen import is_verbose
from metrics.encoders.safe_loading import no_pickles

_DIGITS = 8  # of the hashes


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the libraries' notices and bars off the screen, unless all are wanted; errors are still raised."""
    if is_verbose():
        yield
        return
    libraries, bars = (logging, hub_logging), logging.is_progress_bar_enabled()
    levels = [library.get_verbosity() for library in libraries]
    logging.disable_progress_bar()
    for library in libraries:
        library.set_verbosity_error()
    try:
        yield
    finally:
        for library, level in zip(libraries, levels, strict=True):
            library.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


@contextmanager
def loading(source: str, kind: str, expected: str) -> Iterator[None]:
    """Wrap the loading of `source`, a Hub id or a folder, as `kind` (`a text classifier`), quietly and without pickles.

    Raises:
        UserError: when it cannot be loaded, with the library's reason and what was `expected`.
    """
    try:
        with quiet(), no_pickles():
            yield
    except Exception as error:  # libraries check no types in the files that they read
        if isinstance(error, UserError) or is_shortage(error):
            raise
        raise UserError(f"{source}: cannot load it as {kind}: {reason_of(error)} (expected {expected})") from error


def hub_commit(name: str, revision: str | None = None) -> str | None:
    """Return the Hub's commit of a model's revision (default: `main`), None of a folder."""
    if Path(name).exists():
        return None
    quietly = {"_raise_exceptions_for_missing_entries": False}  # one of sentence-transformers may lack the first
    files = (cached_file(name, file, revision=revision, **quietly) for file in ("config.json", "modules.json"))
    found = next(filter(None, files), None)
    return Path(found).parent.name if found else None  # the cache keeps each commit's files in a folder of its name


def settings_digest(*settings: str) -> str:
    """Return a hash of how inputs are prepared, 8 hexadecimal digits."""
    return hashlib.sha256("\0".join(settings).encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]


def tokenizer_settings(tokenizer: object) -> str:
    """Return what a tokenizer does as text, of one that cannot write itself its class; call it before it is used."""
    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    return str(backend.to_str()) if hasattr(backend, "to_str") else type(tokenizer).__name__


def weights_digest(weights: Mapping[str, torch.Tensor]) -> str:
    """Return a hash of the names and bytes of weights, however they are spread over files, 8 hexadecimal digits."""
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()[:_DIGITS]
