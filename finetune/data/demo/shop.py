"""The shop around the garments: rows of articles.csv and of customers.csv."""

import hashlib
from dataclasses import dataclass

import numpy as np

from finetune.data.demo.departments import APPEARANCES, INDEXES, TYPES, Department
from finetune.data.demo.garments import Garment, recolour, sample_garment
from finetune.data.demo.palette import COLOURS
from finetune.data.demo.wording import description

Row = dict[str, str]
FIRST_CODE, LAST_CODE = 100_000, 999_999
COLOURWAYS = (0.66, 0.13, 0.09, 0.07, 0.05)
"""Shares of the products with 1, 2, ... 5 colourways. So many single ones, that a third of the captions is unseen."""
MISSING_DESCRIPTIONS = 0.04


@dataclass(frozen=True)
class Article:
    """One colourway of a product, as the shop sells it."""

    article_id: str
    garment: Garment
    name: str
    index: str
    price: float
    described: bool

    @property
    def product_code(self) -> str:
        """The six digits that siblings share."""
        return self.article_id[1:7]


def stock(articles: int, seed: int) -> list[Article]:
    """Return `articles` articles, ordered by id: products with one to five colourways each."""
    rng = np.random.default_rng([seed, 1])
    groups: list[list[Garment]] = []
    left = articles
    while left > 0:
        groups.append(_colourways(rng, left))
        left -= len(groups[-1])
    codes = np.sort(rng.choice(np.arange(FIRST_CODE, LAST_CODE + 1), len(groups), replace=False))
    return [article for code, group in zip(codes, groups, strict=True) for article in _articles(int(code), group, rng)]


def _colourways(rng: np.random.Generator, most: int) -> list[Garment]:
    wanted = min(int(rng.choice(len(COLOURWAYS), p=COLOURWAYS)) + 1, most)
    group = [sample_garment(rng)]
    while len(group) < wanted:
        other = recolour(group[0], rng)
        if other.colour not in {garment.colour for garment in group}:
            group.append(other)
    return group


def _articles(code: int, group: list[Garment], rng: np.random.Generator) -> list[Article]:
    described = bool(rng.random() >= MISSING_DESCRIPTIONS)
    department = TYPES[group[0].type]
    index = department.indexes[int(rng.integers(len(department.indexes)))]
    price = max(1, round(department.price * float(rng.lognormal(0, 0.35)) / 5)) * 5 - 0.01
    name = f"{NAMES[int(rng.integers(len(NAMES)))]} {department.suffix}"
    numbers = np.cumsum(rng.integers(1, 5, len(group)))
    return [
        Article(f"0{code}{number:03d}", garment, name, index, price, described)
        for number, garment in zip(numbers, group, strict=True)
    ]


NAMES = (
    "Alba",
    "Bruna",
    "Cleo",
    "Dalia",
    "Elio",
    "Fenna",
    "Gaia",
    "Hugo",
    "Ines",
    "Juno",
    "Kaya",
    "Luca",
    "Mira",
    "Nilo",
    "Oona",
    "Pelle",
    "Quin",
    "Runa",
    "Silvo",
    "Tuva",
    "Ulma",
    "Vida",
    "Wanda",
    "Xenia",
    "Ylva",
    "Zeno",
)


def article_row(article: Article) -> Row:
    """Return the article's line of articles.csv: the 25 columns in H&M's order."""
    garment, department = article.garment, TYPES[article.garment.type]
    colour, index = COLOURS[garment.colour], INDEXES[article.index]
    return {
        "article_id": article.article_id,
        "product_code": article.product_code,
        "prod_name": article.name,
        "product_type_no": str(department.type_no),
        "product_type_name": garment.type,
        "product_group_name": department.group,
        "graphical_appearance_no": str(APPEARANCES[garment.pattern]),
        "graphical_appearance_name": garment.pattern,
        "colour_group_code": str(colour.code),
        "colour_group_name": garment.colour,
        "perceived_colour_value_id": str(colour.value[0]),
        "perceived_colour_value_name": colour.value[1],
        "perceived_colour_master_id": str(colour.master[0]),
        "perceived_colour_master_name": colour.master[1],
        **_shelf(department, article.index),
        "index_code": article.index,
        "index_name": index.name,
        "index_group_no": str(index.group_no),
        "index_group_name": index.name,
        "section_no": str(index.section_no),
        "section_name": index.section,
        "garment_group_no": str(department.garment_group_no),
        "garment_group_name": department.garment_group,
        "detail_desc": description(garment) if article.described else "",
    }


def _shelf(department: Department, index: str) -> Row:
    return {
        "department_no": str(INDEXES[index].first_department + department.garment_group_no % 100),
        "department_name": department.garment_group,
    }


def customer_rows(customers: int, seed: int) -> list[Row]:
    """Return the lines of customers.csv, ordered by id."""
    rng = np.random.default_rng([seed, 2])
    ids = sorted(hashlib.sha256(f"{seed} {number}".encode()).hexdigest() for number in range(customers))
    return [_customer(customer_id, rng) for customer_id in ids]


def _customer(customer_id: str, rng: np.random.Generator) -> Row:
    reader, member, centre = rng.random() < 0.35, rng.random() < 0.93, rng.choice([25, 50], p=[0.65, 0.35])
    return {
        "customer_id": customer_id,
        "FN": "1.0" if reader else "",
        "Active": "1.0" if reader and rng.random() < 0.95 else "",
        "club_member_status": "ACTIVE" if member else "PRE-CREATE",
        "fashion_news_frequency": "Regularly" if reader else "NONE",
        "age": str(int(np.clip(rng.normal(centre, 6), 16, 90))),
        "postal_code": hashlib.sha256(f"post {rng.integers(5000)}".encode()).hexdigest(),
    }
