"""H&M's codes and names for types, patterns and departments, as articles.csv spells them."""

from dataclasses import dataclass

UPPER, LOWER, FULL = "Garment Upper body", "Garment Lower body", "Garment Full body"
WOMEN, YOUNG, MEN = "A", "D", "F"


@dataclass(frozen=True)
class Department:
    """Where a type of garment hangs, what its products are called and what they cost on average."""

    type_no: int
    group: str
    garment_group_no: int
    garment_group: str
    suffix: str
    price: float
    indexes: tuple[str, ...]


@dataclass(frozen=True)
class Index:
    """A part of the range, as `index_code` names it."""

    name: str
    group_no: int
    section_no: int
    section: str
    first_department: int


EVERYBODY, FEMALE = (WOMEN, YOUNG, MEN), (WOMEN, YOUNG)

TYPES: dict[str, Department] = {
    "T-shirt": Department(255, UPPER, 1002, "Jersey Basic", "tee", 12, EVERYBODY),
    "Vest top": Department(253, UPPER, 1002, "Jersey Basic", "tank", 10, EVERYBODY),
    "Top": Department(254, UPPER, 1005, "Jersey Fancy", "top", 16, FEMALE),
    "Blouse": Department(258, UPPER, 1010, "Blouses", "blouse", 25, FEMALE),
    "Shirt": Department(259, UPPER, 1011, "Shirts", "shirt", 25, EVERYBODY),
    "Sweater": Department(252, UPPER, 1003, "Knitwear", "jumper", 30, EVERYBODY),
    "Hoodie": Department(308, UPPER, 1005, "Jersey Fancy", "hood", 30, EVERYBODY),
    "Cardigan": Department(245, UPPER, 1003, "Knitwear", "cardigan", 30, EVERYBODY),
    "Jacket": Department(262, UPPER, 1007, "Outdoor", "jacket", 50, EVERYBODY),
    "Coat": Department(263, UPPER, 1007, "Outdoor", "coat", 80, EVERYBODY),
    "Dress": Department(265, FULL, 1013, "Dresses Ladies", "dress", 35, FEMALE),
    "Skirt": Department(275, LOWER, 1012, "Skirts", "skirt", 25, FEMALE),
    "Trousers": Department(272, LOWER, 1009, "Trousers", "trs", 30, EVERYBODY),
    "Shorts": Department(274, LOWER, 1025, "Shorts", "shorts", 18, EVERYBODY),
    "Jumpsuit/Playsuit": Department(267, FULL, 1013, "Dresses Ladies", "suit", 40, FEMALE),
}
INDEXES: dict[str, Index] = {
    WOMEN: Index("Ladieswear", 1, 15, "Womens Everyday Collection", 1300),
    YOUNG: Index("Divided", 2, 53, "Divided Collection", 1600),
    MEN: Index("Menswear", 3, 21, "Contemporary Casual", 5800),
}
APPEARANCES = {
    "Solid": 1010016,
    "All over pattern": 1010001,
    "Stripe": 1010017,
    "Check": 1010004,
    "Dot": 1010006,
    "Colour blocking": 1010005,
    "Front print": 1010008,
}
