"""The section `data` of a recipe: one catalogue, or a list of catalogues that are mixed."""

from typing import Annotated

from pydantic import AfterValidator, Discriminator, Tag

from finetune.config.catalogues import CatalogueConfig, CatalogueSection
from finetune.config.errors import ONE, SEVERAL

FOLDERS_OF_A_RUN = ("model", "checkpoints", "tensorboard")


def _unweighted(section: CatalogueSection) -> CatalogueSection:
    if section.weight is not None:
        raise ValueError("weight: a single catalogue has none; it says how several of a list are mixed")
    return section


def _mixable(sections: tuple[CatalogueSection, ...]) -> tuple[CatalogueSection, ...]:
    if len(sections) < 2:
        raise ValueError("a list mixes two catalogues or more; write a single one as a section, without a list")
    places: dict[str, int] = {}
    for place, section in enumerate(sections):
        first = places.setdefault(section.called.lower(), place)
        if first != place:
            raise ValueError(
                f"entries {first} and {place} are both called {section.called}; give one a name of its own"
            )
        if section.called.lower() in FOLDERS_OF_A_RUN:
            raise ValueError(
                f"entry {place} is called {section.called}, as a folder of every run is; give it another name"
            )
    return sections


Data = Annotated[
    Annotated[CatalogueConfig, AfterValidator(_unweighted), Tag(ONE)]
    | Annotated[tuple[CatalogueConfig, ...], AfterValidator(_mixable), Tag(SEVERAL)],
    Discriminator(lambda value: SEVERAL if isinstance(value, list | tuple) else ONE),
]
