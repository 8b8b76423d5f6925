"""What a run has seen that began from another run's adapter, and what is said where nobody knows."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tiny import finetune, lines
from tiny_models import write_recipe, write_tiny
from typer.testing import CliRunner

from finetune.data.demo.catalogue import write_demo
from metrics.__main__ import app

pytestmark = pytest.mark.slow

LORA = {"rank": 4, "alpha": 8, "modules": "query-value"}


def train(root: Path, name: str, seed: int, *options: Any) -> str:
    data = {"split": {"method": "product", "train": 0.5, "validation": 0.25, "seed": seed}, "limit": 40}
    fixed = {"model": {"tiny": None}, "lora": LORA, "training": {"epochs": 1}, "decoding": {"max_new_tokens": 4}}
    path = write_recipe(root, name, data=data, **fixed)
    values = ["--init-from", *options] if options else []
    result = finetune("train", path, *values)
    assert result.exit_code == 0, result.output
    return " ".join(result.stdout.split())


def captioned(root: Path, name: str, *options: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """A run's captions of its own test items, and their `run.json`."""
    out = root / f"{name}-captions" / "captions.jsonl"
    result = finetune("caption", "--model", root / name, "--data", root / f"{name}.yaml", "--out", out, *options)
    assert result.exit_code == 0, result.output
    return lines(out), json.loads((out.parent / "run.json").read_text())


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs on three splits, each begun from the one before."""
    folder = tmp_path_factory.mktemp("begun")
    write_demo(folder / "demo", 150, 0)
    write_tiny(folder / "base")
    train(folder, "first", 0)
    assert "its 40 training items count as seen too" in train(folder, "second", 1, folder / "first")
    train(folder, "third", 2, folder / "second" / "model")
    return folder


def test_items_of_the_start_and_of_its_start_count_as_seen(root: Path) -> None:
    trained = {name: lines(root / name / "references-train.jsonl") for name in ("first", "second", "third")}
    for name, starts in (("second", ["first"]), ("third", ["first", "second"])):
        records, run = captioned(root, name)
        seen = [item for start in [*starts, name] for item in trained[start]]
        captions, products = {item["references"][0] for item in seen}, {item["product_id"] for item in seen}
        assert [record["seen"] for record in records] == [record["references"][0] in captions for record in records]
        flags = [record["seen"] for record in records]
        assert any(flags) and not any(item["seen"] for item in lines(root / name / "references-test.jsonl"))
        assert run["leak_audit"]["captions_in_train"] == pytest.approx(sum(flags) / len(flags))
        siblings = [record["product_id"] in products for record in records]
        assert run["leak_audit"]["siblings_in_train"] == pytest.approx(sum(siblings) / len(siblings))
        assert "leak_note" not in run


@pytest.mark.java
def test_where_the_start_is_no_run_its_record_and_report_say_so(root: Path, tmp_path: Path) -> None:
    """So does a run that continues such a one; the items that are known still count."""
    bare = shutil.copytree(root / "first" / "model", tmp_path / "bare")
    note = "Training began from the adapter {}, and part of what it was trained on is unknown"
    assert note.format("bare") in train(root, "from-bare", 1, bare)
    records, run = captioned(root, "from-bare")
    assert run["leak_note"].startswith(note.format("bare"))
    assert not any(record["seen"] for record in records)
    command = [
        "score",
        root / "from-bare-captions" / "captions.jsonl",
        "--out",
        tmp_path / "report",
        "--measure",
        "CIDEr",
    ]
    scored = CliRunner().invoke(app, [str(argument) for argument in command])
    assert scored.exit_code == 0, scored.output
    assert json.loads((tmp_path / "report" / "report.json").read_text())["leak_notes"] == [run["leak_note"]]
    for page in ("report.md", "report.html"):
        assert run["leak_note"][:70] in (tmp_path / "report" / page).read_text()
    assert note.format("from-bare") in train(root, "from-from-bare", 2, root / "from-bare")
    records, run = captioned(root, "from-from-bare")
    assert run["leak_note"].startswith(note.format("from-bare"))
    assert any(record["seen"] for record in records)


def test_captions_by_a_bare_adapter_say_that_nobody_knows(root: Path, tmp_path: Path) -> None:
    bare = shutil.copytree(root / "first" / "model", tmp_path / "bare")
    out = tmp_path / "captions.jsonl"
    options = ["--adapter", bare, "--data", root / "first.yaml", "--out", out]
    assert finetune("caption", "--model", root / "base", *options).exit_code == 0
    assert "The adapter bare is in no run's folder" in json.loads((tmp_path / "run.json").read_text())["leak_note"]


def test_items_of_one_id_with_other_captions_both_count(root: Path, tmp_path: Path) -> None:
    """A second shop numbers its items as the first does: each has captions and products of its own."""
    start = Path(shutil.copytree(root / "first", tmp_path / "other"))
    items = lines(start / "trained-on.jsonl")
    test = lines(root / "second" / "references-test.jsonl")
    own = lines(root / "second" / "references-train.jsonl")
    changed = [item | {"id": own[0]["id"]} for item in test[:1]] + [
        item for item in items if item["id"] == own[1]["id"]
    ]
    (start / "trained-on.jsonl").write_text("".join(json.dumps(item) + "\n" for item in changed))
    train(root, "clash", 1, start)
    kept = lines(root / "clash" / "trained-on.jsonl")
    assert {item["id"] for item in kept} == {item["id"] for item in own} | {f"init_from/{own[0]['id']}"}
    records, _ = captioned(root, "clash")
    assert [record["seen"] for record in records] == [
        record["references"] == test[0]["references"] for record in records
    ]
