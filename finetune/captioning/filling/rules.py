"""Which items get a description, and which captions are good enough to be one."""

import math
import re
from dataclasses import dataclass

from finetune.config.catalogues import SPLITS
from finetune.data.preparation import Prepared
from metrics.common.errors import UserError
from metrics.records.captions import CaptionRecord
from metrics.records.spreadsheets import is_formula

_ABBREVIATIONS = ("approx.", "e.g.", "etc.", "i.e.", "incl.", "max.", "min.", "no.", "vs.")
_SENTENCE = re.compile(r"(^|\S+[.!?]\s+)([^\W\d_])")


@dataclass(frozen=True)
class Rules:
    """What `fill` was asked for.

    Attributes:
        min_confidence: withhold captions of less, 0..1 (`confidence`); None: whatever their confidence.
        words_at_least: withhold captions of fewer words.
        overwrite_short: caption items with a description of fewer words, too; 0: none.
        categories: caption only items of these categories; empty: of all.
    """

    min_confidence: float | None = None
    words_at_least: int = 1
    overwrite_short: int = 0
    categories: tuple[str, ...] = ()

    def candidates(self, prepared: Prepared) -> frozenset[str]:
        """The ids of the items to caption: they have a photo and no description, or one that is too short.

        Raises `UserError` for a category that the catalogue does not have, and if there is no such item.
        """
        known = set(prepared.splits["undescribed"].features["category"].names)
        records = prepared.records("undescribed")
        unknown = sorted(set(self.categories) - known)
        if unknown:
            shown = ", ".join(sorted(known)[:10]) or "none"
            raise UserError(f"--category {unknown[0]}: the catalogue has no such category; it has {shown}")
        if self.overwrite_short:
            described = (record for split in SPLITS for record in prepared.each_record(split))
            records += [record for record in described if _words(record.references[0]) < self.overwrite_short]
        wanted = [record.id for record in records if not self.categories or record.category in self.categories]
        if not wanted:
            raise UserError(
                f"{prepared.account.name}: nothing to fill: no article with a photo "
                f"{'that was asked for ' if self.categories else ''}lacks a description"
            )
        return frozenset(wanted)

    def reason_against(self, record: CaptionRecord) -> str | None:
        """Why a caption is withheld; None if it becomes the description."""
        caption, sure = record.caption or "", confidence(record)
        if not caption.strip():
            return "empty caption"
        if is_formula(caption.lstrip()):
            return "begins with = + - or @, which spreadsheets take for a formula"
        if _words(caption) < self.words_at_least:
            return f"fewer than {self.words_at_least} words"
        if self.min_confidence is not None and (sure is None or sure < self.min_confidence):
            return f"confidence below {self.min_confidence:g}"
        return None


def confidence(record: CaptionRecord) -> float | None:
    """How sure the model was: the geometric mean of its tokens' probabilities, 0..1; None if they are unknown."""
    return None if record.logprob is None else math.exp(record.logprob)


def sentence_case(caption: str) -> str:
    """The caption with a capital letter at the start of each sentence, and nothing else changed."""

    def capital(match: re.Match[str]) -> str:
        before, letter = match.groups()
        return str(match[0]) if before.strip().lower() in _ABBREVIATIONS else before + letter.upper()

    return _SENTENCE.sub(capital, " ".join(caption.split()))


def _words(text: str) -> int:
    return len(text.split())
