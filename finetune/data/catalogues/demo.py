"""The demo catalogue: a made-up shop in the layout of H&M's or of FACAD's, generated where it is missing."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt, model_validator

from finetune.data.catalogues.base import Catalogue, CatalogueSection, Split
from finetune.data.catalogues.facad.loader import load_facad_folder
from finetune.data.catalogues.hm import load_kaggle_folder
from finetune.data.demo.catalogue import write_demo
from finetune.data.demo.facad import PHOTO_SIDE, write_facad_demo

__all__ = ["Demo", "write_demo", "write_facad_demo"]

FACAD_FOLDER = "data/demo-facad"


class Demo(CatalogueSection):
    """Garments drawn on the spot into `folder`; the same `articles` and `seed` give the same catalogue.

    `photo_side` is the width and height of the photos of layout `facad` in pixels (64 where it is not given).
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

    def load(self) -> Catalogue:
        """Generate the catalogue where it does not stand yet, and prepare it as the real one of its layout."""
        folder = Path(self.folder).expanduser().resolve()
        if self.layout == "facad":
            write_facad_demo(folder, self.articles, self.seed, self.photo_side or PHOTO_SIDE)
            return load_facad_folder(folder, "demo")
        write_demo(folder, self.articles, self.seed)
        return load_kaggle_folder(folder, "demo")
