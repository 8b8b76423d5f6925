"""Measures of captions: records in; scores with their intervals, a report or a comparison out. No torch is imported.

>>> from metrics import CaptionRecord, score_captions
>>> dress = CaptionRecord("1", "a red dress", references=("a long red dress",))
>>> jeans = CaptionRecord("2", "blue jeans", references=("soft blue jeans",))
>>> bleu = score_captions([dress, jeans]).results[0].scores["all"]["BLEU-1"]
>>> round(bleu.value, 3), [round(bound, 3) for bound in bleu.interval], bleu.signature
(0.67, [0.607, 0.717], 'BLEU-1|tok:ptb-3.4.1|refs:1|n:2|unit:reference|clusters:2|lookbook:...')
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metrics.common.errors import UserError, user_errors
    from metrics.measures.attributes.make_vocabulary import learn_vocabulary
    from metrics.measures.attributes.measure import Attributes
    from metrics.measures.base import Measure
    from metrics.measures.bleu import Bleu
    from metrics.measures.category.measure import Category
    from metrics.measures.cider import Cider
    from metrics.measures.clip_score import ClipScore
    from metrics.measures.meteor.measure import Meteor
    from metrics.measures.rouge import RougeL
    from metrics.measures.spice.measure import Spice
    from metrics.measures.statistics import Statistics, intervals, p_values
    from metrics.records.caption_sets import CaptionSet, load_systems
    from metrics.records.captions import (
        CaptionRecord,
        read_captions,
        read_records,
        read_references,
        to_json,
        write_records,
    )
    from metrics.reports.comparison import build_comparison, write_comparison
    from metrics.reports.report import build_report, write_report
    from metrics.scoring.registry import choose_measures
    from metrics.scoring.suite import Evaluation, Score, SystemScores, default_measures, score_captions, score_systems
    from metrics.viewer.ratings.store import Rating, RatingStore
    from metrics.viewer.ratings.summary import summarise

_HOMES = {
    "measures.attributes.measure": ("Attributes",),
    "measures.attributes.make_vocabulary": ("learn_vocabulary",),
    "measures.bleu": ("Bleu",),
    "records.captions": (
        "CaptionRecord",
        "read_captions",
        "read_records",
        "read_references",
        "to_json",
        "write_records",
    ),
    "measures.category.measure": ("Category",),
    "scoring.registry": ("choose_measures",),
    "measures.cider": ("Cider",),
    "measures.clip_score": ("ClipScore",),
    "reports.comparison": ("build_comparison", "write_comparison"),
    "common.errors": ("UserError", "user_errors"),
    "measures.base": ("Measure",),
    "measures.meteor.measure": ("Meteor",),
    "reports.report": ("build_report", "write_report"),
    "measures.rouge": ("RougeL",),
    "measures.spice.measure": ("Spice",),
    "measures.statistics": ("Statistics", "intervals", "p_values"),
    "scoring.suite": ("Evaluation", "Score", "SystemScores", "default_measures", "score_captions", "score_systems"),
    "viewer.ratings.store": ("Rating", "RatingStore"),
    "viewer.ratings.summary": ("summarise",),
    "records.caption_sets": ("CaptionSet", "load_systems"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Attributes",
    "Bleu",
    "CaptionRecord",
    "CaptionSet",
    "Category",
    "Cider",
    "ClipScore",
    "Evaluation",
    "Measure",
    "Meteor",
    "Rating",
    "RatingStore",
    "RougeL",
    "Score",
    "Spice",
    "Statistics",
    "SystemScores",
    "UserError",
    "build_comparison",
    "build_report",
    "choose_measures",
    "default_measures",
    "intervals",
    "learn_vocabulary",
    "load_systems",
    "p_values",
    "read_captions",
    "read_records",
    "read_references",
    "score_captions",
    "score_systems",
    "summarise",
    "to_json",
    "user_errors",
    "write_comparison",
    "write_records",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for, and no more."""
    if name in _HOME:
        return getattr(import_module(f"metrics.{_HOME[name]}"), name)
    raise AttributeError(f"module 'metrics' has no attribute {name!r}")
