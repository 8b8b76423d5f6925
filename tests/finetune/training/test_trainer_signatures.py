"""The parts of other packages that Lookbook overrides or leans on, as they were when it was written against them."""

import inspect
from collections.abc import Callable
from typing import Any

import accelerate.utils.memory
import pytest
import torch
import transformers
from datasets.features.features import register_feature
from transformers import EarlyStoppingCallback, PreTrainedModel, Trainer, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from finetune.training.callbacks import ResumableEarlyStopping
from finetune.training.resumable import ResumableTrainer
from finetune.training.trainer import CaptionTrainer
from recommend.retrieval.training import ComposerTrainer

EXPECTED = {
    "get_train_dataloader": "self",
    "get_eval_dataloader": "self, eval_dataset=None",
    "create_optimizer": "self, model=None",
    "create_scheduler": "self, num_training_steps, optimizer=None",
    "_run_epoch": (
        "self, model, epoch, train_dataloader, steps_in_epoch, num_update_steps_per_epoch, trial, ignore_keys_for_eval, "
        "start_time, resume_from_checkpoint, epochs_trained, steps_trained_in_current_epoch"
    ),
    "_get_output_dir": "self, trial",
    "_save_checkpoint": "self, model, trial",
    "_load_from_checkpoint": "self, resume_from_checkpoint, model=None",
    "_load_optimizer_and_scheduler": "self, checkpoint",
    "_load_rng_state": "self, checkpoint",
    "_load_callback_state": "self",
    "_save": "self, output_dir=None, state_dict=None",
    "_issue_warnings_after_load": "self, load_result",
    "compute_loss": "self, model, inputs, return_outputs=False, num_items_in_batch=None",
    "training_step": "self, model, inputs, num_items_in_batch=None",
    "log": "self, logs, start_time=None",
    "evaluate": "self, eval_dataset=None, ignore_keys=None, metric_key_prefix='eval'",
}


def parameters(function: Callable[..., Any]) -> str:
    """Names, kinds and defaults, without annotations."""
    plain = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in inspect.signature(function).parameters.values()
    ]
    return str(inspect.Signature(plain))[1:-1]


OURS = (ResumableTrainer, CaptionTrainer, ComposerTrainer)


def overridden() -> set[str]:
    own = {name for trainer in OURS for name, value in vars(trainer).items() if inspect.isfunction(value)}
    return {name for name in own if hasattr(Trainer, name)}


def test_every_method_that_is_overridden_is_listed_here() -> None:
    assert overridden() - {"__init__"} == EXPECTED.keys(), (
        "a method listed here that Trainer lacks is overridden for nothing: what does the work now?"
    )


@pytest.mark.parametrize(("name", "expected"), EXPECTED.items())
def test_trainers_methods_take_what_they_took(name: str, expected: str) -> None:
    found = parameters(getattr(Trainer, name, lambda: None))
    assert found == expected, (
        f"Trainer.{name} of transformers {transformers.__version__}: expected ({expected}), found ({found}); "
        "read it, adapt our trainers, and record the new signature here"
    )


def calls(function: Callable[..., Any]) -> set[str]:
    """Names of attributes and functions in the source of a function."""
    return set(function.__code__.co_names)


@pytest.mark.parametrize(
    ("caller", "method"),
    [
        (Trainer._inner_training_loop, "_run_epoch"),
        (Trainer._save_checkpoint, "_get_output_dir"),
        (Trainer.train, "_load_from_checkpoint"),
        (Trainer._load_from_checkpoint, "_issue_warnings_after_load"),
        (Trainer.save_model, "_save"),
    ],
)
def test_trainer_still_calls_what_is_overridden(caller: Callable[..., Any], method: str) -> None:
    assert method in calls(caller), f"Trainer.{caller.__name__} no longer calls {method}: who does?"


def test_private_parts_that_are_set_or_read() -> None:
    assert "_n_gpu" in calls(TrainingArguments.n_gpu.fget), "arguments.py sets _n_gpu"
    assert hasattr(PreTrainedModel, "_no_split_modules"), "trainer.py trims _no_split_modules for FSDP"
    assert "_gradient_checkpointing_func" in inspect.getsource(PreTrainedModel._set_gradient_checkpointing), (
        "gradient_checkpointing.py sets _gradient_checkpointing_func of single layers"
    )
    assert parameters(get_last_checkpoint) == "folder"
    assert parameters(register_feature) == "feature_cls, feature_type"


def test_callbacks_are_kept_by_their_class_names() -> None:
    """trainer_state.json of runs begun by any version; a renamed class needs an entry in RENAMED_CALLBACKS."""
    assert "__class__.__name__ == stored_callback" in inspect.getsource(Trainer._load_callback_state)
    state = ResumableEarlyStopping(3).state()
    assert state == EarlyStoppingCallback(3).state()
    assert state["attributes"].keys() == {"early_stopping_patience_counter"}


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB."),
        RuntimeError("MPS backend out of memory"),
    ],
)
def test_accelerate_knows_memory_that_ran_out(error: RuntimeError) -> None:
    assert accelerate.utils.memory.should_reduce_batch_size(error)
    with pytest.raises(RuntimeError) as cpu:
        torch.empty(1 << 60)
    assert accelerate.utils.memory.should_reduce_batch_size(cpu.value)
    assert not accelerate.utils.memory.should_reduce_batch_size(RuntimeError("something else"))
