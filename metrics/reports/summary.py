"""What the numbers mean, a sentence each: does a model see the photo, does it beat copying, also on new captions?"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from metrics.common.formatting import times_100
from metrics.common.measure_names import HEADLINE
from metrics.measures.statistics import difference_of, holm, intervals, p_values
from metrics.reports.comparison_tables import SIGNIFICANT, p_value
from metrics.scoring.clusters import FEWEST
from metrics.scoring.suite import Evaluation, SystemScores

Opponents = Mapping[str, SystemScores | None]


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked, on which slice, and how each answer begins; `missing` says why there is none."""

    text: str
    slice: str
    yes: str
    no: str
    undecided: str
    missing: str


_QUESTIONS = {
    "photo": _Question(
        "Does it see the photo?",
        "all",
        "{name} sees the photo; its captions fit their own photos better than other items' photos",
        "{name} does not see the photo; its captions fit their own photos worse than other items' photos",
        "Whether {name} sees the photo is open; captions of the right photos and of others cannot be distinguished",
        "no control (its captions with the photos shuffled) was scored; `lookbook run` makes one",
    ),
    "copying": _Question(
        "Does it beat copying?",
        "all",
        "{name} beats copying a training caption (best baseline: {other})",
        "{name} does not beat copying a training caption (best baseline: {other})",
        "{name} cannot be distinguished from copying a training caption (best baseline: {other})",
        "no baseline was scored: add them with `lookbook baselines`",
    ),
    "unseen": _Question(
        "And on captions that it has not seen?",
        "unseen",
        "On captions that are not in training {name} beats copying (best baseline: {other})",
        "On captions that are not in training {name} does not beat copying (best baseline: {other})",
        "On captions that are not in training {name} cannot be distinguished from copying (best baseline: {other})",
        "no baseline was scored, or no item is marked as unseen",
    ),
    "lookup": _Question(
        "Does it do more than look things up?",
        "unseen",
        "{name} does more than look things up; on captions that are not in training it beats the {other}",
        "{name} looks things up; on captions that are not in training it does not reach the {other}",
        "{name} may as well look things up; on captions that are not in training it cannot be distinguished from the "
        "{other}",
        "no nearest photo's caption was scored (add it with `lookbook baselines`), or no item is marked as unseen",
    ),
}


def build_summary(evaluation: Evaluation) -> dict[str, Any]:
    """Return the report's `summary`: questions on the best fine-tuned system, answered by the first measure.

    That is CIDEr if it was measured. An answer is `yes`, `no`, `undecided` (p of at least 0.05, corrected by Holm for
    the comparisons, or fewer than 30 clusters) or `not measured`; its sentence has the numbers, x100. Without
    fine-tuned systems the best of those that are no baseline and no control is asked about; without any, `system` is
    None.
    """
    measure = next(name for name in HEADLINE if name in evaluation.measures)
    candidates = _candidates(evaluation)
    if not candidates:
        return {"measure": measure, "system": None, "candidates": 0, "questions": []}
    best = _best(candidates, "all", measure)
    opponents = _opponents(evaluation, best, measure)
    compared = {about: other for about, other in opponents.items() if other is not None}
    # Two questions may be one comparison, if the nearest photo's caption is the best baseline.
    tests = {about: (_QUESTIONS[about].slice, other.system.name) for about, other in compared.items()}
    p = {tests[about]: _p(evaluation, tests[about][0], best, other, measure) for about, other in compared.items()}
    corrected = holm(p)
    answers = {
        about: _answer(evaluation, about, best, other, measure, corrected[tests[about]])
        for about, other in compared.items()
    }
    return {
        "measure": measure,
        "system": best.system.name,
        "candidates": len(candidates),
        "questions": [answers.get(about) or _not_measured(about) for about in _QUESTIONS],
    }


def _kind(result: SystemScores) -> str | None:
    return result.system.run.kind if result.system.run else None


def _candidates(evaluation: Evaluation) -> list[SystemScores]:
    tuned = [result for result in evaluation.results if _kind(result) == "finetuned"]
    return tuned or [result for result in evaluation.results if _kind(result) not in ("baseline", "control")]


def _best(results: list[SystemScores], part: str, measure: str) -> SystemScores:
    return max(results, key=lambda result: result.scores[part][measure].value)


def _opponents(evaluation: Evaluation, best: SystemScores, measure: str) -> Opponents:
    """Whom each question compares the system with: its control, the best baseline of the slice, the nearest photo."""
    baselines = [result for result in evaluation.results if _kind(result) == "baseline"]
    nearest = [
        result for result in baselines if result.system.run and result.system.run.lookup.get("rule") == "nearest"
    ]
    strongest = {part: _best(baselines, part, measure) for part in evaluation.slices if baselines}
    unseen = "unseen" in evaluation.slices
    return {
        "photo": _control(evaluation, best),
        "copying": strongest.get("all"),
        "unseen": strongest.get("unseen"),
        "lookup": _best(nearest, "unseen", measure) if nearest and unseen else None,
    }


def _control(evaluation: Evaluation, best: SystemScores) -> SystemScores | None:
    """The control that has the system's own captions on other items; any, if there is one control and one system."""
    controls = [result for result in evaluation.results if _kind(result) == "control"]
    if len(controls) == len(_candidates(evaluation)) == 1:
        return controls[0]
    return next((result for result in controls if _captions(result) == _captions(best)), None)


def _captions(result: SystemScores) -> Counter[str | None]:
    return Counter(record.caption for record in result.system.captions.values())


def _p(evaluation: Evaluation, part: str, best: SystemScores, other: SystemScores, measure: str) -> float:
    ours, theirs = best.statistics[measure], other.statistics[measure]
    return p_values({0: ours}, {0: theirs}, evaluation.slices[part], evaluation.clusters[part].labels)[0]


def _answer(
    evaluation: Evaluation, about: str, best: SystemScores, other: SystemScores, measure: str, p: float
) -> dict[str, Any]:
    question = _QUESTIONS[about]
    places, clusters = evaluation.slices[question.slice], evaluation.clusters[question.slice]
    change = difference_of(best.statistics[measure], other.statistics[measure])
    difference = change.value(places)
    counted = clusters.counted(change.per_item[places])
    answer = "undecided" if p >= SIGNIFICANT or counted < FEWEST else "yes" if difference > 0 else "no"
    found = {
        "about": about,
        "question": question.text,
        "answer": answer,
        "slice": question.slice,
        "against": other.system.name,
        "values": [result.scores[question.slice][measure].value for result in (best, other)],
        "difference": difference,
        "interval": list(intervals({0: change}, places, clusters.labels)[0]),
        "p_holm": p,
        "clusters": counted,
    }
    begin = getattr(question, answer).format(name=best.system.name, other=other.system.name)
    return found | {"sentence": f"{begin}: {_numbers(found, measure)}."}


def _numbers(found: Mapping[str, Any], measure: str) -> str:
    ours, theirs = map(times_100, found["values"])
    low, high = map(times_100, found["interval"])
    difference = format(100 * found["difference"], "+.1f")
    p = p_value(found["p_holm"])
    few = f"; only {found['clusters']:,} independent clusters of items, fewer than {FEWEST}"
    return (
        f"{measure} {ours} against {theirs}, a difference of {difference} (95% interval {low} to {high}, "
        f"p {p if p.startswith('<') else f'= {p}'}{few if found['clusters'] < FEWEST else ''})"
    )


def _not_measured(about: str) -> dict[str, Any]:
    question = _QUESTIONS[about]
    sentence = f"Not measured: {question.missing}."
    return {"about": about, "question": question.text, "answer": "not measured", "sentence": sentence}
