"""Category accuracy by a real, tiny classifier; expected values by plain transformers and scikit-learn."""

import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support, top_k_accuracy_score
from tiny_categories import CATEGORIES, EPOCHS, caption, splits, tiny
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from metrics.common.errors import UserError
from metrics.measures.category.confusion import category_details
from metrics.measures.category.examples import Example, Examples
from metrics.measures.category.measure import Category
from metrics.measures.category.model import load_classifier
from metrics.measures.category.tiny_bert import make_tiny_bert
from metrics.measures.rouge import RougeL
from metrics.records.caption_sets import CaptionSet
from metrics.records.captions import CaptionRecord
from metrics.reports.report import write_report
from metrics.scoring.suite import Evaluation, score_systems

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("classifier")
    train, validation, test = splits(root)
    assert tiny(train, validation, root / "out", "--test", test).exit_code == 0
    return root / "out"


@pytest.fixture(scope="module")
def predict(classifier: Path) -> Any:
    """Probabilities (C,) of one text, by plain transformers."""
    model = AutoModelForSequenceClassification.from_pretrained(classifier).eval()
    tokenizer = AutoTokenizer.from_pretrained(classifier)

    def probabilities(text: str) -> Any:
        with torch.inference_mode():
            return model(**tokenizer(text, return_tensors="pt")).logits[0].softmax(-1).numpy()

    return probabilities


def items(count: int) -> list[CaptionRecord]:
    """References of all categories in their turn, the first half seen in training."""
    return [
        CaptionRecord(
            str(number),
            references=(caption(CATEGORIES[number % 4], number),),
            category=CATEGORIES[number % 4],
            seen=number < count // 2,
        )
        for number in range(count)
    ]


def system(name: str, captions: list[str | None]) -> CaptionSet:
    records = {
        str(number): CaptionRecord(str(number), text) for number, text in enumerate(captions) if text is not None
    }
    return CaptionSet(name, records)


def mixed(number: int) -> str:
    """A caption in which two categories' words meet."""
    one, other = caption(CATEGORIES[number % 4], number).split(), caption(CATEGORIES[number // 4 % 4], number).split()
    return " ".join([*one[: number % 5 + 1], *other[number % 7 :]])


def measured(folder: Path, references: list[CaptionRecord], *systems: CaptionSet) -> Evaluation:
    return score_systems(systems, references, [Category(folder)])


def test_equals_plain_transformers_and_scikit_learn(classifier: Path, predict: Any) -> None:
    references = items(64)
    captions = [mixed(number) for number in range(64)]
    evaluation = measured(classifier, references, system("mixed", list(captions)))
    (result,) = evaluation.results
    probabilities = np.array([predict(text) for text in captions])
    true = [CATEGORIES.index(str(item.category)) for item in references]
    predicted = probabilities.argmax(axis=1)
    hits = predicted == np.array(true)
    assert 0.2 < hits.mean() < 0.9
    assert result.scores["all"]["Acc"].per_item.tolist() == hits.astype(float).tolist()
    assert result.scores["all"]["Acc"].value == accuracy_score(true, predicted)
    assert result.scores["unseen"]["Acc"].value == accuracy_score(true[32:], predicted[32:])
    low, high = result.scores["all"]["Acc"].interval
    assert low < hits.mean() < high
    details = result.details["Acc"]
    assert details["macro_f1"] == pytest.approx(f1_score(true, predicted, average="macro"))
    assert details["top_3"] == top_k_accuracy_score(true, probabilities, k=3)
    pairs = Counter(zip(true, predicted.tolist(), strict=True))
    assert {(one, other): n for one, other, n in details["confusion"]["counts"]} == pairs
    assert details["confusion"]["labels"] == list(CATEGORIES)
    written = json.loads((classifier / "classifier.json").read_text(encoding="utf-8"))
    assert details["classifier"]["test_accuracy"] == written["test_accuracy"]
    assert len(written["validation_accuracy"]) == EPOCHS


def test_the_ceiling_is_the_accuracy_on_references(classifier: Path, predict: Any) -> None:
    """Of an item with two references, one of them misleading, half counts."""
    references = items(8)
    misled = CaptionRecord("8", references=(caption("Dress", 1), caption("Vest top", 2)), category="Dress", seen=False)
    assert [CATEGORIES[predict(text).argmax()] for text in misled.references] == ["Dress", "Vest top"]
    hits = [CATEGORIES[predict(item.references[0]).argmax()] == item.category for item in references]
    evaluation = measured(classifier, [*references, misled], system("a", [""] * 9), system("b", ["a hat"] * 9))
    for result in evaluation.results:
        ceiling = result.details["Acc"]["accuracy_of_references"]
        assert ceiling["all"] == pytest.approx((sum(hits) + 0.5) / 9)
        assert ceiling["seen"] == pytest.approx(sum(hits[:4]) / 4)
        assert ceiling["unseen"] == pytest.approx((sum(hits[4:]) + 0.5) / 5)


def test_missing_and_empty_captions_are_wrong_and_items_without_category_left_out(classifier: Path) -> None:
    references = items(8)
    references[6] = CaptionRecord("6", references=("a scarf.",))
    captions: list[str | None] = [caption(CATEGORIES[number % 4], number) for number in range(8)]
    captions[4:6] = [None, "  "]
    evaluation = measured(classifier, references, system("some", captions), system("none", [None] * 8))
    some, none = evaluation.results
    score = some.scores["all"]["Acc"]
    assert score.per_item.tolist()[:6] == [1, 1, 1, 1, 0, 0]
    assert np.isnan(score.per_item[6])
    assert score.value == 5 / 7
    details = some.details["Acc"]
    assert (details["without_category"], details["without_caption"]) == (1, 2)
    assert sum(n for *_, n in details["confusion"]["counts"]) == 5
    assert none.scores["all"]["Acc"].value == none.details["Acc"]["macro_f1"] == none.details["Acc"]["top_3"] == 0
    assert none.details["Acc"]["confusion"]["counts"] == []


def test_captions_longer_than_the_classifier_reads_are_counted(classifier: Path) -> None:
    """It reads 512 tokens, two of which frame the caption."""
    captions = ["dress " * 510, "dress " * 511, caption("Dress", 3), ""]
    (result,) = measured(classifier, items(4), system("long", list(captions))).results
    assert result.details["Acc"]["cut_captions"] == 1
    assert not np.isnan(result.scores["all"]["Acc"].per_item).any()


def test_a_lone_surrogate_is_read_as_a_question_mark(classifier: Path, tmp_path: Path) -> None:
    texts = ["a \ud800 red dress", "a ? red dress"]
    assert len(set(map(tuple, load_classifier(classifier).rank(texts)))) == 1
    evaluation = measured(classifier, items(4), system("odd", [*texts, "\udfff", "a\0 \U0001f600 \u202etop"]))
    write_report(evaluation, tmp_path / "report")
    examples = Examples(tmp_path, (Example(texts[0], "Dress"),), {})
    assert {"?", "dress"} <= AutoTokenizer.from_pretrained(make_tiny_bert(examples, tmp_path / "bert", 0)).vocab.keys()


def test_a_category_that_the_classifier_does_not_know_is_refused_before_anything_runs(
    classifier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RougeL, "measure", lambda *_: pytest.fail("a measure ran"))
    measures = [RougeL(), Category(classifier)]
    references = [*items(4), CaptionRecord("4", references=("a dress.",), category="dresses")]
    with pytest.raises(UserError, match=r"does not know 1 categories of the items: 'dresses' \(it has 'Dress'\)"):
        score_systems([system("a", ["a dress"] * 5)], references, measures)
    nameless = [CaptionRecord(item.id, references=item.references) for item in items(4)]
    with pytest.raises(UserError, match='no item has a "category"'):
        score_systems([system("a", ["a dress"] * 4)], nameless, measures)


def test_the_signature_names_the_classifier(classifier: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(classifier, other)
    first, same = (measured(path, items(4), system("a", ["a dress"] * 4)) for path in (classifier, other))

    def signature(evaluation: Evaluation) -> str:
        return evaluation.results[0].scores["all"]["Acc"].signature

    assert signature(first) == signature(same)
    assert signature(first).startswith("Acc|tok:bert|refs:1|n:4|classifier:")
    written = json.loads((classifier / "classifier.json").read_text(encoding="utf-8"))["signature"]
    assert written.endswith("|base:tiny")
    assert f"|{written}|" in signature(first)
    model = AutoModelForSequenceClassification.from_pretrained(other)
    torch.nn.init.zeros_(model.classifier.weight)
    model.save_pretrained(other)
    changed = signature(measured(other, items(4), system("a", ["a dress"] * 4)))
    assert changed != signature(first)


def test_a_classifier_of_somebody_else_s_needs_no_record(classifier: Path, tmp_path: Path) -> None:
    other = tmp_path / "theirs"
    shutil.copytree(classifier, other)
    (other / "classifier.json").unlink()
    evaluation = measured(other, items(4), system("a", [caption("Dress", 0)] * 4))
    (result,) = evaluation.results
    assert result.scores["all"]["Acc"].value == 1 / 4
    untold = dict.fromkeys(("best_epoch", "validation_accuracy", "test_accuracy"))
    about = {"folder": str(other), "base": "theirs", "categories": 4}
    assert result.details["Acc"]["classifier"] == about | untold
    assert "(theirs,\n4 categories)" in write_report(evaluation, tmp_path / "report").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "change",
    [
        {"data": {"test": {}}},
        {"data": []},
        {"settings": None},
        {"settings": {"base": 7}},
        {"test_accuracy": {"all": "good"}},
        {"test_accuracy": 0.9},
        {"finished": "yes"},
    ],
)
def test_a_record_that_is_none_of_ours_counts_for_nothing(
    classifier: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    theirs = tmp_path / "theirs"
    shutil.copytree(classifier, theirs)
    written = json.loads((classifier / "classifier.json").read_text(encoding="utf-8"))
    (theirs / "classifier.json").write_text(json.dumps(written | change), encoding="utf-8")
    assert Category(theirs).record == {}
    train, validation, _ = splits(tmp_path)
    refused = tiny(train, validation, theirs)
    assert refused.exit_code == 2
    assert "holds what Lookbook did not write there: " in refused.stderr


def test_a_folder_without_a_whole_classifier_is_refused(classifier: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no such folder; expected a category classifier.*train-classifier"):
        Category(tmp_path / "none")
    with pytest.raises(UserError, match=r"expected a category classifier .* found none"):
        Category(tmp_path)
    unfinished = tmp_path / "unfinished"
    shutil.copytree(classifier, unfinished)
    written = json.loads((classifier / "classifier.json").read_text(encoding="utf-8"))
    (unfinished / "classifier.json").write_text(json.dumps(written | {"finished": False}), encoding="utf-8")
    with pytest.raises(UserError, match="has not ended"):
        Category(unfinished)
    (unfinished / "classifier.json").write_bytes(b'{"finished": ')
    damaged = re.escape(f"{unfinished / 'classifier.json'}: expected a JSON object, found damaged text")
    with pytest.raises(UserError, match=damaged):
        Category(unfinished)
    train, validation, _ = splits(tmp_path)
    refused = tiny(train, validation, unfinished)
    assert (refused.exit_code, "classifier.json: expected a JSON object" in refused.stderr) == (2, True)
    headless = tmp_path / "headless"
    shutil.copytree(classifier, headless)
    model = AutoModelForSequenceClassification.from_pretrained(classifier)
    model.bert.save_pretrained(headless)
    assert json.loads((headless / "config.json").read_text(encoding="utf-8"))["id2label"]
    with pytest.raises(UserError, match="no trained classifier: the weights lack"):
        measured(headless, items(4), system("a", ["a dress"] * 4))


@given(pairs=st.lists(st.tuples(st.integers(-1, 4), st.integers(-1, 4)), min_size=1, max_size=40))
def test_details_are_scikit_learn_s_for_any_predictions(pairs: list[tuple[int, int]]) -> None:
    """-1: no category (left out) and no caption (of no category)."""
    truth, predicted = np.array(pairs).T
    known = truth >= 0
    if not known.any():
        return
    labels = ["a", "b", "c", "d", "e"]
    details = category_details(truth, predicted[:, None], labels)
    there = sorted(set(truth[known].tolist()))
    expected = precision_recall_fscore_support(truth[known], predicted[known], labels=there, zero_division=0)
    by_category = {one["category"]: one for one in details["per_category"]}
    assert set(by_category) == {labels[number] for number in there}
    for number, *values in zip(there, *expected, strict=True):
        one = by_category[labels[number]]
        assert [one["precision"], one["recall"], one["f1"], one["n"]] == pytest.approx(values)
    assert details["macro_f1"] == pytest.approx(np.mean(expected[2]))
    assert details["without_category"] == (~known).sum()
