"""Measures of captions, with no model and no torch: records in, scores and a report out."""

from metrics.captions import CaptionRecord, read_captions, read_records, to_json, write_records
from metrics.errors import UserError, user_errors
from metrics.report import write_report
from metrics.suite import Evaluation, Score, SystemScores, score_captions, score_systems
from metrics.systems import System, load_systems

__all__ = [
    "CaptionRecord",
    "Evaluation",
    "Score",
    "System",
    "SystemScores",
    "UserError",
    "load_systems",
    "read_captions",
    "read_records",
    "score_captions",
    "score_systems",
    "to_json",
    "user_errors",
    "write_records",
    "write_report",
]
