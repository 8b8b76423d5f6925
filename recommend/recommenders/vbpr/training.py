"""Training a network on batches of purchases: optimizers, epochs, validation, checkpoints."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adagrad, Adam, Optimizer, SparseAdam
from tqdm import tqdm

from metrics.common.errors import UserError, is_overflow
from metrics.common.screen import progress
from recommend.recommenders.vbpr.checkpoint import Checkpoint, Epoch, Progress
from recommend.recommenders.vbpr.network import Network
from recommend.recommenders.vbpr.sampling import Sampler, Triples
from recommend.recommenders.vbpr.settings import VBPRSettings

CHECKPOINT_SECONDS = 600.0
_PATIENCE = 5.0  # seconds before the bar appears


def optimizers_of(network: Network, settings: VBPRSettings) -> list[Optimizer]:
    """The first has the factors and biases, whose gradients are sparse; some need another for the projection's.

    SGD steps along the sum over the batch, so that a purchase moves its factors as far in a batch of any size; the
    projection, which every purchase moves, would leap by such a sum, and has Adagrad.
    """
    rate = settings.learning_rate
    rows = [one for name, one in network.named_parameters() if not _dense(name)]
    dense = [one for name, one in network.named_parameters() if _dense(name)]
    if settings.optimizer == "sgd":
        return [SGD(rows, rate * settings.batch_size), *([Adagrad(dense, rate)] if dense else [])]
    if settings.optimizer == "adagrad":
        return [Adagrad([*rows, *dense], rate)]
    return [SparseAdam(rows, rate), *([Adam(dense, rate)] if dense else [])]


def _dense(name: str) -> bool:
    return name.startswith(("projection", "feature_bias"))


@dataclass
class Training:
    """A network in training.

    Attributes:
        network: its parameters, the last epoch's or, with a validation, in the end the best one's.
        sampler: gives the batches.
        settings: what it is trained with.
        validate: the network's nDCG@12 on the validation part; None: every epoch of `settings` is trained.
        checkpoint: where it is saved every ten minutes and in the end; None: nowhere.
    """

    network: Network
    sampler: Sampler
    settings: VBPRSettings
    validate: Callable[[Network], float] | None = None
    checkpoint: Checkpoint | None = None
    progress: Progress = field(default_factory=Progress)

    def run(self) -> list[Epoch]:
        """Train, from where the checkpoint is; returns what each epoch came to."""
        self.optimizers = optimizers_of(self.network, self.settings)
        if self.checkpoint:
            self.progress = self.checkpoint.restore(self.network, self.optimizers)
        self._saved = time.monotonic()
        total = self.settings.epochs * self.sampler.steps
        done = self.progress.epoch * self.sampler.steps + self.progress.step
        bar: tqdm[Any]
        with progress(None, "vbpr", total=total, initial=done, unit="step", delay=_PATIENCE) as bar:
            while self.progress.epoch < self.settings.epochs and not self._is_past_its_best():
                self._epoch(bar)
        if self.checkpoint:
            self._save(self.checkpoint)
        if self.progress.best:
            self.network.load_state_dict(self.progress.best)
        return self.progress.history

    def _epoch(self, bar: "tqdm[Any]") -> None:
        for batch in self.sampler.epoch(self.progress.epoch, self.progress.step):
            self.progress.loss += self._step(batch) * len(batch[0])
            self.progress.step += 1
            bar.update()
            if self.checkpoint and time.monotonic() - self._saved >= CHECKPOINT_SECONDS:
                self._save(self.checkpoint)
        self._end_epoch()
        last = self.progress.history[-1]
        scored = "" if last.validation is None else f", nDCG@12 {last.validation:.4f}"
        bar.set_postfix_str(f"epoch {last.number}: loss {last.loss:.4f}{scored}", refresh=False)

    def _step(self, batch: Triples) -> float:
        device = self.network.gamma_articles.weight.device
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        ranking, regularisation = self.network.loss(*(torch.from_numpy(one).to(device) for one in batch))
        loss: Tensor = ranking + regularisation
        loss.backward()  # type: ignore[no-untyped-call]
        if self.settings.optimizer == "sgd":
            self._scale_last_batch(len(batch[0]))
        self._move()
        return float(loss.detach())

    def _move(self) -> None:
        try:
            for optimizer in self.optimizers:
                optimizer.step()
        except RuntimeError as error:
            if not is_overflow(error):
                raise
            raise UserError("vbpr: a step is larger than a float can be; lower learning_rate") from error

    def _scale_last_batch(self, size: int) -> None:
        """An epoch's last batch is smaller, and so is the sum over it."""
        self.optimizers[0].param_groups[0]["lr"] = self.settings.learning_rate * size

    def _end_epoch(self) -> None:
        progress, number = self.progress, self.progress.epoch + 1
        if not math.isfinite(progress.loss):
            raise UserError(f"vbpr: the loss of epoch {number} is not finite; lower learning_rate, or take adagrad")
        validation = None
        if self.validate and (number % self.settings.validate_every == 0 or number == self.settings.epochs):
            earlier = [one.validation for one in progress.history if one.validation is not None]
            validation = self.validate(self.network)
            if not earlier or validation > max(earlier):
                progress.best = _copied(self.network.state_dict())
        progress.history.append(Epoch(number, progress.loss / self.sampler.count, validation))
        progress.epoch, progress.step, progress.loss = number, 0, 0.0

    def _is_past_its_best(self) -> bool:
        values = [one.validation for one in self.progress.history if one.validation is not None]
        return bool(values) and len(values) - 1 - values.index(max(values)) >= self.settings.patience

    def _save(self, checkpoint: Checkpoint) -> None:
        checkpoint.save(self.progress, self.network.state_dict(), self.optimizers)
        self._saved = time.monotonic()


def _copied(parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: one.detach().cpu().clone() for name, one in parameters.items()}
