"""All recommenders by name."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from metrics.common.errors import UserError
from recommend.recommenders.base import Recommender
from recommend.recommenders.content import Content
from recommend.recommenders.content_table import NeighbourContent
from recommend.recommenders.factors import ALS, BPR
from recommend.recommenders.files import read_settings
from recommend.recommenders.hybrid import Hybrid
from recommend.recommenders.knn import ItemKNN, UserKNN
from recommend.recommenders.popular import MostPopular, Random, Repurchase
from recommend.recommenders.vbpr.model import BPRMF, VBPR, PaperVBPR, RecommendedVBPR

RECOMMENDERS: dict[str, type[Recommender]] = {
    one.name: one
    for one in (
        Random,
        MostPopular,
        Repurchase,
        UserKNN,
        ItemKNN,
        ALS,
        BPR,
        Content,
        NeighbourContent,
        VBPR,
        PaperVBPR,
        RecommendedVBPR,
        BPRMF,
        Hybrid,
    )
}
PRESETS: dict[str, type[Recommender]] = {
    "ducho-meets-elliot": VBPR,
    "paper": PaperVBPR,
    "recommended": RecommendedVBPR,
}


def load_recommender(settings: Mapping[str, Any]) -> Recommender:
    """The recommender called `recommender`, not fitted, with the other settings; `preset` names a variant of vbpr.

    Raises `UserError` if there is none of that name, or if it does not have a setting.
    """
    given = dict(settings)
    kind = _kind(given.pop("recommender", None), "recipe")
    if kind is VBPR and "preset" in given:
        kind = _preset(given.pop("preset"))
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    unknown = ", ".join(sorted(given.keys() - set(known)))
    if unknown:
        allowed = ", ".join(known) or "none"
        raise UserError(f"{kind.name}: expected settings among {allowed}; found {unknown}; leave out what it lacks")
    return kind(**given)


def saved_recommender(folder: Path) -> Recommender:
    """The recommender that was saved to a folder. Raises `UserError` if there is none."""
    return _kind(read_settings(folder).get("recommender"), str(folder)).load(folder)


def _kind(name: object, where: str) -> type[Recommender]:
    if not isinstance(name, str) or name not in RECOMMENDERS:
        known = ", ".join(RECOMMENDERS)
        raise UserError(f"{where}: expected a recommender among {known}; found {name}; name one of these")
    return RECOMMENDERS[name]


def _preset(name: object) -> type[Recommender]:
    if not isinstance(name, str) or name not in PRESETS:
        raise UserError(f"vbpr: preset: expected one of {', '.join(PRESETS)}, found {name}")
    return PRESETS[name]
