"""Captions by a model that has seen nothing of their articles: what stands in for a description that is hidden."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune.data.feature_cache import FeatureStore
from finetune.data.items import read_items
from metrics.common.errors import UserError
from metrics.common.groups import connected_groups
from metrics.records.captions import read_captions
from metrics.text.spelling import plain_spelling
from recommend.recommenders.base import ItemFeatures

_COLUMNS = ["id", "product_id", "description", "role"]
_BATCH = 256
_REMEDY = "give the items.parquet of the run that wrote the captions"


@dataclass(frozen=True)
class HeldOut:
    """Captions that may stand in for hidden descriptions.

    Attributes:
        features: of the captions, by the encoder of the descriptions' store; known where there is such a caption.
        groups: (I,) articles of one product or with the same description have the same number; hidden as wholes.
        notes: captions that may not stand in, counted by reason.
    """

    features: ItemFeatures
    groups: NDArray[np.int64]
    notes: list[str]


def held_out(captions: Path, items: Path, store: FeatureStore, article_ids: Sequence[str]) -> HeldOut:
    """Encode the captions of test items of which training and validation have neither siblings nor the description.

    So the model was trained on none of what is hidden, whatever split it was trained on. Of a store of `tfidf`, the
    words and their weights are those of all descriptions, the hidden ones among them.

    Args:
        captions: of the test split, which `lookbook run` or `caption --split test` wrote.
        items: items.parquet of the same run: its roles say what the model was trained on.
        store: of descriptions, not reduced or joined, so that a caption can be encoded as they were.
        article_ids: the I candidates.

    Raises:
        UserError: a file is damaged or of another run, no caption may stand in, or the encoder cannot be loaded or
            reads no texts.
    """
    table = _table(items)
    unseen = _unseen(table)
    written = _read(captions, unseen, items)
    texts = {key: text for key, text in written.items() if text and key in unseen}
    used = [place for place, key in enumerate(article_ids) if key in texts]
    if not used:
        raise UserError(
            f"{captions}: expected captions of items that {items} has in its test split and whose product and "
            f"description training has not, found none among {len(written):,}; caption --split test of a run with "
            "data.split.method: product"
        )
    encoded = _encoded(store, [texts[article_ids[place]] for place in used])
    rows = np.zeros((len(article_ids), encoded.shape[1]), dtype=np.float32)
    rows[used] = encoded
    notes = [f"{len(written):,} captions, of {len(used):,} articles that the model has seen nothing of"]
    known = np.asarray(rows.any(axis=1))
    if wordless := len(used) - int(known.sum()):
        notes.append(f"{wordless:,} of these captions have no word that {store.about.encoder} knows")
    features = ItemFeatures(rows, known, f"captions by {store.about.encoder}")
    return HeldOut(features, _groups(table, article_ids, items), notes)


def _table(path: Path) -> Any:
    table = read_items(path, _COLUMNS, _REMEDY)
    table["description"] = [plain_spelling(text) if isinstance(text, str) else "" for text in table["description"]]
    return table


def _unseen(table: Any) -> set[str]:
    """The ids of test items whose product and description no training or validation item has."""
    trained = table[table["role"].isin(("train", "validation"))]
    product, description = set(trained["product_id"].dropna()), set(trained["description"])
    test = table[table["role"] == "test"]
    seen = test["product_id"].isin(product) | test["description"].isin(description)
    return set(test["id"][~seen])


def _read(path: Path, unseen: set[str], items: Path) -> dict[str, str]:
    """The captions by id; of another split of the catalogue they would be of another run than the table."""
    records = read_captions(path)
    other = next((one for one in records if one.id in unseen and one.split not in (None, "test")), None)
    if other:
        raise UserError(f"{path}: {other.id} is in split {other.split}, but in test by {items}; {_REMEDY}")
    return {one.id: (one.caption or "").strip() for one in records}


def _encoded(store: FeatureStore, texts: Sequence[str]) -> NDArray[np.float32]:
    from finetune.embedding.named import encoder_of  # noqa: PLC0415  # PyTorch

    encoder = encoder_of(store)
    parts = [encoder.encode_texts(texts[start : start + _BATCH]) for start in range(0, len(texts), _BATCH)]
    return np.concatenate(parts).astype(np.float32)


def _groups(table: Any, article_ids: Sequence[str], path: Path) -> NDArray[np.int64]:
    lacking = sorted(set(article_ids) - set(table["id"]))
    if lacking:
        raise UserError(f"{path}: {len(lacking):,} articles are not in it, such as {lacking[0]}; {_REMEDY}")
    groups = dict(zip(table["id"], connected_groups(_keys(table)), strict=True))
    return np.array([groups[key] for key in article_ids], dtype=np.int64)


def _keys(table: Any) -> Iterator[list[tuple[str, str]]]:
    for product, description in zip(table["product_id"], table["description"], strict=True):
        keys = [("product", product), ("description", description)]
        yield [key for key in keys if isinstance(key[1], str) and key[1]]
