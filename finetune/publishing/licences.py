"""The terms of base models and catalogues, as far as they are known here."""

from dataclasses import dataclass

from huggingface_hub import HfApi
from huggingface_hub.errors import HFValidationError, HTTPError

from finetune.config.recipe import FamilyName
from finetune.models.families import FAMILIES


@dataclass(frozen=True)
class CatalogueTerms:
    """A catalogue's full name, where it comes from, and what may be done with it."""

    name: str
    source: str
    terms: str


CATALOGUES = {
    "hm": CatalogueTerms(
        "H&M Personalized Fashion Recommendations",
        "https://www.kaggle.com/competitions/h-and-m-personalized-fashion-recommendations",
        "the rules of its Kaggle competition hold: research and other non-commercial use; photos and texts are H&M's",
    ),
    "facad": CatalogueTerms(
        "FACAD",
        "https://github.com/xuewyang/Fashion_Captioning",
        "published for research; photos and texts belong to the shops that they were collected from",
    ),
    "fashion-product": CatalogueTerms(
        "Fashion Product Images",
        "https://www.kaggle.com/datasets/paramaggarwal/fashion-product-images-dataset",
        "its page on Kaggle names the licence; photos and texts belong to the shop that they were collected from",
    ),
    "demo": CatalogueTerms(
        "Lookbook's demo", "drawn by Lookbook", "made up, nobody's property: Apache-2.0 as Lookbook itself"
    ),
    "folder": CatalogueTerms(
        "a catalogue of its own", "whoever trained this has it", "not known here: ask whoever published this model"
    ),
}


def base_licence(family: FamilyName, base: str, revision: str | None) -> tuple[str | None, str]:
    """The licence of a base model on the Hub, by its own card if its family does not know it, and what to add to it.

    None with the reason if it could not be found out.
    """
    known = FAMILIES[family].licences
    if base in known:
        return known[base]
    try:
        card = HfApi().model_info(base, revision=revision).card_data
    except (HFValidationError, HTTPError, OSError) as error:
        return None, f"must be looked up on the base's page: the Hub did not tell ({type(error).__name__})"
    licence = card.get("license") if card else None
    return (str(licence), "as its card says") if licence else (None, "must be looked up: the base's card names none")
