"""H&M, as Kaggle ships it: articles.csv and images/0xx/0<article_id>.jpg.

The preparation is the one of the published results (omgwenxx/multimodal-fashion-analysis): articles with a description
and a photo, of fashion product types with at least seven articles, descriptions in lower case.
"""

import os
from pathlib import Path

import pandas as pd

from finetune.config.catalogues import HM
from finetune.data.catalogues.base import Catalogue, Loader, SourceTable, existing_folder, require_unique_ids
from finetune.data.catalogues.hm_types import FASHION_KEYWORDS
from finetune.data.catalogues.photo_names import photos_by_stem
from finetune.data.catalogues.tables import notes_of, read_table
from finetune.data.filled import clear_filled
from finetune.data.items import source_items
from metrics.common.errors import UserError

ARTICLES = "articles.csv"
TYPE_MINIMUM = 7

ATTRIBUTES = {
    "name": "prod_name",
    "group": "product_group_name",
    "pattern": "graphical_appearance_name",
    "colour_value": "perceived_colour_value_name",
    "department": "department_name",
    "index_group": "index_group_name",
    "garment": "garment_group_name",
}
# Of tables that have them.
FURTHER = {"section": "section_name", "index": "index_name"}
# The first versions had neither section nor index, and called the index group section.
FINGERPRINTED = {
    **{name: name for name in ("name", "group", "pattern", "colour_value", "department")},
    "section": "index_group",
    "garment": "garment",
}
REQUIRED = {
    "id": "article_id",
    "product_id": "product_code",
    "category": "product_type_name",
    "colour": "colour_group_name",
    "caption": "detail_desc",
}


class HMLoader(Loader[HM]):
    """Reads the Kaggle folder."""

    def check(self) -> None:
        """Raise `UserError` if the folder is missing, or its table is missing or wrong."""
        read_articles(existing_folder(self.section.folder, "data.folder") / ARTICLES)

    def load(self) -> Catalogue:
        """Read and prepare the articles, every step counted."""
        return load_kaggle_folder(existing_folder(self.section.folder, "data.folder"), "hm")

    def table(self) -> SourceTable:
        """Return `articles.csv`."""
        return kaggle_table(existing_folder(self.section.folder, "data.folder"))


def load_kaggle_folder(folder: Path, name: str) -> Catalogue:
    """Prepare any catalogue in the Kaggle layout."""
    articles, source = read_articles(folder / ARTICLES)
    articles["image"] = articles["id"].map(photos_by_stem(folder, "images/*/*"))
    if articles["image"].isna().all():
        raise UserError(
            f"{folder / 'images'}: no photo of any article; expected images/0xx/0<article_id>.jpg as Kaggle ships them"
        )
    items = source_items(articles, source)
    filled = clear_filled(articles, folder / ARTICLES)
    has_text, has_photo = articles["caption"].str.strip() != "", articles["image"].notna()
    catalogue = Catalogue(
        name,
        folder,
        articles,
        articles[~has_text & has_photo].reset_index(drop=True),
        [("articles", len(articles))],
        dropped=filled,
        notes=notes_of(source),
        items=items,
        fingerprinted=FINGERPRINTED,
    )
    catalogue.drop("no description", has_text, "with a description")
    catalogue.drop("no photo", catalogue.described["image"].notna(), "with description and photo")
    catalogue.drop("not a fashion type", is_fashion(catalogue.described["category"]), "of a fashion type")
    catalogue.described["caption"] = catalogue.described["caption"].str.lower()
    return catalogue


def kaggle_table(folder: Path) -> SourceTable:
    """The table of any catalogue in the Kaggle layout."""
    return SourceTable(folder / ARTICLES, REQUIRED["caption"])


def read_articles(path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`articles.csv` with our columns, and as it is; `article_id` stays a string with its leading zero."""
    raw = read_table(path, [*REQUIRED.values(), *ATTRIBUTES.values()])
    _require_last_line_break(path)
    wrong = raw["article_id"][~raw["article_id"].str.fullmatch(r"\d{10}")]
    if len(wrong):
        raise UserError(
            f"{path}: row {wrong.index[0] + 2}: article_id {wrong.iloc[0]!r} is not ten digits; was the file saved "
            "by a program that reads it as a number? Use the file as Kaggle ships it"
        )
    articles = raw[list(REQUIRED.values())].set_axis(list(REQUIRED), axis=1)
    names = {name: column for name, column in (ATTRIBUTES | FURTHER).items() if column in raw}
    articles["attributes"] = raw[list(names.values())].set_axis(list(names), axis=1).to_dict("records")
    require_unique_ids(articles, path)
    articles["product_id"] = articles["product_id"].where(articles["product_id"] != "", articles["id"])
    return articles, raw


def _require_last_line_break(path: Path) -> None:
    """A file cut inside its last value has as many values in each row as a whole one."""
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        if file.read() != b"\n":
            raise UserError(f"{path}: the last line does not end in a line break: is the file truncated?")


def is_fashion(types: "pd.Series[str]") -> "pd.Series[bool]":
    """Which rows are of a type with at least seven articles and a fashion keyword in its name."""
    frequent = types.map(types.value_counts()) >= TYPE_MINIMUM
    fashion = {name for name in types.unique() if any(keyword in name.lower() for keyword in FASHION_KEYWORDS)}
    return frequent & types.isin(fashion)
