"""The vocabulary of attributes: the lemmas that are frequent enough in the training captions, or a given list."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from metrics.common.errors import UserError
from metrics.common.files import read_bytes, read_json_object, write_text
from metrics.common.json_text import parse_json
from metrics.records.captions import CaptionRecord

MINIMUM = 10


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The lemmas that are attributes.

    Attributes:
        attributes: attribute to its count in the training captions, most frequent first; None if unknown.
        pipeline: Stanza's version and the hash of the models that the captions must be parsed by.
        source: where it comes from: `file`, and for counted ones `captions`, `distinct`, `minimum`.
    """

    attributes: Mapping[str, int | None]
    pipeline: str
    source: Mapping[str, Any] = field(default_factory=dict)

    @property
    def signature(self) -> str:
        """Size and hash of its words, whatever their order."""
        words = "\n".join(sorted(self.attributes))
        return f"{len(self.attributes)}-{hashlib.sha256(words.encode(errors='surrogatepass')).hexdigest()[:8]}"


def training_captions(records: Sequence[CaptionRecord], path: Path) -> list[str]:
    """Return all captions of the records, repeated ones included.

    Raises:
        UserError: when a record has none.
    """
    for record in records:
        if not record.references:
            raise UserError(f'{path}: id {record.id!r} has no "references"; expected the training captions there')
    return [text for record in records for text in record.references]


def count_attributes(
    captions: Sequence[str], lemmas: Mapping[str, Iterable[str]], pipeline: str, path: Path, minimum: int = MINIMUM
) -> Vocabulary:
    """Return the lemmas that occur at least `minimum` times in the captions, repeated words and captions included.

    Raises:
        UserError: when none does.
    """
    counts: Counter[str] = Counter()
    for caption, times in Counter(captions).items():
        for lemma in lemmas[caption]:
            counts[lemma] += times
    often = sorted((lemma for lemma, count in counts.items() if count >= minimum), key=lambda one: (-counts[one], one))
    if not often:
        raise UserError(f"{path}: no lemma occurs {minimum} times in its {len(captions)} captions; lower --minimum")
    source = {"file": path.name, "captions": len(captions), "distinct": len(set(captions)), "minimum": minimum}
    return Vocabulary({lemma: counts[lemma] for lemma in often}, pipeline, source)


def listed_attributes(path: Path, pipeline: str) -> Vocabulary:
    """Return a given list as vocabulary: a JSON list of words or one word a line, lower-cased and otherwise unchanged.

    Raises:
        UserError: when the file cannot be read, has other content or none.
    """
    try:
        text = read_bytes(path).decode("utf-8-sig")
        words = parse_json(text) if text.lstrip().startswith("[") else text.splitlines()
    except ValueError as error:
        raise UserError(f"{path}: expected one word a line or a JSON list, in UTF-8 ({error})") from error
    for place, word in enumerate(words, start=1):
        if not isinstance(word, str):
            raise UserError(f"{path}: word {place} must be a string, found {json.dumps(word)}")
    listed = dict.fromkeys(filter(None, (word.strip().lower() for word in words)))
    if not listed:
        raise UserError(f"{path}: contains no word")
    return Vocabulary(listed, pipeline, {"file": path.name})


def never_matching(vocabulary: Vocabulary) -> list[str]:
    """Return the attributes that no lemma can equal: captions are parsed with "-" as a space, into single words."""
    return [word for word in vocabulary.attributes if "-" in word or len(word.split()) > 1]


MARK = ('{\n "pipeline": "', '\n "attributes": {')
"""How every file of a vocabulary begins, and what its words come after."""


def write_vocabulary(path: Path, vocabulary: Vocabulary) -> None:
    """Write as JSON, atomically; raises `UserError` when the file cannot be written."""
    values = {"pipeline": vocabulary.pipeline, "source": vocabulary.source, "attributes": vocabulary.attributes}
    write_text(path, json.dumps(values, ensure_ascii=True, indent=1) + "\n")


def read_vocabulary(path: Path) -> Vocabulary:
    """Read a vocabulary that `write_vocabulary` wrote.

    Raises:
        UserError: naming file and key, when it cannot be read or has other content.
    """
    remedy = "make it with `lookbook attributes`"
    data = read_json_object(path, remedy)
    for key, kind, expected in (
        ("pipeline", str, "a string"),
        ("source", dict, "an object"),
        ("attributes", dict, "an object"),
    ):
        if not isinstance(data.get(key), kind):
            problem = f"found {_show(data[key])}" if key in data else "it is missing"
            raise UserError(f'{path}: no attribute vocabulary: "{key}" must be {expected}, {problem}; {remedy}')
    if not data["attributes"]:
        raise UserError(f'{path}: "attributes" is empty; {remedy}')
    for word, count in data["attributes"].items():
        if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 0):
            raise UserError(
                f'{path}: "attributes": {_show(word)} must be a count or null, found {_show(count)}; {remedy}'
            )
    return Vocabulary(data["attributes"], data["pipeline"], data["source"])


def _show(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
