"""One catalogue a file; each gives the same columns. A new catalogue's loader is added here, its keys to the recipe."""

from typing import Any

from finetune.config.catalogues import HM, CatalogueSection, Demo, Facad, FashionProduct, Folder
from finetune.data.catalogues.base import Loader
from finetune.data.catalogues.demo import DemoLoader
from finetune.data.catalogues.facad.loader import FacadLoader
from finetune.data.catalogues.fashion_product import FashionProductLoader
from finetune.data.catalogues.folder import FolderLoader
from finetune.data.catalogues.hm import HMLoader

LOADERS: dict[type[CatalogueSection], type[Loader[Any]]] = {
    HM: HMLoader,
    Facad: FacadLoader,
    FashionProduct: FashionProductLoader,
    Folder: FolderLoader,
    Demo: DemoLoader,
}


def loader_of(section: CatalogueSection) -> Loader[Any]:
    """The loader of a recipe's data section."""
    return LOADERS[type(section)](section)
