"""The work of the command `compose`: the photos that differ from a reference as a text says."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune.data.feature_cache import FeatureStore
from metrics.common.errors import UserError
from metrics.common.files import one_line, read_json_object
from metrics.common.formatting import printable
from metrics.common.tables import WideTable, print_tables
from metrics.photos.folders import folder_named, photo_path
from metrics.records.json_reader import JsonReader
from recommend.retrieval import fashion_iq
from recommend.retrieval.output import signature
from recommend.retrieval.recipe import Dataset, Recipe
from recommend.retrieval.run_folder import ComposedRun
from recommend.retrieval.search import Gallery, best
from recommend.retrieval.trained import Trained, load


@dataclass(frozen=True)
class Found:
    """The answer to a query.

    Attributes:
        image: the reference: an id or a photo's file.
        text: how what is wanted differs.
        searched: which photos, in words.
        ids: the k photos, best first.
        categories: (k,) of each.
        scores: (k,) cosines of the text and the difference of the photos.
        signature: what the scores depend on.
    """

    image: str
    text: str
    searched: str
    ids: Sequence[str]
    categories: Sequence[str]
    scores: NDArray[np.float64]
    signature: str

    def to_json(self) -> dict[str, Any]:
        """What `--json` prints."""
        found = [
            {"rank": rank, "id": key, "category": category, "score": round(float(score), 4)}
            for rank, (key, category, score) in enumerate(zip(self.ids, self.categories, self.scores, strict=True), 1)
        ]
        query = {"image": self.image, "text": self.text, "gallery": self.searched, "signature": self.signature}
        return {**query, "found": found}


class ComposedSearch:
    """A trained run, open for queries.

    Attributes:
        recipe: what it was trained by.
        category_of: the category of each photo, the first of several.
    """

    def __init__(self, folder: str | Path) -> None:
        """Open the run in `folder`. Raises `UserError` if it is not trained, or its files or the data's are damaged."""
        self._run = ComposedRun(Path(folder))
        self.recipe: Recipe = self._run.recipe()
        self._store = FeatureStore.open(self._run.vectors, "run compose-train again")
        self._members = _members(self._run, self.recipe.dataset, self._store)
        self.category_of: dict[str, str] = {}
        for category, ids in self._members.items():
            for key in ids:
                self.category_of.setdefault(key, category)
        self._galleries: dict[str | None, Gallery] = {}
        self._trained: Trained | None = None

    def find(self, image: str, text: str, category: str | None = None, k: int = 10) -> Found:
        """The k photos whose difference from `image`, an id or a photo's file, the text names best.

        They are of `category`, by default of that of an id, or of all. The reference may be among them, with score 0.
        Raises `UserError` if there is no such photo or category, the text has no known word, or k is too large.
        """
        self._trained = self._trained or load(self._run, self.recipe)
        reference, own = self._reference(image, self._trained)
        chosen = category or own
        ids = list(self._members.get(chosen, ()) if chosen else self.category_of)
        if not ids:
            raise UserError(f"--category {chosen}: expected one of {', '.join(self.recipe.dataset.categories)}")
        if k > len(ids) or len(ids) < 2:
            raise UserError(f"--k {k}: expected at most {len(ids):,}, the photos of {chosen or 'all categories'}")
        if chosen not in self._galleries:
            self._galleries[chosen] = Gallery(ids, self._store.rows(self._store.places(ids)))
        scores = self._galleries[chosen].scores(reference, self._text(text, self._trained))
        places = best(scores, k)
        names = [ids[place] for place in places]
        searched = f"all {len(ids):,} photos of {chosen or ', '.join(self.recipe.dataset.categories)}"
        categories = [self.category_of[key] for key in names]
        return Found(image, text, searched, names, categories, scores[places], signature(self.recipe, "cosine"))

    def photo(self, key: str) -> Path | None:
        """The file of a photo; None if it is gone, or in a folder that was not used on this machine."""
        if key not in self.category_of:
            return Path(key)
        return self._files.get(key)

    @cached_property
    def _files(self) -> dict[str, Path]:
        dataset = self.recipe.dataset
        folder = folder_named(dataset.folder / dataset.photos, self._run.path)
        files = fashion_iq.photo_files(folder) if folder else {}
        return {key: path for key, path in files.items() if photo_path(path.parent, path.name)}

    def _reference(self, image: str, trained: Trained) -> tuple[NDArray[np.float32], str | None]:
        if image in self.category_of:
            return self._store.rows(self._store.places([image]))[0], self.category_of[image]
        if not Path(image).is_file():
            raise UserError(f"--image {image}: is neither the id of a photo of this run nor a file")
        return trained.photo_file(Path(image)), None

    def _text(self, text: str, trained: Trained) -> NDArray[np.float32]:
        if not text.strip():
            raise UserError("--text: expected words, found an empty text")
        words = " ".join(text.split())
        inputs = trained.text.inputs([words])
        if trained.text.encoder is None and not inputs.any():
            raise UserError(f"--text: {self.recipe.text.encoder} knows no word of {text!r}; use other words")
        vector: NDArray[np.float32] = trained.texts([words])[0]
        return vector


def _members(run: ComposedRun, dataset: Dataset, store: FeatureStore) -> dict[str, list[str]]:
    """The encoded photos of each category, from the data if the run is of an earlier version, which kept none."""
    if run.categories.is_file():
        remedy = "run compose-train again"
        kept = JsonReader(read_json_object(run.categories, remedy), str(run.categories), remedy)
        members = {str(category): kept.texts(category) for category in dataset.categories}
    else:
        members = fashion_iq.members(fashion_iq.read_splits(dataset.folder, dataset.categories))
    encoded = set(store.ids)
    return {category: [key for key in ids if key in encoded] for category, ids in members.items()}


def show(found: Found, as_text: bool) -> None:
    """Print the answer as a table or as JSON."""
    if as_text:
        print(printable(one_line(json.dumps(found.to_json(), ensure_ascii=False, indent=1))))
        return
    table = WideTable(["", "id", "category"], ["score"])
    for one in found.to_json()["found"]:
        table.add_row(str(one["rank"]), one["id"], one["category"], f"{one['score']:.3f}")
    print_tables(f"like {found.image}, but: {found.text} ({found.searched})", table, found.signature)
