"""The lemmas of captions: their nouns, adjectives and proper nouns by Stanza, each caption parsed once."""

import re
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from metrics.common.cache import cache_folder
from metrics.common.screen import progress
from metrics.measures.attributes.lemma_cache import LemmaCache
from metrics.measures.attributes.stanza_models import signature
from metrics.measures.attributes.workers import parsed
from metrics.text.spelling import with_utf_8

_BLANK = re.compile(r"[\s\x00-\x1f\x7f-\x9f-]+")


def normalised(caption: str) -> str:
    """Return the text that Stanza gets: lower case, "-" as a space, as in the paper; any white space as one space.

    Control characters count as white space (a blank line would end a sentence, and shift every later caption of a
    batch), a lone surrogate as a question mark.
    """
    return with_utf_8(_BLANK.sub(" ", caption.lower()).strip())


class Lemmas:
    """Captions to lemmas by the models of `source` (`en` or a folder), each distinct caption parsed once ever.

    Attributes:
        signature: version and hash of the models.
        parsed: the number of distinct captions that Stanza has parsed.
        cached: the number that came from the cache.
    """

    def __init__(self, source: str, folder: Path | None = None) -> None:
        """Take the models and the folder of the cache (default: `lemmas` in Lookbook's)."""
        self.source = source
        self.signature = signature(source)
        self.path = (folder or cache_folder("lemmas")) / f"{self.signature}.sqlite"
        self.parsed = 0
        self.cached = 0

    def of(self, captions: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Return caption (as given) to the lemmas of its nouns, adjectives and proper nouns, in order.

        Raises:
            UserError: when the models cannot be loaded, a process dies, or the cache cannot be used.
        """
        texts = {caption: normalised(caption) for caption in captions}
        wanted = set(texts.values()) - {""}
        cache = LemmaCache(self.path)
        lemmas = cache.find(wanted)
        self.cached += len(lemmas)
        lemmas |= self._parse(sorted(wanted - lemmas.keys(), key=lambda text: (-len(text), text)), cache)
        return {caption: lemmas.get(text, ()) for caption, text in texts.items()}

    def _parse(self, captions: list[str], cache: LemmaCache) -> dict[str, tuple[str, ...]]:
        parsed_lemmas: dict[str, tuple[str, ...]] = {}
        bar = progress(None, "lemmas", total=len(captions), unit="caption", disable=len(captions) < 100)
        with bar, closing(parsed(captions, self.source)) as chunks:
            for chunk, lemmas in chunks:
                of_chunk = dict(zip(chunk, map(tuple, lemmas), strict=True))
                cache.add(of_chunk)
                parsed_lemmas |= of_chunk
                bar.update(len(chunk))
        self.parsed += len(captions)
        return parsed_lemmas
