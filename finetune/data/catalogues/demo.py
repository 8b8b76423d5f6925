"""The demo catalogue: a made-up shop in the layout of another catalogue, generated if it is missing."""

from pathlib import Path

from finetune.config.catalogues import Demo
from finetune.data.catalogues.base import Catalogue, Loader, SourceTable
from finetune.data.catalogues.facad.loader import load_facad_folder
from finetune.data.catalogues.fashion_product import load_fashion_product
from finetune.data.catalogues.hm import kaggle_table, load_kaggle_folder
from finetune.data.demo.catalogue import write_demo
from finetune.data.demo.facad import PHOTO_SIDE, write_facad_demo
from finetune.data.demo.fashion_product import write_fashion_product_demo


class DemoLoader(Loader[Demo]):
    """Draws the catalogue and reads it like the real one of its layout."""

    def check(self) -> None:
        """Nothing to check: what is missing is drawn."""

    def load(self) -> Catalogue:
        """Generate the catalogue if it is missing, and prepare it like the real one of its layout."""
        section = self.section
        folder = Path(section.folder).expanduser().resolve()
        if section.layout == "facad":
            write_facad_demo(folder, section.articles, section.seed, section.photo_side or PHOTO_SIDE)
            return load_facad_folder(folder, "demo")
        if section.layout == "fashion-product":
            write_fashion_product_demo(folder, section.articles, section.seed)
            return load_fashion_product(folder, "demo", described=True)
        write_demo(folder, section.articles, section.seed)
        return load_kaggle_folder(folder, "demo")

    def table(self) -> SourceTable | None:
        """Return `articles.csv`; the other layouts have no table of descriptions."""
        return kaggle_table(Path(self.section.folder).expanduser().resolve()) if self.section.layout == "hm" else None
