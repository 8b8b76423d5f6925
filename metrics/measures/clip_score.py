"""CLIPScore and RefCLIPScore: how near a caption is to the photo, and to photo and references, in CLIP's space.

Hessel et al., CLIPScore: A Reference-free Evaluation Metric for Image Captioning, EMNLP 2021, sections 3 and 3.1.
metrics/README.md lists the differences from the published code (github.com/jmhessel/clipscore).
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metrics.common.errors import UserError
from metrics.encoders.packages import missing_packages
from metrics.measures.base import Measure, Measured
from metrics.measures.statistics import Floats, mean_of
from metrics.photos.folders import photo_path
from metrics.photos.hdf5 import photo_file
from metrics.text.corpus import Corpus

if TYPE_CHECKING:
    from metrics.encoders.dual_encoder import DualEncoder, Vectors

PUBLISHED = "openai/clip-vit-base-patch32"
PROMPT = "A photo depicts"
WEIGHT = 2.5
_SHOWN = 5


class ClipScore(Measure):
    """CLIPScore = 2.5 max(cos(photo, caption), 0), its mean over items, and RefCLIPScore if `references`.

    RefCLIPScore is the harmonic mean of an item's CLIPScore and max(cos(caption, reference), 0), of the nearest
    reference. Caption and references are read after `PROMPT`. A missing or empty caption scores 0 in both.

    Args:
        clip: the dual encoder, as `load_dual_encoder` takes it.
        images: the folder that the records' photos are relative to. Default: the one that the `run.json`s name, if they
            may (`CaptionSet.photo_folder`).
        references: whether to measure RefCLIPScore, too, for which every item needs a reference.
    """

    reference_free = ("CLIPScore",)
    tokenizer = "model"
    work = "torch"

    def __init__(self, clip: str = PUBLISHED, images: Path | None = None, references: bool = True) -> None:
        self.names = ("CLIPScore", "RefCLIPScore") if references else ("CLIPScore",)
        self.clip, self.images = clip, images

    @cached_property
    def encoder(self) -> "DualEncoder":
        """The model, loaded when it is first asked for; raises `UserError` as `load_dual_encoder`."""
        from metrics.encoders.load import load_dual_encoder  # noqa: PLC0415

        return load_dual_encoder(self.clip)

    def absent(self) -> str | None:
        """Return what to install if torch or transformers is missing."""
        return missing_packages("torch", "transformers")

    def check(self, corpus: Corpus) -> None:
        """Raise `UserError` when an item has no photo file, or the model cannot be loaded."""
        self._photos(corpus)
        _ = self.encoder

    def measure(self, corpus: Corpus) -> list[Measured]:
        """Encode each distinct photo and reference once, then one system's distinct captions after the other's.

        In memory are the vectors, (n, d), of photos, references and one system's captions.

        Raises:
            UserError: as `check`, and when a photo is broken.
        """
        photos = self._encode_photos(corpus)
        texts = [text for item in corpus.references for text in item] if "RefCLIPScore" in self.names else []
        references = self._encode_texts(texts, "references")
        further = {"cut_references": self.encoder.too_long(_prompted(texts))} if texts else {}
        counts = [len(item) for item in corpus.references]
        measured = []
        for captions in corpus.captions:
            vectors = self._encode_texts(captions, "captions")
            vectors[[not caption.strip() for caption in captions]] = 0
            clip = WEIGHT * cosines(photos, vectors).clip(min=0)
            statistics = {"CLIPScore": mean_of(clip)}
            if texts:
                nearest = nearest_reference(vectors, references, counts).clip(min=0)
                statistics["RefCLIPScore"] = mean_of(harmonic_mean(clip, nearest))
            details = self._account() | {"cut_captions": self.encoder.too_long(_prompted(captions))} | further
            measured.append(Measured(statistics, self._signature(), details))
        return measured

    def _encode_photos(self, corpus: Corpus) -> "Vectors":
        """Return the vectors of the items' photos, (n, d)."""
        paths = self._photos(corpus)
        owners = {path: f"CLIPScore: id {item.id!r}" for path, item in zip(paths, corpus.items, strict=True)}
        vectors = self.encoder.encode_photos(list(owners), owners=list(owners.values()))
        places = {path: place for place, path in enumerate(owners)}
        return vectors[[places[path] for path in paths]]

    def _encode_texts(self, texts: Sequence[str], title: str) -> "Vectors":
        """Return the vectors of n texts after the prompt, (n, d)."""
        places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        return self.encoder.encode_texts(_prompted(list(places)), title)[[places[text] for text in texts]]

    def _photos(self, corpus: Corpus) -> list[Path]:
        """Return the file of each item's photo, (n,); raises `UserError` when one is missing."""
        folder = self.images or _catalogue_folder(corpus)
        paths, faults = [], []
        for item in corpus.items:
            path = photo_path(folder, item.image) if item.image else None
            if path is None:
                problem = f"is not inside {folder}" if item.image else 'is not named ("image")'
                faults.append(f"id {item.id!r}: its photo {problem}")
            elif not photo_file(path).is_file():
                faults.append(f"id {item.id!r}: no such photo: {path}")
            else:
                paths.append(path)
        if faults:
            more = f" and {len(faults) - _SHOWN:,} more" if len(faults) > _SHOWN else ""
            remedy = "give the folder that photos are relative to with --images, or leave these items out"
            raise UserError(f"CLIPScore: {'; '.join(faults[:_SHOWN])}{more}; {remedy}")
        return paths

    def _signature(self) -> tuple[str, ...]:
        revision = (f"revision:{self.encoder.revision[:8]}",) if self.encoder.revision else ()
        model = "/".join(Path(self.encoder.source).parts[-2:])
        weights = f"weights:{self.encoder.weights}"
        return f"model:{model}", *revision, weights, self.encoder.dtype, f"w:{WEIGHT}", f"prompt:{PROMPT}"

    def _account(self) -> dict[str, Any]:
        return {"model": self.encoder.source, "revision": self.encoder.revision, "weights": self.encoder.weights}


def cosines(one: "Vectors", other: "Vectors") -> Floats:
    """Return the cosine of each pair of unit vectors (n, d), (n,)."""
    return np.asarray(np.einsum("nd,nd->n", one, other, dtype=np.float64))


def nearest_reference(captions: "Vectors", references: "Vectors", counts: Sequence[int]) -> Floats:
    """Return the largest cosine of each caption (n, d) with its references, of which it has `counts`, (n,)."""
    of_all = cosines(references, np.repeat(captions, counts, axis=0))
    return np.asarray(np.maximum.reduceat(of_all, np.cumsum([0, *counts[:-1]])))


def harmonic_mean(one: Floats, other: Floats) -> Floats:
    """Return 2ab / (a + b) of values that are not negative, (n,); 0 of two zeros."""
    total = one + other
    return np.divide(2 * one * other, total, out=np.zeros_like(total), where=total > 0)


def _prompted(texts: Sequence[str]) -> list[str]:
    return [f"{PROMPT} {text}" for text in texts]


def _catalogue_folder(corpus: Corpus) -> Path:
    folders = list(dict.fromkeys(folder.resolve() for one in corpus.systems if (folder := one.photo_folder)))
    if len(folders) != 1:
        named = [one.run.catalogue.folder for one in corpus.systems if one.run and one.run.catalogue.folder]
        found = f"the runs name {named[0]}, which was not used here" if named else "no run.json names it"
        found = f"the runs name several: {', '.join(map(str, folders))}" if folders else found
        raise UserError(f"CLIPScore: the photos' folder is unknown: {found}; give it with --images")
    return folders[0]
