"""`from_pretrained` as everything here calls it: weights from safetensors alone, no code of the checkpoint is run.

Imports torch.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn
from unittest.mock import patch

import torch
from transformers import PreTrainedConfig
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, cached_file

from metrics.common.files import read_json_object

_SAFE = ".safetensors"


def load_part(kind: Any, source: str | Path, revision: str | None = None, **options: Any) -> Any:
    """Load a configuration, tokenizer or processor of the class `kind`.

    Args:
        kind: a class of transformers with `from_pretrained`.
        source: a folder or a Hub id.
        revision: of a Hub id, its commit, branch or tag.
        options: what else `from_pretrained` takes.

    Raises:
        OSError: as transformers does when there is none; it raises other kinds of error for damaged files.
        ValueError: when it would need code that comes with it.
    """
    return kind.from_pretrained(source, trust_remote_code=False, **_of(revision), **options)


def load_model(kind: Any, source: str | Path, revision: str | None = None, **options: Any) -> tuple[Any, list[str]]:
    """Load a model of the class `kind`, and return it with the names of the tensors that its files lack.

    Raises:
        ValueError: when its index names another file than safetensors in its folder; else as `load_part`.
    """
    _refuse_other_weights(str(source), revision)
    with no_pickles():
        model, report = kind.from_pretrained(
            source,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            **_of(revision),
            **options,
        )
    return model, sorted(report["missing_keys"])


@contextmanager
def no_pickles() -> Iterator[None]:
    """Refuse pickled weights to libraries that look for files themselves: `torch.load` raises `ValueError`."""
    with patch.object(torch, "load", _refuse_pickle):
        yield


def _refuse_pickle(file: object, *_: object, **__: object) -> NoReturn:
    raise ValueError(f"{getattr(file, 'name', file)}: pickled weights, which are not loaded; save them as safetensors")


def _of(revision: str | None) -> dict[str, str]:
    return {"revision": revision} if revision else {}


def _refuse_other_weights(source: str, revision: str | None) -> None:
    """transformers loads whatever files an index names, pickled ones too; `transformers_weights` chooses the index."""
    chosen = PreTrainedConfig.get_config_dict(source, **_of(revision))[0].get("transformers_weights")
    names = [str(chosen)] if chosen else [SAFE_WEIGHTS_NAME, SAFE_WEIGHTS_INDEX_NAME]
    quietly = {"_raise_exceptions_for_missing_entries": False}
    found = next(filter(None, (cached_file(source, name, **_of(revision), **quietly) for name in names)), None)
    if found is None:
        return  # transformers says so in its own words, or finds the copy that the Hub's bot made
    listed = _listed(Path(found)) if found.endswith(".json") else [Path(found).name]
    other = [name for name in listed if not name.endswith(_SAFE) or PurePosixPath(name).name != name]
    if other:
        raise ValueError(f"{Path(found).name} names {other[0]}; only {_SAFE} files beside it are loaded")


def _listed(index: Path) -> list[str]:
    """The files that an index of weights names."""
    listed = read_json_object(index, "copy it again").get("weight_map")
    if not isinstance(listed, dict):
        raise ValueError(f"{index.name}: expected the files of weights under weight_map, found none")
    return sorted({str(name) for name in listed.values()})
