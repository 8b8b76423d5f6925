"""The terms of base models and catalogues, as far as they are known here."""

from dataclasses import dataclass

from huggingface_hub import HfApi
from huggingface_hub.errors import HFValidationError, HTTPError

OPT = "its language model OPT was published by Meta for non-commercial research"
VICUNA = "Llama 2 community licence; its instructions were written by GPT-4, for research"
BASES = {
    "Salesforce/blip2-opt-2.7b": ("mit", OPT),
    "Salesforce/blip2-opt-6.7b": ("mit", OPT),
    "llava-hf/llava-1.5-7b-hf": ("llama2", VICUNA),
    "llava-hf/llava-1.5-13b-hf": ("llama2", VICUNA),
}


@dataclass(frozen=True)
class Data:
    """A catalogue's full name, where it comes from, and what may be done with it."""

    name: str
    source: str
    terms: str


CATALOGUES = {
    "hm": Data(
        "H&M Personalized Fashion Recommendations",
        "https://www.kaggle.com/competitions/h-and-m-personalized-fashion-recommendations",
        "the rules of its Kaggle competition hold: research and other non-commercial use; photos and texts are H&M's",
    ),
    "facad": Data(
        "FACAD",
        "https://github.com/xuewyang/Fashion_Captioning",
        "published for research; photos and texts belong to the shops that they were collected from",
    ),
    "demo": Data("Lookbook's demo", "drawn by Lookbook", "made up, nobody's property: Apache-2.0 as Lookbook itself"),
    "folder": Data(
        "a catalogue of its own", "whoever trained this has it", "not known here: ask whoever published this model"
    ),
}


def base_licence(base: str, revision: str | None) -> tuple[str | None, str]:
    """The licence of a base model on the Hub, by its own card where it is not known here, and what to add to it.

    None with the reason where nobody told.
    """
    if base in BASES:
        return BASES[base]
    try:
        card = HfApi().model_info(base, revision=revision).card_data
    except (HFValidationError, HTTPError, OSError) as error:
        return None, f"must be looked up on the base's page: the Hub did not tell ({type(error).__name__})"
    licence = card.get("license") if card else None
    return (str(licence), "as its card says") if licence else (None, "must be looked up: the base's card names none")
