"""The lemmas of captions: the nouns, adjectives and proper nouns that Stanza finds, each caption parsed once."""

import re
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from tqdm import tqdm

from metrics.common.cache import cache_folder
from metrics.measures.attributes.lemma_cache import Kept, LemmaCache
from metrics.measures.attributes.stanza_models import signature
from metrics.measures.attributes.workers import parsed

_BLANK = re.compile(r"[\s\x00-\x1f\x7f-\x9f-]+")


def normalised(caption: str) -> str:
    """Return what Stanza is given: lower case, "-" as a space, as the paper does it; one space for any white space.

    Control characters count as white space (a blank line would end a sentence, and shift every later caption of a
    batch), a lone surrogate as a question mark.
    """
    return _BLANK.sub(" ", caption.lower()).strip().encode("utf-8", "replace").decode("utf-8")


class Lemmas:
    """Captions to lemmas by the models of `source` (`en` or a folder), each distinct caption parsed once in a lifetime.

    Attributes:
        signature: version and hash of the models.
        parsed: how many distinct captions Stanza has parsed.
        cached: how many were found in the cache.
    """

    def __init__(self, source: str, folder: Path | None = None) -> None:
        """Take the models and the folder of the cache (default: `lemmas` in Lookbook's)."""
        self.source = source
        self.signature = signature(source)
        self.path = (folder or cache_folder("lemmas")) / f"{self.signature}.sqlite"
        self.parsed = 0
        self.cached = 0

    def of(self, captions: Iterable[str]) -> dict[str, Kept]:
        """Return caption (as given) to the lemmas of its nouns, adjectives and proper nouns, in order.

        Raises:
            UserError: when the models cannot be loaded, a process dies, or the cache cannot be used.
        """
        texts = {caption: normalised(caption) for caption in captions}
        wanted = set(texts.values()) - {""}
        cache = LemmaCache(self.path)
        kept = cache.find(wanted)
        self.cached += len(kept)
        kept |= self._parse(sorted(wanted - kept.keys(), key=lambda text: (-len(text), text)), cache)
        return {caption: kept.get(text, ()) for caption, text in texts.items()}

    def _parse(self, captions: list[str], cache: LemmaCache) -> dict[str, Kept]:
        kept: dict[str, Kept] = {}
        bar = tqdm(total=len(captions), desc="lemmas", unit="caption", mininterval=1, disable=len(captions) < 100)
        with bar, closing(parsed(captions, self.source)) as chunks:
            for chunk, lemmas in chunks:
                found = dict(zip(chunk, map(tuple, lemmas), strict=True))
                cache.add(found)
                kept |= found
                bar.update(len(chunk))
        self.parsed += len(captions)
        return kept
