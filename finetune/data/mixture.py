"""The catalogues of a recipe, each on its own and all as the one data set that is trained on."""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import datasets

from finetune.config.catalogues import ALL_SPLITS, CatalogueSection
from finetune.data.account import Account, MixturePart, SplitSizes
from finetune.data.catalogues import loader_of
from finetune.data.leaks import Exposed, SeenInTraining
from finetune.data.preparation import Prepared, prepare
from metrics.common.errors import UserError

MOST_REPEATED = 100
Result = TypeVar("Result")


@dataclass(frozen=True)
class Mixture:
    """A recipe's catalogues by name, and `whole`: what is trained on, which is a single catalogue itself.

    Of several, the splits of `whole` have the columns `id`, `product_id`, `category` (ClassLabel), each "name/value",
    `image`, `photo_digest`, `caption` and `catalogue` (the name). Its training split draws from the catalogues by their
    weights until each item has come at least once; its other splits hold each item once. In the parts, `seen` and the
    leak audit are taken against the training captions and photos of all. `whole.account.mixture` has the weight of each
    catalogue, its training articles and the items drawn from them. Records are for the parts alone.
    """

    parts: dict[str, Prepared]
    whole: Prepared

    def folders(self, output: Path) -> list[tuple[Prepared, Path]]:
        """Each catalogue with the folder for what is its own: `output` itself for a single one."""
        return [(part, output / name if len(self.parts) > 1 else output) for name, part in self.parts.items()]

    def describe(self) -> str:
        """The accounts of the preparation, for the screen."""
        accounts = [part.account.describe() for part in self.parts.values()]
        if len(self.parts) == 1:
            return accounts[0]
        drawn = [
            f"  {part.drawn:>9,}  train, from the {part.articles:,} of {part.name} (weight {part.weight:g})"
            for part in self.whole.account.mixture
        ]
        sizes = self.whole.account.split.sizes
        others = [f"  {sizes[split]:>9,}  {split}" for split in ALL_SPLITS if split != "train"]
        return "\n".join([*accounts, f"mixture of {', '.join(self.parts)}", *drawn, *others])


def check(catalogues: Mapping[str, CatalogueSection]) -> None:
    """Check the files and the table of each catalogue before a photo is read. Raises `UserError` naming it."""
    _each(catalogues, lambda section: loader_of(section).check())


def prepare_all(catalogues: Mapping[str, CatalogueSection], seed: int) -> Mixture:
    """Prepare each catalogue of a recipe and mix them by weight, in an order that `seed` draws.

    Raises `UserError` naming the catalogue that cannot be prepared or has nothing to train on.
    """
    parts = _each(catalogues, prepare)
    if len(parts) == 1:
        return Mixture(parts, *parts.values())
    weights = {name: section.weight or 1.0 for name, section in catalogues.items()}
    whole = _mixed(parts, weights, seed)
    everything = [_exposed(part.splits["train"]) for part in parts.values()]
    return Mixture({name: _audited(part, everything, whole) for name, part in parts.items()}, whole)


def prepare_one(catalogues: Mapping[str, CatalogueSection], seed: int, name: str | None = None) -> Prepared:
    """The only catalogue, or of several the one called `name`. Raises `UserError` if the name does not fit."""
    names = list(catalogues)
    if name is not None and len(names) == 1:
        raise UserError(f"catalogue {name}: the recipe has a single catalogue; leave the name out")
    if len(names) > 1 and name not in names:
        problem = "which is missing" if name is None else f"found {name}"
        raise UserError(f"catalogue (--catalogue on the command line): expected one of {', '.join(names)}; {problem}")
    return prepare_all(catalogues, seed).parts[name or names[0]]


def _each(
    catalogues: Mapping[str, CatalogueSection], action: Callable[[CatalogueSection], Result]
) -> dict[str, Result]:
    """What `action` returns for each catalogue; its `UserError` names the catalogue if there are several."""
    results = {}
    for name, section in catalogues.items():
        try:
            results[name] = action(section)
        except UserError as error:
            raise UserError(f"catalogue {name}: {error}" if len(catalogues) > 1 else str(error)) from error
    return results


def _mixed(parts: dict[str, Prepared], weights: dict[str, float], seed: int) -> Prepared:
    aligned = {split: _aligned({name: part.splits[split] for name, part in parts.items()}) for split in ALL_SPLITS}
    splits = {split: datasets.concatenate_datasets(data) for split, data in aligned.items()}
    splits["train"] = datasets.interleave_datasets(
        aligned["train"],
        probabilities=_probabilities(weights, {name: len(part.splits["train"]) for name, part in parts.items()}),
        seed=seed,
        stopping_strategy="all_exhausted",
    )
    return Prepared(splits, _account(parts, weights, splits, seed))


def _aligned(parts: dict[str, Any]) -> list[Any]:
    """One split of each catalogue with the columns of the mixture."""
    categories = [f"{name}/{label}" for name, data in parts.items() for label in data.features["category"].names]
    return [_renamed(name, data, categories) for name, data in parts.items()]


def _renamed(name: str, data: Any, categories: list[str]) -> Any:
    """A catalogue's split with the columns of the mixture; photos and captions stay on disk."""
    labels, text = data.features["category"].names, datasets.Value("string")
    columns = {
        "id": ([f"{name}/{value}" for value in data["id"][:]], text),
        "product_id": ([f"{name}/{value}" for value in data["product_id"][:]], text),
        "category": (
            [None if code is None else f"{name}/{labels[code]}" for code in data["category"][:]],
            datasets.ClassLabel(names=categories),
        ),
        "catalogue": ([name] * len(data), text),
    }
    features = datasets.Features({column: feature for column, (_, feature) in columns.items()})
    named = datasets.Dataset.from_dict({column: values for column, (values, _) in columns.items()}, features)
    return datasets.concatenate_datasets([data.select_columns(["image", "photo_digest", "caption"]), named], axis=1)


def _probabilities(weights: dict[str, float], sizes: dict[str, int]) -> list[float]:
    """Shares of the weights. Raises `UserError` if a catalogue is empty or would come too late."""
    heaviest = max(weights.values())
    total = sum(weight / heaviest for weight in weights.values())
    shares = {name: weight / heaviest / total for name, weight in weights.items()}
    for name, size in sizes.items():
        if not size:
            raise UserError(f"catalogue {name}: no captioned articles to train on; leave it out of data")
        if size > MOST_REPEATED * sum(sizes.values()) * shares[name]:
            raise UserError(
                f"catalogue {name}: its weight {weights[name]:g} is too small: before each of its {size:,} items came "
                f"once, more than {MOST_REPEATED} times all {sum(sizes.values()):,} items would be drawn; raise it"
            )
    return list(shares.values())


def _account(parts: dict[str, Prepared], weights: dict[str, float], splits: dict[str, Any], seed: int) -> Account:
    drawn = Counter(splits["train"]["catalogue"][:])
    state = [(name, part.account.fingerprint, weights[name]) for name, part in parts.items()]
    return Account(
        name=", ".join(parts),
        fingerprint=_digest(state, seed),
        split=SplitSizes(None, {split: len(data) for split, data in splits.items()}),
        mixture=tuple(
            MixturePart(name, weights[name], len(part.splits["train"]), drawn[name]) for name, part in parts.items()
        ),
    )


def _exposed(data: Any) -> Exposed:
    return Exposed(*(data[name][:] for name in ("caption", "product_id", "photo_digest")))


def _audited(part: Prepared, everything: list[Exposed], whole: Prepared) -> Prepared:
    """The part with `seen` and its leak audit taken against all captions and photos; so it has its own fingerprint."""
    trained = SeenInTraining(
        Exposed(
            captions=[caption for items in everything for caption in items.captions],
            products=part.splits["train"]["product_id"][:],
            photos=[photo for items in everything for photo in items.photos or ()],
        )
    )
    marked = {split: _marked(part.splits[split], trained) for split in ("validation", "test")}
    account = replace(
        part.account,
        leak_audit=trained.audit(_exposed(part.splits["test"])),
        fingerprint=_digest(part.account.fingerprint, whole.account.fingerprint),
    )
    return replace(part, splits=part.splits | marked, account=account)


def _marked(data: Any, trained: SeenInTraining) -> Any:
    seen = trained.seen(data["caption"][:])
    return data.remove_columns("seen").add_column("seen", seen, feature=datasets.Value("bool"))


def _digest(*state: Any) -> str:
    return hashlib.sha256(repr(state).encode()).hexdigest()[:16]
