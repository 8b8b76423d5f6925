"""What transformers, PEFT and Trainer read of a model, an adapter and a checkpoint; what a run keeps beside them."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from fuzzing import (
    DEEP,
    NESTED,
    SMALL,
    as_json,
    changed,
    damaged,
    files,
    folder,
    fuzz,
    line_files,
    put,
    reads_or_refuses,
)
from hypothesis import strategies as st
from places import RECIPES
from run_records import TRAINED
from tiny import finetune
from tiny import photo as save_photo
from tiny_encoders import bert, resnet
from tiny_models import SHAPE, load_tiny, write_tiny

from finetune.config.recipe import Lora, Training, Tune, load_recipe
from finetune.experiments.pipeline import finished_report
from finetune.experiments.sweep_table import row_of
from finetune.models.adapter_files import load_adapter
from finetune.models.adapters import attach
from finetune.models.encoders import load_encoder
from finetune.models.tiny import check_tiny
from finetune.publishing.contents import publication, read_trained
from finetune.publishing.model_card import _scored
from finetune.runs.exposure import audited
from finetune.runs.folder import RunFolder
from finetune.training.caption_evaluation import _read_scores
from finetune.training.caption_evaluation_page import write_page
from finetune.training.checkpoints import check_whole
from finetune.training.micro_batch import _kept_size
from finetune.training.trackers import attach_reports
from metrics.encoders.load import load_dual_encoder

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
SETTINGS = ("config.json", "generation_config.json", "processor_config.json", "tokenizer_config.json", "tokenizer.json")


def base() -> Path:
    root = folder("models") / "base"
    return root if root.exists() else write_tiny(root)


def adapter() -> Path:
    root = folder("adapters") / "adapter"
    if not root.exists():
        captioner = load_tiny(base())
        attach(captioner, Tune(), Lora(rank=2))
        captioner.model.save_pretrained(root)
    return root


def values_of(path: Path) -> st.SearchStrategy[bytes]:
    """Contents for a file of settings."""
    text = path.read_bytes()
    return (
        changed(json.loads(text), SMALL).map(as_json)
        | damaged(text)
        | st.sampled_from([DEEP, NESTED, "[]", "{}", ""]).map(str.encode)
    )


@fuzz("finetune.models.adapter_files", cost=120, data=st.data())
def test_adapters(data: st.DataObject) -> None:
    path = adapter() / data.draw(st.sampled_from([CONFIG, CONFIG, WEIGHTS]))
    original = path.read_bytes()
    try:
        put(path, data.draw(values_of(path) if path.name == CONFIG else damaged(original)))
        reads_or_refuses(lambda: load_adapter(load_tiny(base()), str(adapter())))
    finally:
        put(path, original)


@fuzz("finetune.models.loading", cost=100, data=st.data())
def test_base_models(data: st.DataObject) -> None:
    path = base() / data.draw(st.sampled_from([name for name in SETTINGS if (base() / name).is_file()]))
    original = path.read_bytes()
    try:
        put(path, data.draw(values_of(path)))
        reads_or_refuses(load_tiny, base())
    finally:
        put(path, original)


@pytest.mark.parametrize("name", [*SETTINGS, CONFIG, "preprocessor_config.json", "special_tokens_map.json"])
@pytest.mark.parametrize("content", [DEEP, NESTED, '{"a": 1e400}'], ids=["deep", "nested", "infinite"])
def test_any_settings_beside_a_base_are_one_message(tmp_path: Path, name: str, content: str) -> None:
    copied = Path(shutil.copytree(base(), tmp_path / "base"))
    put(copied / name, content.encode())
    reads_or_refuses(load_tiny, copied)


@pytest.mark.parametrize("name", [CONFIG, "processor_config.json"])
def test_brackets_in_an_adapters_settings_are_one_message(tmp_path: Path, name: str) -> None:
    copied = Path(shutil.copytree(adapter(), tmp_path / "adapter"))
    put(copied / name, DEEP.encode())
    picture = save_photo(tmp_path / "photo.jpg")
    result = finetune("caption", picture, "--model", base(), "--adapter", copied)
    assert (result.exit_code, result.stderr.count("error: ")) == (2, 1), result.output
    assert "Traceback" not in result.output


@fuzz("metrics.encoders.pretrained", cost=60, data=st.data())
def test_encoders(data: st.DataObject) -> None:
    kind, make = data.draw(st.sampled_from([("resnet", resnet), ("bert", bert)]))
    root = folder("encoders") / kind
    if not root.exists():
        make(root)
    path = root / data.draw(st.sampled_from(sorted(file.name for file in root.glob("*.json"))))
    original = path.read_bytes()
    try:
        put(path, data.draw(values_of(path)))
        reads_or_refuses(load_encoder, str(root))
        reads_or_refuses(load_dual_encoder, str(root))
    finally:
        put(path, original)


@fuzz("finetune.models.tiny", content=files({"family": "blip2", "shape": SHAPE.model_dump()}))
def test_marks_of_tiny_models(content: bytes) -> None:
    root = put(folder("tiny") / "tiny.json", content).parent
    reads_or_refuses(check_tiny, "blip2", SHAPE, root)


STATE: dict[str, Any] = {
    "global_step": 4,
    "max_steps": 8,
    "epoch": 1.0,
    "num_train_epochs": 2,
    "best_metric": 2.5,
    "log_history": [{"step": 2, "loss": 3.0}],
    "stateful_callbacks": {"unlogged_loss": {"sums": [0.5], "last_logged_step": 2}},
}


@fuzz("finetune.training.checkpoints", content=files(STATE))
def test_the_state_of_trainer(content: bytes) -> None:
    root = put(folder("checkpoints") / "checkpoint-4" / "trainer_state.json", content).parent
    for name in ("model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth"):
        (root / name).touch()
    reads_or_refuses(check_whole, root, 1)


@fuzz("finetune.training.micro_batch", content=files({"wanted": 4, "fits": 2}))
def test_sizes_that_fitted(content: bytes) -> None:
    run = RunFolder(folder("sizes"))
    put(run.micro_batch, content)
    reads_or_refuses(_kept_size, Training(micro_batch_size=4), run, 1)


SCORED = {"systems": [{"name": "ours", "scores": {"all": {"CIDEr": {"value": 0.5, "signature": "s"}}}}]}


@fuzz("finetune.training.trackers", cost=40, report=files(SCORED), notes=files({"id": "a", "reported": "b"}))
def test_what_a_tracker_is_told(report: bytes, notes: bytes) -> None:
    run = RunFolder(folder("tracked"))
    put(run.report_json, report)
    put(run.tracker, notes)
    reads_or_refuses(attach_reports, "tensorboard", run, {"seed": 1}, {"a": run.report_json})


@fuzz("finetune.training.caption_evaluation", content=files({"signatures": {}, "steps": {"10": {"CIDEr": 0.5}}}))
def test_scores_while_training(content: bytes) -> None:
    reads_or_refuses(_read_scores, put(folder("evaluation") / "scores.json", content), 20)


@fuzz("finetune.runs.exposure", content=line_files([{"id": "1", "product_id": "p", "references": ["a"]}]))
def test_items_that_were_trained_on(content: bytes) -> None:
    class Account:
        name = "hm"

    class Prepared:
        account = Account()

    path = put(folder("trained on") / "trained-on.jsonl", content)
    reads_or_refuses(audited, Prepared(), [], path)


@fuzz("finetune.training.caption_evaluation_page", rows=line_files([{"id": "1", "references": ["a"], "caption": "b"}]))
def test_the_page_of_evaluations(rows: bytes) -> None:
    root = folder("pages")
    put(root / "scores.json", b'{"signatures": {"CIDEr": "s"}, "steps": {"10": {"CIDEr": 0.5}}}')
    put(root / "step-000010.jsonl", rows)
    reads_or_refuses(write_page, root, [])


REPORT: dict[str, Any] = {
    "slices": {"all": 3, "seen": 1, "unseen": 0},
    "measures": ["CIDEr"],
    "systems": [
        {"name": "ours", "kind": "finetuned", "run": {"file": "c"}, "scores": {"all": {"CIDEr": {"value": 1}}}}
    ],
}


@fuzz(
    "finetune.experiments.sweep_table",
    "finetune.experiments.pipeline",
    "finetune.publishing.model_card",
    report=files(REPORT),
)
def test_reports_of_runs(report: bytes) -> None:
    run = RunFolder(folder("reports"))
    recipe = load_recipe(RECIPES / "demo.yaml", [f"output={run.path}"])
    put(run.training, json.dumps({"recipe": recipe.model_dump(mode="json"), "best_step": 1}).encode())
    put(run.report_json, report)
    put(run.evaluation / "scores.json", report)
    reads_or_refuses(row_of, {"a": 1}, recipe, None)
    reads_or_refuses(finished_report, recipe)
    reads_or_refuses(_scored, {"catalogue": "hm"}, run.report_json)


@fuzz("finetune.publishing.contents", cost=12, data=st.data())
def test_what_is_published(data: st.DataObject) -> None:
    run = RunFolder(folder("published"))
    recipe = load_recipe(RECIPES / "demo.yaml").model_dump(mode="json")
    record = TRAINED | {"recipe": recipe | {"output": str(run.path)}, "versions": {"lookbook": "1"}}
    put(run.training, data.draw(files(record)))
    put(run.model / "adapter_config.json", data.draw(files({"r": 2, "base_model_name_or_path": "/a/b"})))
    put(run.model / "processor_config.json", b"{}")
    if not (run.model / WEIGHTS).exists():
        shutil.copy(adapter() / WEIGHTS, run.model / WEIGHTS)
    reads_or_refuses(lambda: publication(read_trained(run.path, None), "card"))
