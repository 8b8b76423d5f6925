"""The demo catalogue: a made-up shop in the layout of H&M's, generated where it is missing."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from finetune.catalogues.base import Catalogue, CatalogueSection, Split
from finetune.catalogues.hm import load_kaggle_folder
from finetune.demo.catalogue import write_demo

__all__ = ["Demo", "write_demo"]


class Demo(CatalogueSection):
    """Garments drawn on the spot into `folder`; the same `articles` and `seed` give the same catalogue."""

    catalogue: Literal["demo"]
    folder: str = "data/demo-catalogue"
    articles: PositiveInt = 3000
    seed: Annotated[int, Field(ge=0)] = 0
    split: Split = Split(method="published")

    def load(self) -> Catalogue:
        """Generate the catalogue where it does not stand yet, and prepare it as H&M's is prepared."""
        folder = Path(self.folder).expanduser().resolve()
        write_demo(folder, self.articles, self.seed)
        return load_kaggle_folder(folder, "demo")
