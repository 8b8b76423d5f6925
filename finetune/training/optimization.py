"""Learning rates: of each tower, and over the steps."""

import importlib.util
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from finetune.config.recipe import Rates, Training, Tune
from metrics.common.errors import UserError


def check_optimizer(training: Training) -> None:
    """Raise `UserError` if the optimizer cannot run here."""
    if training.optimizer != "paged-adamw-8bit":
        return
    if not torch.cuda.is_available():
        raise UserError("training.optimizer: paged-adamw-8bit needs a CUDA device, and there is none; use adamw")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise UserError(
            "training.optimizer: paged-adamw-8bit needs bitsandbytes; pip install '.[gpu]' in Lookbook's folder"
        )


def check_rates(rates: Rates, tune: Tune) -> None:
    """Raise `UserError` if a tower that is frozen has a learning rate."""
    for tower, rate in rates:
        if rate is not None and getattr(tune, tower) == "frozen":
            raise UserError(
                f"training.learning_rates.{tower}: {rate}, but tune.{tower} is frozen; leave one of them out"
            )


def rates_of_parameters(model: Any, tower_of: Callable[[str], str], rates: Rates) -> dict[int, float]:
    """Learning rates of the parameters whose tower has its own, by the parameters' `id`."""
    own = rates.model_dump(exclude_none=True)
    towers = {id(parameter): tower_of(name) for name, parameter in model.named_parameters()}
    return {key: own[tower] for key, tower in towers.items() if tower in own}


def split_groups(optimizer: Optimizer, rates: Mapping[int, float]) -> None:
    """Split each parameter group of a new optimizer into one for each learning rate; weight decay is unchanged."""
    groups = list(optimizer.param_groups)
    optimizer.param_groups.clear()
    for group in groups:
        rate_of = {id(parameter): rates.get(id(parameter), group["lr"]) for parameter in group["params"]}
        for rate in sorted(set(rate_of.values())):
            members = [parameter for parameter in group["params"] if rate_of[id(parameter)] == rate]
            optimizer.add_param_group(group | {"params": members, "lr": rate})


def schedule(optimizer: Optimizer, config: Training, steps: int) -> LambdaLR:
    """A linear warmup, then cosines down to the minimum rate and up again: one down over the run, or `cosine_steps`.

    The closed form of Loshchilov & Hutter 2017, as in torch's CosineAnnealingLR(T_max=cosine_steps, eta_min=minimum).
    """
    fall = config.cosine_steps or max(steps - config.warmup_steps, 1)
    return LambdaLR(optimizer, list(_factors(optimizer.param_groups, config, fall)))


def _factors(groups: Iterable[Mapping[str, Any]], config: Training, fall: int) -> Iterable[Callable[[int], float]]:
    for group in groups:
        lowest = min(config.minimum_learning_rate / group["lr"], 1)

        def factor(step: int, lowest: float = lowest) -> float:
            if step < config.warmup_steps:
                return step / config.warmup_steps
            return lowest + (1 - lowest) * (1 + math.cos(math.pi * (step - config.warmup_steps) / fall)) / 2

        yield factor
