"""The demo catalogue: a made-up shop in the layout of H&M's or of FACAD's, generated if it is missing."""

from pathlib import Path

from finetune.config.catalogues import Demo
from finetune.data.catalogues.base import Catalogue, Loader, SourceTable
from finetune.data.catalogues.facad.loader import load_facad_folder
from finetune.data.catalogues.hm import kaggle_table, load_kaggle_folder
from finetune.data.demo.catalogue import write_demo
from finetune.data.demo.facad import PHOTO_SIDE, write_facad_demo


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
        write_demo(folder, section.articles, section.seed)
        return load_kaggle_folder(folder, "demo")

    def table(self) -> SourceTable | None:
        """Return `articles.csv`; FACAD's layout has no table."""
        return kaggle_table(Path(self.section.folder).expanduser().resolve()) if self.section.layout == "hm" else None
