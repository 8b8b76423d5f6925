"""`train-classifier`: real transformers models on small references files."""

import math
import os
import resource
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_categories import CATEGORIES, EPOCHS, caption, garments, record, tiny, train_classifier, write
from torch.nn.functional import cross_entropy
from training_processes import CONTEXT, end, run_logged, start
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DistilBertConfig,
    DistilBertModel,
)

from metrics.measures.category.examples import Example, Examples, read_examples
from metrics.measures.category.model import load_classifier
from metrics.measures.category.settings import ClassifierSettings
from metrics.measures.category.training import open_base, weighted, weighted_loss

pytestmark = pytest.mark.torch

DISTINCT = 140
WEIGHTS = "model.safetensors"


def test_is_an_ordinary_transformers_folder_that_is_as_good_as_it_says(
    trained_classifier: Path, category_splits: tuple[Path, Path, Path]
) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(trained_classifier).eval()
    tokenizer = AutoTokenizer.from_pretrained(trained_classifier)
    assert model.config.id2label == dict(enumerate(CATEGORIES))
    assert model.config.label2id == {name: number for number, name in enumerate(CATEGORIES)}
    rows = read_examples(category_splits[2]).rows
    with torch.inference_mode():
        logits = [model(**tokenizer(row.caption, return_tensors="pt")).logits[0] for row in rows]
    hits = [model.config.id2label[int(one.argmax())] == row.category for one, row in zip(logits, rows, strict=True)]
    ranked = load_classifier(trained_classifier).rank([row.caption for row in rows])
    assert ranked.tolist() == [one.topk(3).indices.tolist() for one in logits]
    written = record(trained_classifier)
    assert written["test_accuracy"]["all"] == sum(hits) / 24
    seen = [hit for hit, row in zip(hits, rows, strict=True) if row.seen]
    assert written["test_accuracy"]["seen"] == sum(seen) / len(seen)
    assert written["test_accuracy"]["all"] > 0.9
    assert written["validation_accuracy"][written["best_epoch"] - 1] == max(written["validation_accuracy"])
    assert len(written["validation_accuracy"]) == EPOCHS
    assert sorted(path.name for path in trained_classifier.iterdir()) == [
        "classifier.json",
        "config.json",
        WEIGHTS,
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_each_reference_is_an_example_and_what_is_left_out_is_named(
    category_splits: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    rows = garments(40)
    rows[0]["references"] = [caption("Vest top", 1), caption("Vest top", 2), "  "]
    rows[0]["category"] = "Vest top"
    rows[1]["category"] = None
    rows[2]["references"] = []
    rows[3]["references"] = ["dress " * 600]
    validation = [*garments(8, 500), {"id": "x", "references": ["a silk tie."], "category": "Tie"}]
    out = tmp_path / "out"
    train = write(tmp_path / "train.jsonl", rows)
    result = train_classifier(
        train, write(tmp_path / "validation.jsonl", validation), out, "--tiny", "--epochs", 1, "--dropout", 0
    )
    assert result.exit_code == 0, result.output
    data = record(out)["data"]
    assert data["train"]["examples"] == 40 - 3 + 2
    assert data["train"]["left_out"] == {
        "an empty reference": ["00000"],
        "no category": ["00001"],
        "no reference": ["00002"],
    }
    for why, identity in (("no category", "00001"), ("no reference", "00002"), ("an empty reference", "00000")):
        assert f"1  with {why}, left out: '{identity}'" in result.stdout
    assert "1  of categories that training lacks, counted wrong: 'Tie'" in result.stdout
    assert data["validation"]["unknown_categories"] == ["Tie"]
    assert record(out)["cut"] == {"train": 1, "validation": 0}
    assert "captions of train longer than the model reads, cut: 1\n" in result.stdout
    assert (record(out)["validation_accuracy"][0] * 9) % 1 == pytest.approx(0, abs=1e-9)
    assert max(record(out)["validation_accuracy"]) <= 8 / 9


@pytest.mark.slow
def test_the_seed_decides(trained_classifier: Path, category_splits: tuple[Path, Path, Path], tmp_path: Path) -> None:
    train, validation, _ = category_splits
    assert tiny(train, validation, tmp_path / "same").exit_code == 0
    assert tiny(train, validation, tmp_path / "other", "--seed", 7).exit_code == 0
    weights = (trained_classifier / WEIGHTS).read_bytes()
    assert (tmp_path / "same" / WEIGHTS).read_bytes() == weights
    assert (tmp_path / "other" / WEIGHTS).read_bytes() != weights


def test_the_epoch_of_the_best_validation_accuracy_is_kept(
    category_splits: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    """Validation rows of wrong categories: the more is learned, the fewer are hit."""
    wrong = [{**row, "category": CATEGORIES[(place + 1) % 4]} for place, row in enumerate(garments(24, 500))]
    validation = write(tmp_path / "validation.jsonl", wrong)
    out = tmp_path / "out"
    assert tiny(category_splits[0], validation, out).exit_code == 0
    history = record(out)["validation_accuracy"]
    assert history[-1] < max(history)
    best = load_classifier(out).rank([row["references"][0] for row in wrong])[:, 0]
    hits = [CATEGORIES[number] == row["category"] for number, row in zip(best, wrong, strict=True)]
    assert sum(hits) / 24 == max(history)


def test_every_row_twice_is_the_same_training(
    trained_classifier: Path, category_splits: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    again = [row | {"id": f"{row['id']}-2"} for row in garments(160)]
    train = write(tmp_path / "train.jsonl", [*garments(160), *again])
    assert tiny(train, category_splits[1], tmp_path / "out").exit_code == 0
    assert (tmp_path / "out" / WEIGHTS).read_bytes() == (trained_classifier / WEIGHTS).read_bytes()
    assert record(tmp_path / "out")["data"]["train"]["examples"] == 320
    assert (
        record(tmp_path / "out")["data"]["train"]["distinct"]
        == record(trained_classifier)["data"]["train"]["distinct"]
        == DISTINCT
    )


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(picks=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_weighted_loss_and_gradient_are_those_of_all_rows(
    trained_classifier: Path, picks: list[tuple[int, int]]
) -> None:
    """Also where equal captions are of different categories."""
    classifier = load_classifier(trained_classifier)
    classifier.model.cpu()
    rows = tuple(Example(caption(CATEGORIES[text], text), CATEGORIES[label]) for text, label in picks)
    distinct = weighted(classifier, Examples(Path("train.jsonl"), rows, {}))

    def logits(sequences: list[list[int]]) -> torch.Tensor:
        return torch.as_tensor(classifier.model(**classifier.pad(sequences)).logits)

    def gradient(loss: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(loss, classifier.model.classifier.weight)[0]

    labels = torch.tensor([CATEGORIES.index(row.category) for row in rows])
    whole = cross_entropy(logits(classifier.encode([row.caption for row in rows])), labels)
    weights = torch.tensor([one["weight"] for one in distinct])
    merged = weighted_loss(
        logits([one["input_ids"] for one in distinct]), torch.tensor([one["label"] for one in distinct]), weights
    )
    assert float(weights.mean()) == pytest.approx(1)
    torch.testing.assert_close(merged, whole, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(gradient(merged), gradient(whole), rtol=1e-3, atol=1e-5)


@pytest.mark.processes
@pytest.mark.slow
def test_interrupted_it_resumes_to_the_same_weights(
    trained_classifier: Path,
    category_splits: tuple[Path, Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train, validation, test = category_splits
    out = tmp_path / "out"
    process = start(*command(train, validation, out), "--test", str(test), log=tmp_path / "log")
    while not list(out.glob("unfinished/checkpoint-*/trainer_state.json")):
        assert process.is_alive(), "it ended before it was interrupted"
        time.sleep(0.01)
    os.kill(process.pid or 0, signal.SIGINT)
    assert end([process]) == [128 + signal.SIGINT]
    assert not record(out)["finished"]
    refused = train_classifier(train, validation, out, "--tiny", "--epochs", EPOCHS + 1, "--test", test)
    assert f"epochs ({EPOCHS} there, {EPOCHS + 1} asked for)" in refused.stderr
    monkeypatch.setattr("metrics.common.screen.LINE_SECONDS", 0)
    resumed = tiny(train, validation, out, "--test", test)
    assert resumed.exit_code == 0
    steps = EPOCHS * math.ceil(DISTINCT / 32)
    assert f"| {steps}/{steps} " in resumed.stderr
    assert f"| 0/{steps} " not in resumed.stderr
    assert (out / WEIGHTS).read_bytes() == (trained_classifier / WEIGHTS).read_bytes()
    assert record(out)["validation_accuracy"] == record(trained_classifier)["validation_accuracy"]


def command(train: Path, validation: Path, out: Path) -> list[str]:
    """What `tiny` runs, for a process of its own."""
    words = ["train-classifier", train, "--validation", validation, "--out", out, "--tiny", "--epochs", EPOCHS]
    return [str(word) for word in words]


def run_with_small_files(largest: int, arguments: list[str], log: str) -> None:
    """Run a command in this process, which can write no file of more bytes than `largest`."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    run_logged(arguments, log, os.environ, meteor="")


@pytest.mark.processes
@pytest.mark.slow
@pytest.mark.parametrize("bytes_a_file", [100_000, 700_000])
def test_a_full_disk_ends_in_a_message_and_with_room_it_resumes(
    bytes_a_file: int, trained_classifier: Path, category_splits: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    """The weights take 577 kB, the optimizer's state more than 800."""
    out, log = tmp_path / "out", tmp_path / "log"
    arguments = (bytes_a_file, command(*category_splits[:2], out), str(log))
    process = CONTEXT.Process(target=run_with_small_files, args=arguments)
    process.start()
    assert end([process]) == [2], log.read_text()
    assert f"error: {out}: the classifier cannot be written there" in log.read_text()
    assert "Traceback" not in log.read_text()
    assert tiny(*category_splits[:2], out).exit_code == 0
    assert (out / WEIGHTS).read_bytes() == (trained_classifier / WEIGHTS).read_bytes()


@pytest.mark.processes
@pytest.mark.slow
def test_of_two_at_once_the_second_waits_for_the_first(
    trained_classifier: Path, category_splits: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    train = command(*category_splits[:2], out)
    logs = [tmp_path / "first.log", tmp_path / "second.log"]
    codes = end([start(*train, log=log) for log in logs])
    outputs = [log.read_text() for log in logs]
    assert codes == [0, 0], outputs
    late = ("waiting for another process that is training it", "trained already")
    assert sum(any(words in text for words in late) for text in outputs) == 1
    assert (out / WEIGHTS).read_bytes() == (trained_classifier / WEIGHTS).read_bytes()
    assert not (out / "unfinished").exists()


def test_finished_it_is_left_as_it_is_and_others_are_refused(
    trained_classifier: Path, category_splits: tuple[Path, Path, Path]
) -> None:
    train, validation, test = category_splits
    before = (trained_classifier / "classifier.json").stat().st_mtime_ns
    again = tiny(train, validation, trained_classifier, "--test", test)
    assert again.exit_code == 0
    assert "trained already" in again.stdout
    assert (trained_classifier / "classifier.json").stat().st_mtime_ns == before
    other = tiny(test, validation, trained_classifier, "--seed", 1)
    assert other.exit_code == 2
    assert "seed (42 there, 1 asked for)" in other.stderr
    assert "train data (" in other.stderr
    assert "none asked for" in other.stderr


@pytest.mark.slow
def test_weights_that_changed_are_not_believed(
    trained_classifier: Path, category_splits: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    train, validation, test = category_splits
    out = shutil.copytree(trained_classifier, tmp_path / "classifier")
    trained = (out / WEIGHTS).read_bytes()
    (out / WEIGHTS).write_bytes(trained[:-4] + bytes(4))
    again = tiny(train, validation, out, "--test", test)
    assert again.exit_code == 0
    assert f"note: {out}: its weights are not those that were trained; it is trained again" in again.stderr
    assert (out / WEIGHTS).read_bytes() == trained


def test_any_encoder_can_be_the_base(
    trained_classifier: Path, category_splits: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    """A DistilBERT of random weights; the dropout is its head's alone."""
    base = tmp_path / "base"
    tokenizer = AutoTokenizer.from_pretrained(trained_classifier)
    torch.manual_seed(0)
    config = DistilBertConfig(vocab_size=len(tokenizer), dim=32, n_layers=1, n_heads=2, hidden_dim=64)
    DistilBertModel(config).save_pretrained(base)
    tokenizer.save_pretrained(base)
    model = open_base(read_examples(category_splits[0]), ClassifierSettings(str(base), dropout=0.4)).model
    assert (model.dropout.p, model.distilbert.embeddings.dropout.p) == (0.4, 0.1)
    folders = {}
    for dropout in (0, 0.5):
        folders[dropout] = tmp_path / f"dropout-{dropout}"
        options = ("--base", base, "--epochs", 1, "--learning-rate", 1e-3, "--dropout", dropout)
        result = train_classifier(*category_splits[:2], folders[dropout], *options)
        assert result.exit_code == 0, result.output
    assert (folders[0] / WEIGHTS).read_bytes() != (folders[0.5] / WEIGHTS).read_bytes()
    model = AutoModelForSequenceClassification.from_pretrained(folders[0.5])
    assert model.config.model_type == "distilbert"
    assert model.config.id2label == dict(enumerate(CATEGORIES))
