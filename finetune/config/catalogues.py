"""The data sections of a recipe: the keys of each catalogue. `finetune.data.catalogues` has the loader of each."""

import codecs
from functools import reduce
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from finetune.config import history
from finetune.config.section import Count, Positive, Section, Seed, Size

SPLITS = ("train", "validation", "test")
ALL_SPLITS = (*SPLITS, "undescribed")
PHOTO_SIZES = {"hm": "240 x 360", "fashion-product": "240 x 240"}
DEMO_FOLDERS = {"facad": "data/demo-facad", "fashion-product": "data/demo-fashion-product"}

Ratio = Annotated[float, Field(gt=0, lt=1)]
ImagesPerItem = Literal[1, "all"]


class Split(Section):
    """How articles are divided; see `finetune.data.splits`.

    Of method `product`, version 2 keeps items with the same photo together, and captions that are equal but for white
    space and Unicode form; 1 knows equal captions alone. `join_similar` also keeps photos together that look alike,
    in groups of at most this many.
    """

    method: Literal["published", "product"] = "product"
    version: Literal[1, 2] = 2
    train: Ratio = 0.8
    validation: Ratio = 0.1
    seed: Seed = 42
    join_similar: Annotated[int, Field(ge=2, le=1_000_000)] | None = None

    @model_validator(mode="after")
    def _similar_photos_need_photos(self) -> Self:
        if self.join_similar and (self.method != "product" or self.version == 1):
            raise ValueError("join_similar: means something with method: product and version: 2 alone; leave it out")
        return self


class CatalogueSection(Section):
    """The keys that all catalogues share. `limit` keeps that number of photos of each split.

    `name` distinguishes catalogues of one kind, and `weight` (default 1) is the share of the training items that
    comes from this one of several. `outside`: whether photos are read that lie outside the catalogue's folder: where
    links in it lead, or whose paths a data set names.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")] | None = None
    weight: Positive | None = None
    split: Split = Split()
    limit: Count | None = None
    on_bad_image: Literal["stop", "skip"] = "stop"
    outside: Literal["refuse", "read"] = "refuse"
    max_caption_words: Size = 300

    @property
    def called(self) -> str:
        """The catalogue's name in recipes, folders and tables."""
        return self.name or self.catalogue  # type: ignore[attr-defined]

    @property
    def title(self) -> str | None:
        """What readers call it, if the recipe says so; else `metrics` calls it by its folder or its usual name."""
        return self.name

    def identity(self) -> str:
        """The keys that decide the prepared data, as JSON in the order of the fields: part of their fingerprint.

        A key of `history.ADDED` that has its old value is left out, so that a new key changes no fingerprint.
        """
        left_out: dict[str, Any] = {"name": True, "weight": True, "outside": True}
        for key, old in history.ADDED.items():
            section, *path = key.split(".")
            if section == "data" and reduce(_value_of, path, self) == old:
                *parents, last = path
                reduce(lambda part, name: part.setdefault(name, {}), parents, left_out)[last] = True
        return self.model_dump_json(exclude=left_out)


def _value_of(section: Any, key: str) -> Any:
    """The value of a section's key; what has no such key has an object equal to nothing."""
    return getattr(section, key, object())


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


class FashionProduct(CatalogueSection):
    """The Kaggle folder of "Fashion Product Images"; `caption: description` reads the full edition's styles/."""

    catalogue: Literal["fashion-product"]
    folder: str
    caption: Literal["name", "description"] = "name"


def _text_encoding(name: str) -> str:
    try:
        "".encode(codecs.lookup(name).name)  # some codecs are no encodings of text
    except (LookupError, ValueError) as error:
        raise ValueError(f"{name!r} is no text encoding; such as utf-8, cp1252, latin-1, utf-16, shift_jis") from error
    return name


class Columns(Section):
    """Which column of the table holds what. `id` defaults to the image's path, `product_id` to the id.

    `image` and `caption`, if they are not given, are found by their usual names; `caption: ""`: there is none.
    """

    image: str = "file_name"
    caption: str | None = None
    id: str | None = None
    product_id: str | None = None
    category: str | None = None
    colour: str | None = None
    attributes: tuple[str, ...] = ()


class Folder(CatalogueSection):
    """A folder of images with or without a table beside it, or a data set of the Hub.

    `encoding` is that of a table that is a text, if it is not UTF-8.
    """

    catalogue: Literal["folder"]
    folder: str | None = None
    table: str | None = None
    encoding: Annotated[str, AfterValidator(_text_encoding)] | None = None
    dataset: str | None = None
    dataset_split: str = "train"
    columns: Columns = Columns()

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.folder is None) == (self.dataset is None):
            raise ValueError("give either folder (of images) or dataset (a datasets id)")
        if self.dataset is not None and self.encoding is not None:
            raise ValueError("encoding: is that of a folder's table; data sets are UTF-8: leave it out")
        return self

    @property
    def title(self) -> str | None:
        """The given name, else the id of the data set or the name of its folder."""
        return self.name or (Path(self.dataset).name if self.dataset and Path(self.dataset).is_dir() else self.dataset)


class Demo(CatalogueSection):
    """Garments drawn on the spot into `folder`; the same `articles` and `seed` give the same catalogue.

    `photo_side` is the width and height of the photos of layout `facad` in pixels (default 64).
    """

    catalogue: Literal["demo"]
    layout: Literal["hm", "facad", "fashion-product"] = "hm"
    folder: str = "data/demo-catalogue"
    articles: Annotated[int, Field(ge=1, le=1_000_000)] = 3000
    seed: Seed = 0
    photo_side: Annotated[int, Field(ge=16, le=256)] | None = None
    split: Split = Split(method="published")

    @model_validator(mode="before")
    @classmethod
    def _layouts_differ(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        layout = str(values.get("layout", "hm"))
        if layout in PHOTO_SIZES and values.get("photo_side") is not None:
            raise ValueError(
                f"photo_side is a key of layout: facad; photos of layout: {layout} are {PHOTO_SIZES[layout]}"
            )
        if layout == "fashion-product":
            values = {"split": {"method": "product"}} | values
        return {"folder": DEMO_FOLDERS[layout]} | values if layout in DEMO_FOLDERS else values


# A new catalogue: its class above and here, and its loader in `finetune.data.catalogues`.
CatalogueConfig = Annotated[HM | Facad | FashionProduct | Folder | Demo, Field(discriminator="catalogue")]
