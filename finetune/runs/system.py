"""A model that writes captions: a run, or a base model with adapters."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from finetune.config.recipe import Decoding, Model, Recipe, parse_recipe
from finetune.models.adapter_files import adapter_folder, load_adapter, run_of
from finetune.models.families import captioner_class, family_of
from finetune.models.families.base import Captioner
from finetune.models.loading import split_revision
from finetune.runs.folder import MODEL_FOLDER, TRAINED_ON, TRAINING_FILE, read_claim, read_training
from metrics.common.errors import UserError


@dataclass(frozen=True)
class CaptioningSystem:
    """A model that writes captions, and all that decides what it writes."""

    captioner: Captioner
    prompt: str
    decoding: Decoding
    model: Model
    adapter: str | None
    training: dict[str, Any]
    trained_on: Path | None


def load_system(model: str, adapter: str | None, recipe: Recipe | None) -> CaptioningSystem:
    """Load a run's folder, or a base model (folder or `owner/name[@revision]`) with an adapter or without.

    A run brings its own model and prompt, and takes decoding from `recipe` where there is one; a base model takes
    everything from `recipe`. Raises `UserError` where a run's prompt is not the recipe's.
    """
    return next(load_systems(model, [adapter] if adapter else [], recipe))


def load_systems(model: str, adapters: Sequence[str], recipe: Recipe | None) -> Iterator[CaptioningSystem]:
    """As `load_system`, with several adapters on one base model: a system each, good until the next is asked for."""
    base, revision = split_revision(model)
    training = read_training(Path(base))
    if training is None and read_claim(Path(base)) is not None:
        raise UserError(f"{base}: its training has not ended; go on by `train ... --resume`")
    own_adapter = None
    if training is None:
        source, config = recipe, _base_config(base, revision, recipe)
    else:
        source = parse_recipe(training["recipe"], f"{base}/{TRAINING_FILE}")
        config, own_adapter = _trained_config(base, source.model)
    wanted = list(adapters) or ([own_adapter] if own_adapter else [])
    for adapter in wanted:
        adapter_folder(adapter)
    captioner = captioner_class(config.family).load(config)
    prompt = captioner.prompt_of(source.prompt if source else None)
    if recipe and recipe.prompt not in (None, prompt):
        raise UserError(f"{base}: trained with prompt={prompt!r}, but the recipe says {recipe.prompt!r}")
    decoder = recipe or source
    decoding = decoder.decoding if decoder else Decoding()
    trained_on = Path(base) / TRAINED_ON if training else None
    system = CaptioningSystem(captioner, prompt, decoding, config, None, training or {}, trained_on)
    adapted = {load_adapter(captioner, adapter): _adapted(system, adapter) for adapter in wanted}
    for name, one in adapted.items():
        captioner.model.set_adapter(name, inference_mode=True)
        yield one
    if not adapted:
        yield system


def _adapted(system: CaptioningSystem, adapter: str) -> CaptioningSystem:
    """The system with an adapter, whose run tells of its training where it lies in one."""
    folder = adapter_folder(adapter)
    run = run_of(folder)
    training = read_training(run)
    if training is None:
        return replace(system, adapter=str(folder), training={}, trained_on=None)
    prompt = system.captioner.prompt_of(training["recipe"].get("prompt"))
    if prompt != system.prompt:
        raise UserError(f"adapter {adapter}: trained with prompt={prompt!r}, but is used with {system.prompt!r}")
    _tell_other_precision(system, adapter, training["recipe"].get("model", {}).get("quantization"))
    return replace(system, adapter=str(folder), training=training, trained_on=run / TRAINED_ON)


def _tell_other_precision(system: CaptioningSystem, adapter: str, trained: str | None) -> None:
    used = system.model.quantization
    if trained != used:
        one, other = (f"quantised to {name}" if name else "not quantised" for name in (trained, used))
        print(f"note: adapter {adapter} was trained on a base {one}, and is put on one {other}", file=sys.stderr)


def _base_config(base: str, revision: str | None, recipe: Recipe | None) -> Model:
    if recipe is None:
        return Model(family=family_of(base, revision), base=base, revision=revision)
    own = {} if base == recipe.model.base and revision is None else {"revision": revision, "tiny": None}
    return recipe.model.model_copy(update={"base": base} | own)


def _trained_config(run: str, model: Model) -> tuple[Model, str | None]:
    """The model that a run trained: its base with the run's adapter, or one of its own where all of it was tuned."""
    trained = Path(run) / MODEL_FOLDER
    if (trained / "adapter_config.json").is_file():
        return model, str(trained)
    return model.model_copy(update={"base": str(trained), "revision": None}), None
