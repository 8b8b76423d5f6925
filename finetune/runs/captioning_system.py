"""A model that writes captions: a run, or a base model with adapters."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from finetune.config.errors import parse
from finetune.config.overrides import apply_override
from finetune.config.recipe import Decoding, Model, Recipe
from finetune.models.adapter_files import CONFIG, adapter_folder, load_adapter, run_of
from finetune.models.families import captioner_class, family_of
from finetune.models.families.base import Captioner
from finetune.models.generation import carried_decoding
from finetune.models.loading import split_revision
from finetune.runs.claim import read_claim
from finetune.runs.folder import RunFolder
from finetune.runs.training_record import read_training, trained_recipe
from metrics.common.errors import UserError
from metrics.records.run import TrainingRecord


@dataclass(frozen=True)
class CaptioningSystem:
    """A model that writes captions, and all that decides what it writes.

    `own_photos`: the adapter's own processor prepares photos, otherwise than `model` says.
    `training` and the file `trained_on` are its run's; None for a base model and for an adapter outside of any run.
    """

    captioner: Captioner
    prompt: str
    decoding: Decoding
    model: Model
    adapter: str | None
    training: TrainingRecord | None
    trained_on: Path | None
    own_photos: bool = False


def load_system(
    model: str, adapter: str | None, recipe: Recipe | None, overrides: Sequence[str] = ()
) -> CaptioningSystem:
    """Load a run's folder, or a base model (folder or `owner/name[@revision]`) with an adapter or without.

    A run brings its own model and prompt, and takes decoding from `recipe` if there is one; a base model takes
    everything from `recipe`, without one decoding from its `generation_config.json`. Without a recipe, `overrides`
    (`decoding.beams=4`) change how captions are decoded. Raises `UserError` if a run's prompt is not the recipe's.
    """
    return next(load_systems(model, [adapter] if adapter else [], recipe, overrides))


def load_systems(
    model: str, adapters: Sequence[str], recipe: Recipe | None, overrides: Sequence[str] = ()
) -> Iterator[CaptioningSystem]:
    """As `load_system`, with several adapters on one base model: a system each, usable until the next is asked for."""
    system, own_adapter = _bare_system(model, adapters, recipe, [] if recipe else overrides)
    wanted = list(adapters) or ([own_adapter] if own_adapter else [])
    adapted = {load_adapter(system.captioner, adapter): _adapted(system, adapter) for adapter in wanted}
    for name, one in adapted.items():
        system.captioner.model.set_adapter(name, inference_mode=True)
        own_photos = system.captioner.prepare_photos_as(Path(str(one.adapter)))
        yield replace(one, own_photos=own_photos)
    if not adapted:
        yield system


def _bare_system(
    model: str, adapters: Sequence[str], recipe: Recipe | None, overrides: Sequence[str]
) -> tuple[CaptioningSystem, str | None]:
    """The system without adapters, and the adapter that it has of its own."""
    base, revision = split_revision(model)
    run = RunFolder(Path(base))
    training = read_training(run.path)
    if training is None and read_claim(run.path) is not None:
        raise UserError(f"{base}: its training has not ended; resume it with `train ... --resume`")
    source = trained_recipe(training, str(run.training)) if training else recipe
    if training and source:
        config, own_adapter = _trained_config(run, source.model)
    else:
        config, own_adapter = _base_config(base, revision, recipe), None
    _changed(Decoding(), overrides)  # raises its errors before the base is loaded
    for adapter in adapters:
        adapter_folder(adapter)  # raises its errors before the base is loaded
    captioner = captioner_class(config.family).load(config)
    prompt = captioner.prompt_of(source.prompt if source else None)
    if recipe and recipe.prompt not in (None, prompt):
        raise UserError(f"{base}: trained with prompt={prompt!r}, but the recipe has {recipe.prompt!r}")
    decoder = recipe or source
    decoding = _changed(decoder.decoding if decoder else carried_decoding(captioner), overrides)
    trained_on = run.trained_on if training else None
    return CaptioningSystem(captioner, prompt, decoding, config, None, training, trained_on), own_adapter


def _changed(decoding: Decoding, overrides: Sequence[str]) -> Decoding:
    values: dict[str, Any] = {"decoding": decoding.model_dump()}
    for override in overrides:
        apply_override(values, override)
    return parse(Decoding, values["decoding"], "--set")


def _adapted(system: CaptioningSystem, adapter: str) -> CaptioningSystem:
    """The system with an adapter, and with the training of the run that the adapter is in, if any."""
    folder = adapter_folder(adapter)
    run = RunFolder(run_of(folder))
    training = read_training(run.path)
    if training is None:
        return replace(system, adapter=str(folder), training=None, trained_on=None)
    prompt = system.captioner.prompt_of(training.recipe.get("prompt"))
    if prompt != system.prompt:
        raise UserError(f"adapter {adapter}: trained with prompt={prompt!r}, but is used with {system.prompt!r}")
    _note_other_precision(system, adapter, training.recipe.get("model", {}).get("quantization"))
    return replace(system, adapter=str(folder), training=training, trained_on=run.trained_on)


def _note_other_precision(system: CaptioningSystem, adapter: str, trained: str | None) -> None:
    used = system.model.quantization
    if trained != used:
        one, other = (f"quantised to {name}" if name else "not quantised" for name in (trained, used))
        print(f"note: adapter {adapter} was trained on a base {one}, and is used on one {other}", file=sys.stderr)


def _base_config(base: str, revision: str | None, recipe: Recipe | None) -> Model:
    as_saved = {"image": None}  # the processor that was saved with the model decides
    if recipe is None:
        return Model(family=family_of(base, revision), base=base, revision=revision).model_copy(update=as_saved)
    if base == recipe.model.base and revision is None:
        return recipe.model
    own = {"base": base, "revision": revision, "tiny": None}
    return recipe.model.model_copy(update=own if "image" in recipe.model.model_fields_set else own | as_saved)


def _trained_config(run: RunFolder, model: Model) -> tuple[Model, str | None]:
    """The model that a run trained: its base with the run's adapter, or one of its own if all of it was tuned."""
    if (run.model / CONFIG).is_file():
        return model, str(run.model)
    if not (run.model / "config.json").is_file():
        raise UserError(
            f"{run.model}: expected the trained adapter ({CONFIG}) or model (config.json) of the run {run.path}, found "
            "neither; restore that folder from a copy"
        )
    return model.model_copy(update={"base": str(run.model), "revision": None}), None
