"""One catalogue a file; each gives the same columns. A new catalogue is added here, to the union."""

from typing import Annotated

from pydantic import Field

from finetune.catalogues.demo import Demo
from finetune.catalogues.facad import Facad
from finetune.catalogues.folder import Folder
from finetune.catalogues.hm import HM

CatalogueConfig = Annotated[HM | Facad | Folder | Demo, Field(discriminator="catalogue")]
