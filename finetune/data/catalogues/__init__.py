"""One catalogue a file; each gives the same columns. A new catalogue is added here, to the union."""

from typing import Annotated

from pydantic import Field

from finetune.data.catalogues.demo import Demo
from finetune.data.catalogues.facad.loader import Facad
from finetune.data.catalogues.folder import Folder
from finetune.data.catalogues.hm import HM

CatalogueConfig = Annotated[HM | Facad | Folder | Demo, Field(discriminator="catalogue")]
