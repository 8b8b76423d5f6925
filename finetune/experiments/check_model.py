"""`check-model`: whether a base model loads, sees its photo, captions it and learns, in one training step."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from PIL.Image import Image

from finetune.config.recipe import Decoding, Lora, Model, Training, Tune
from finetune.data.demo.drawing import draw
from finetune.data.demo.garments import sample_garment
from finetune.data.demo.wording import description
from finetune.models import adapters
from finetune.models.families import captioner_class, family_of
from finetune.models.families.base import Batch, Captioner
from finetune.models.generation import generate
from finetune.runs.provenance import hardware, versions
from finetune.training.collator import CaptionCollator
from finetune.training.dry_run import peak_memory
from finetune.training.losses import caption_losses
from metrics.common.errors import UserError
from metrics.common.formatting import duration
from metrics.common.tables import WideTable, print_tables
from metrics.photos.reading import load_photo

DTYPES = get_args(Model.model_fields["dtype"].annotation)
Facts = dict[str, str]


def check_model(model: str, photo: Path | None, dtype: str) -> None:
    """Load `model` (a folder or a Hub id), caption `photo` (by default a drawing), train one step, print the facts.

    Raises `UserError` if the model does not load, its loss is not finite or does not depend on the photo, anything but
    adapters gets a gradient, or there is not enough memory.
    """
    drawing, caption = _drawing(0)
    image = load_photo(photo) if photo else drawing
    config = _config(model, dtype)
    try:
        captioner, facts = _load(config)
        facts |= _caption(captioner, image)
        facts |= _train(captioner, image, caption)
    except torch.OutOfMemoryError as error:
        raise UserError(f"{model}: out of memory: {error}; try --dtype bfloat16, or a larger GPU") from error
    _show(model, facts | {"peak memory": peak_memory()})


def _drawing(seed: int) -> tuple[Image, str]:
    rng = np.random.default_rng(seed)
    garment = sample_garment(rng)
    return draw(garment, rng), description(garment).lower()


def _config(base: str, dtype: str) -> Model:
    """The model of the family that its own configuration names."""
    if dtype not in DTYPES:
        raise UserError(f"--dtype {dtype}: expected one of {', '.join(DTYPES)}")
    return Model(family=family_of(base), base=base, dtype=dtype)  # type: ignore[arg-type]


def _load(config: Model) -> tuple[Captioner, Facts]:
    started = time.perf_counter()
    captioner = captioner_class(config.family).load(config)
    return captioner, {
        "family": config.family,
        "device": str(hardware()["gpu"] or hardware()["cpu"]),
        "weights": config.dtype,
        "load": duration(time.perf_counter() - started),
    }


def _caption(captioner: Captioner, image: Image) -> Facts:
    started = time.perf_counter()
    generated = generate(captioner, [image], [captioner.default_prompt], Decoding())[0]
    time_taken = duration(time.perf_counter() - started)
    return {"caption": generated.caption or "(empty)", "captioning": f"{time_taken}, {generated.tokens} tokens"}


def _train(captioner: Captioner, image: Image, caption: str) -> Facts:
    """One optimizer step with the adapters of a recipe's defaults."""
    adapters.attach(captioner, Tune(), Lora())
    collate = CaptionCollator(captioner, captioner.default_prompt)
    batch, other = (_on_device(captioner, collate([_row(photo, caption)])) for photo in (image, _drawing(1)[0]))
    before = _loss(captioner, batch)
    if _loss(captioner, other) == before:
        raise UserError(f"the loss is {before} with another photo too: the model does not see its photo")
    started = time.perf_counter()
    _step(captioner, batch)
    step = duration(time.perf_counter() - started)
    counts = adapters.count_parameters(captioner)
    towers = {f"{name} tower": f"{n['total']:,} parameters, {n['trainable']:,} trained" for name, n in counts.items()}
    losses = {"loss before": f"{before:.4f} nats a token", "loss after": f"{_loss(captioner, batch):.4f} nats a token"}
    return towers | {"training step": step} | losses


def _on_device(captioner: Captioner, batch: Batch) -> Batch:
    return {name: value.to(captioner.model.device) for name, value in batch.items()}


def _row(image: Image, caption: str) -> dict[str, Any]:
    return {"image": image, "caption": caption}


@torch.no_grad()
def _loss(captioner: Captioner, batch: dict[str, torch.Tensor]) -> float:
    """Mean loss per caption token in nats, without dropout. Raises `UserError` if it is not finite."""
    captioner.model.eval()
    losses, counts = caption_losses(captioner.model, batch)
    loss = float(losses.sum() / counts.sum())
    if not np.isfinite(loss):
        raise UserError(f"the loss is {loss}: the weights are broken, or overflow in this type; try --dtype float32")
    return loss


def _step(captioner: Captioner, batch: dict[str, torch.Tensor]) -> None:
    """An optimizer step as in training. Raises `UserError` if no adapter gets a gradient, or anything else does."""
    training = Training()
    trained = [parameter for parameter in captioner.model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=training.learning_rate, weight_decay=training.weight_decay)
    captioner.model.train()
    losses, counts = caption_losses(captioner.model, batch)
    torch.autograd.backward(losses.sum() / counts.sum())
    _check_gradients([name for name, weight in captioner.model.named_parameters() if _has_gradient(weight)])
    optimizer.step()


def _has_gradient(weight: torch.nn.Parameter) -> bool:
    return weight.grad is not None and bool(weight.grad.any())


def _check_gradients(names: Sequence[str]) -> None:
    if not names:
        raise UserError("no adapter gets a gradient: nothing would be learnt")
    other = [name for name in names if ".lora_" not in name]
    if other:
        raise UserError(f"{len(other)} weights outside the adapters get a gradient, for example {other[0]}")


def _show(model: str, facts: Facts) -> None:
    table = WideTable(["", ""], title=model)
    used = ", ".join(f"{name} {version}" for name, version in versions().items())
    for name, value in (facts | {"versions": used}).items():
        table.add_row(name, value)
    print_tables(table)
