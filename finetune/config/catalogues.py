"""The data sections of a recipe: the keys of each catalogue. `finetune.data.catalogues` has the loader of each."""

from operator import attrgetter
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from finetune.config.section import Section

SPLITS = ("train", "validation", "test")
FACAD_FOLDER = "data/demo-facad"

Ratio = Annotated[float, Field(gt=0, lt=1)]
ImagesPerItem = Literal[1, "all"]


class Split(Section):
    """How articles are divided; see `finetune.data.splits`."""

    method: Literal["published", "product"] = "product"
    train: Ratio = 0.8
    validation: Ratio = 0.1
    seed: Annotated[int, Field(ge=0)] = 42


class CatalogueSection(Section):
    """The keys that all catalogues share. `limit` keeps that number of photos of each split.

    `name` distinguishes catalogues of one kind, and `weight` (default 1) is the share of the training items that
    comes from this one of several.
    """

    ADDED_LATER: ClassVar[dict[str, Any]] = {}
    """Dotted keys that earlier versions did not have, with the values at which the data are prepared as before them.

    A key at that value is left out of `identity`, so that a new key changes no fingerprint and unfinished runs resume.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")] | None = None
    weight: PositiveFloat | None = None
    split: Split = Split()
    limit: PositiveInt | None = None
    on_bad_image: Literal["stop", "skip"] = "stop"
    max_caption_words: PositiveInt = 300

    @property
    def called(self) -> str:
        """The catalogue's name in recipes, folders and reports."""
        return self.name or self.catalogue  # type: ignore[attr-defined]

    def identity(self) -> str:
        """The keys that decide the prepared data, as JSON in the order of the fields: part of their fingerprint."""
        left_out: dict[str, Any] = {"name": True, "weight": True}
        for key, earlier in self.ADDED_LATER.items():
            if attrgetter(key)(self) == earlier:
                *sections, last = key.split(".")
                inner = left_out
                for section in sections:
                    inner = inner.setdefault(section, {})
                inner[last] = True
        return self.model_dump_json(exclude=left_out)


class HM(CatalogueSection):
    """The Kaggle folder of "H&M Personalized Fashion Recommendations"."""

    catalogue: Literal["hm"]
    folder: str
    split: Split = Split(method="published")


class Facad(CatalogueSection):
    """FACAD's folder. `images_per_item: 1` keeps the first photo of each item."""

    catalogue: Literal["facad"]
    folder: str
    images_per_item: ImagesPerItem = "all"
    split: Split = Split(method="published")


class Columns(Section):
    """Which column of the table holds what. `id` defaults to the image's path, `product_id` to the id."""

    image: str = "file_name"
    caption: str | None = None
    id: str | None = None
    product_id: str | None = None
    category: str | None = None
    colour: str | None = None
    attributes: tuple[str, ...] = ()


class Folder(CatalogueSection):
    """A folder of images with or without a table beside it, or a data set of the Hub."""

    catalogue: Literal["folder"]
    folder: str | None = None
    table: str | None = None
    dataset: str | None = None
    dataset_split: str = "train"
    columns: Columns = Columns()

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.folder is None) == (self.dataset is None):
            raise ValueError("give either folder (of images) or dataset (a datasets id)")
        return self


class Demo(CatalogueSection):
    """Garments drawn on the spot into `folder`; the same `articles` and `seed` give the same catalogue.

    `photo_side` is the width and height of the photos of layout `facad` in pixels (default 64).
    """

    catalogue: Literal["demo"]
    layout: Literal["hm", "facad"] = "hm"
    folder: str = "data/demo-catalogue"
    articles: PositiveInt = 3000
    seed: Annotated[int, Field(ge=0)] = 0
    photo_side: Annotated[int, Field(ge=16, le=256)] | None = None
    split: Split = Split(method="published")

    @model_validator(mode="before")
    @classmethod
    def _layouts_differ(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        if values.get("layout") == "facad":
            return {"folder": FACAD_FOLDER} | values
        if values.get("layout", "hm") == "hm" and values.get("photo_side") is not None:
            raise ValueError("photo_side is a key of layout: facad; photos of layout: hm are 240 x 360")
        return values


# A new catalogue: its class above and here, and its loader in `finetune.data.catalogues`.
CatalogueConfig = Annotated[HM | Facad | Folder | Demo, Field(discriminator="catalogue")]
