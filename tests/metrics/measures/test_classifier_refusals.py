"""What `train-classifier` refuses, in one message and before it leaves anything."""

from pathlib import Path

import pytest
import torch
from tiny_categories import garments, train_classifier, write
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    ViTConfig,
    ViTModel,
)

from metrics.measures.category.settings import ClassifierSettings

pytestmark = pytest.mark.torch

WEIGHTS = "model.safetensors"


def refused(*arguments: object) -> str:
    result = train_classifier(*arguments)  # type: ignore[arg-type]
    assert result.exit_code == 2, result.output
    assert result.stderr.count("error: ") == 1
    assert "Traceback" not in result.output
    return result.stderr


def test_records_that_teach_nothing_are_refused(category_splits: tuple[Path, Path, Path], tmp_path: Path) -> None:
    train, validation, _ = category_splits
    out = tmp_path / "out"
    without = write(tmp_path / "without.jsonl", [{**row, "category": None} for row in garments(3)])
    one = write(tmp_path / "one.jsonl", [{**row, "category": "Dress"} for row in garments(3)])
    assert "none.jsonl: no such file" in refused(tmp_path / "none.jsonl", validation, out, "--tiny")
    assert "none of its 3 records has both" in refused(without, validation, out, "--tiny")
    assert "3 with no category" in refused(train, without, out, "--tiny")
    assert "all records have the category 'Dress'" in refused(one, validation, out, "--tiny")
    assert not out.exists()


def test_what_is_no_encoder_is_refused_and_leaves_nothing(
    trained_classifier: Path, category_splits: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    train, validation, _ = category_splits
    out = tmp_path / "out"
    picture = tmp_path / "vit"
    ViTModel(ViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)).save_pretrained(
        picture
    )
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    for path in trained_classifier.iterdir():
        if path.name != WEIGHTS:
            (pickled / path.name).write_bytes(path.read_bytes())
    torch.save(
        AutoModelForSequenceClassification.from_pretrained(trained_classifier).state_dict(),
        pickled / "pytorch_model.bin",
    )
    assert "model_type 'vit' is no text encoder" in refused(train, validation, out, "--base", picture)
    assert "safetensors" in refused(train, validation, out, "--base", pickled)
    assert "cannot load it" in refused(train, validation, out, "--base", tmp_path / "nothing")
    assert "leave --base out" in refused(train, validation, out, "--base", picture, "--tiny")
    assert not out.exists()
    out.mkdir()
    (out / "notes.txt").write_text("mine", encoding="utf-8")
    assert "did not write there: notes.txt; name another --out" in refused(train, validation, out, "--tiny")


@pytest.mark.parametrize(
    ("option", "value"),
    [("epochs", 0), ("learning-rate", 0), ("learning-rate", "nan"), ("batch-size", 0), ("dropout", 1), ("seed", -1)],
)
def test_settings_out_of_range_are_refused(
    category_splits: tuple[Path, Path, Path], tmp_path: Path, option: str, value: object
) -> None:
    assert option.replace("-", "_") in refused(*category_splits[:2], tmp_path / "out", "--tiny", f"--{option}", value)


def test_a_training_that_diverges_says_so(
    category_splits: tuple[Path, Path, Path], trained_classifier: Path, tmp_path: Path
) -> None:
    """A base with weights that are no numbers answers with none."""
    base = tmp_path / "base"
    model = AutoModelForSequenceClassification.from_pretrained(trained_classifier)
    torch.nn.init.constant_(model.bert.embeddings.word_embeddings.weight, float("nan"))
    model.save_pretrained(base)
    AutoTokenizer.from_pretrained(trained_classifier).save_pretrained(base)
    assert "learning rate" in refused(*category_splits[:2], tmp_path / "out", "--base", base, "--epochs", 1)


def test_the_published_settings_are_the_defaults() -> None:
    published = ClassifierSettings("bert-base-uncased", epochs=15, learning_rate=1e-5, batch_size=64, dropout=0.5)
    assert ClassifierSettings() == published
