"""`lookbook attributes`: a vocabulary from training captions or from a given list."""

from collections.abc import Sequence
from pathlib import Path

from metrics.common.errors import UserError
from metrics.common.files import check_folder, make_folder
from metrics.common.ownership import refuse_inputs, refuse_other
from metrics.measures.attributes.lemmas import Lemmas
from metrics.measures.attributes.stanza_models import ENGLISH, signature
from metrics.measures.attributes.vocabulary import (
    MARK,
    MINIMUM,
    Vocabulary,
    count_attributes,
    listed_attributes,
    never_matching,
    training_captions,
    write_vocabulary,
)
from metrics.records.captions import CaptionRecord, read_references


def learn_vocabulary(
    records: Sequence[CaptionRecord], stanza: str = ENGLISH, minimum: int = MINIMUM, source: Path = Path("records")
) -> Vocabulary:
    """Return the nouns and adjectives that occur at least `minimum` times in the references of training records.

    Args:
        records: the items of the training split.
        stanza: `en`, or a folder of Stanza's models.
        minimum: how often an attribute must occur, repeated captions included.
        source: the records' file, for messages.

    Raises:
        UserError: when a record has no reference, no lemma occurs so often, or Stanza's models are missing.
    """
    texts = training_captions(records, source)
    lemmas = Lemmas(stanza)
    return count_attributes(texts, lemmas.of(texts), lemmas.signature, source, minimum)


def make_vocabulary(
    captions: Path | None, given: Path | None, stanza: str, minimum: int, out: Path, overwrite: bool = False
) -> str:
    """Write the vocabulary to `out` and return a summary of it.

    Raises:
        UserError: unless exactly one of `captions` and `given` is given, if `out` is no vocabulary or is read, unless
            to `overwrite`, and as the functions it calls.
    """
    if (captions is None) == (given is None):
        raise UserError("expected either the training captions or --list FILE, and only one of them")
    check_folder(out.parent)
    refuse_other(out, MARK, "vocabulary of attributes", overwrite=overwrite)
    refuse_inputs([] if overwrite else [out], [captions, given])
    if given is not None:
        vocabulary = listed_attributes(given, signature(stanza))
    elif captions is not None:
        vocabulary = learn_vocabulary(read_references(captions), stanza, minimum, captions)
    make_folder(out.parent)
    write_vocabulary(out, vocabulary)
    summary = [f"{out}: {len(vocabulary.attributes):,} attributes"]
    unmatched = never_matching(vocabulary)
    if unmatched:
        shown = ", ".join(unmatched[:5]) + (", ..." if len(unmatched) > 5 else "")
        summary.append(
            f"{len(unmatched):,} of them contain a hyphen or a space, so that no lemma can equal them: {shown}"
        )
    return "\n".join(summary)
