"""A training on disk: one safetensors file with parameters, optimizers' state and progress, replaced as a whole."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.optim import Optimizer

from metrics.common.errors import UserError
from metrics.common.files import atomic_file, make_folder
from metrics.common.json_text import parse_json
from metrics.records.json_reader import JsonReader

FILE = "vbpr-training.safetensors"
_STATE = "lookbook"
_REMEDY = "remove it, and the training starts again"


@dataclass(frozen=True)
class Epoch:
    """What an epoch came to.

    Attributes:
        number: from 1.
        loss: the mean over its purchases, regularisation included.
        validation: nDCG@12 of the validation part; None if there was no validation.
    """

    number: int
    loss: float
    validation: float | None


@dataclass
class Progress:
    """How far a training is.

    Attributes:
        epoch: epochs that are complete.
        step: steps of the next one that are done.
        loss: the sum of the losses of its purchases so far.
        history: the complete epochs.
        best: the parameters of the epoch with the best validation; empty without validation.
    """

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    history: list[Epoch] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)


class Checkpoint:
    """Saves to and reads from a folder the training that `of` identifies: its settings, purchases and features."""

    def __init__(self, folder: Path, of: str) -> None:
        self.path, self.of = folder / FILE, of

    def save(self, progress: Progress, parameters: Mapping[str, Tensor], optimizers: Sequence[Optimizer]) -> None:
        """Write the file; raises `UserError` if it cannot be written."""
        make_folder(self.path.parent)
        tensors = {f"network.{name}": value for name, value in parameters.items()}
        tensors |= {f"best.{name}": value for name, value in progress.best.items()}
        for number, optimizer in enumerate(optimizers):
            for place, values in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer.{number}.{place}.{name}": _tensor(value) for name, value in values.items()}
        values = {"of": self.of, **{name: value for name, value in asdict(progress).items() if name != "best"}}
        with atomic_file(self.path) as draft:
            save_file({name: one.contiguous() for name, one in tensors.items()}, draft, {_STATE: json.dumps(values)})

    def restore(self, network: torch.nn.Module, optimizers: Sequence[Optimizer]) -> Progress:
        """The progress that was saved, and its parameters and states put in place; a new one if there is no file.

        Raises `UserError` if the file is damaged or of another training.
        """
        if not self.path.exists():
            return Progress()
        try:
            tensors, values = _read(self.path)
            self._refuse_other(values)
            network.load_state_dict(_under("network.", tensors))
            for number, optimizer in enumerate(optimizers):
                _put_back(optimizer, _under(f"optimizer.{number}.", tensors))
            best = _under("best.", tensors)
            if best:
                _refuse_other_shapes(best, network.state_dict())
            done, step, loss = (_number(values, name) for name in ("epoch", "step", "loss"))
            return Progress(int(done), int(step), loss, [_epoch(one) for one in values.each("history")], best)
        except (SafetensorError, OSError, LookupError, TypeError, ValueError, RuntimeError) as error:
            raise UserError(f"{self.path}: damaged ({error!s:.300}); {_REMEDY}") from error

    def _refuse_other(self, values: JsonReader) -> None:
        if values.text("of") != self.of:
            raise UserError(
                f"{self.path}: a training on other purchases or features, or with other settings; finish it as it was "
                "begun, or remove the file"
            )


def identity(settings: Mapping[str, Any], arrays: Sequence[NDArray[Any]]) -> str:
    """A hash of the settings and the bytes of arrays."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _read(path: Path) -> tuple[dict[str, Tensor], JsonReader]:
    with safe_open(path, framework="pt") as file:
        values = JsonReader(parse_json((file.metadata() or {})[_STATE]), str(path), _REMEDY)
        return {name: file.get_tensor(name) for name in file.keys()}, values  # noqa: SIM118  # it is no dict


def _epoch(values: JsonReader) -> Epoch:
    return Epoch(int(_number(values, "number")), _number(values, "loss"), values.number("validation"))


def _number(values: JsonReader, key: str) -> float:
    number = values.number(key)
    if number is None or number < 0:
        raise values.error(f'"{key}": expected a number from 0, found {values.values.get(key)!r:.60}')
    return number


def _refuse_other_shapes(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    shapes, known = ({name: one.shape for name, one in some.items()} for some in (tensors, expected))
    if shapes != known:
        raise ValueError("its best parameters are of another network")


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): one for name, one in tensors.items() if name.startswith(prefix)}


def _put_back(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Any]] = {}
    for name, one in tensors.items():
        place, _, key = name.partition(".")
        whole = one.dim() == 0 and not one.is_floating_point()  # SparseAdam counts its steps by a plain number
        state.setdefault(int(place), {})[key] = int(one) if whole else one
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else torch.tensor(value)
