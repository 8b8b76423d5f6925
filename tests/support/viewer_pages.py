"""A scoring of twelve items by two systems, and its pages as a browser would get them."""

import html
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from scored_folders import write_scored

GARMENTS = ["dress", "top", "skirt"]
COLOURS = ["red", "green", "blue", "white"]


def item(number: int) -> dict[str, Any]:
    garment, colour = GARMENTS[number % 3], COLOURS[number % 4]
    return {
        "id": f"0{number:02d}",
        "product_id": f"p{number // 2}",
        "image": f"images/{number}.jpg",
        "references": [f"A {colour} {garment} with pockets, number {number}."],
        "category": garment,
        "attributes": {"shade": f"dark {colour}"},
        "seen": number % 2 == 0,
    }


def write_shop(root: Path) -> Path:
    """Twelve items, two systems; METEOR of `plain` leaves out every third item. Item 5 lacks its photo.

    CIDEr of `plain` is number / 10, that of `tuned` 1 - number / 20, so the difference, x100, is 100 - 15 number.
    """
    (root / "images").mkdir()
    for number in set(range(12)) - {5}:
        Image.new("RGB", (300, 450), (20 * number, 90, 160)).save(root / "images" / f"{number}.jpg")
    items = [item(number) for number in range(12)]
    right = [[item["attributes"]["shade"].split()[1], item["category"]] for item in items]
    attributes = [{"right": words, "invented": ["button"], "missed": ["pocket"]} for words in right]
    return write_scored(
        root / "scores",
        items,
        {
            "plain": ["clothes"] * 12,
            "tuned": [f"a {one['references'][0][2:-1]} and buttons" for one in items],
        },
        {
            "CIDEr": [[number / 10 for number in range(12)], [1 - number / 20 for number in range(12)]],
            "METEOR": [[None if number % 3 == 0 else 0.29 for number in range(12)], [0.5] * 12],
        },
        root,
        attributes=[[{"right": [], "invented": [], "missed": words} for words in right], attributes],
        predicted=[["top"] * 12, [one["category"] for one in items]],
    )


@dataclass
class Pages:
    """The pages of a scoring as a browser would get them."""

    client: Any

    def get(self, path: str, status: int = 200) -> str:
        response = self.client.get(path)
        assert response.status_code == status, response.text[-500:]
        return str(response.text)

    def text(self, path: str, status: int = 200) -> str:
        """The page's text without its tags, on one line."""
        return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", self.get(path, status))).split())

    def ids(self, query: str) -> list[int]:
        """The numbers of the items that a list has, in its order."""
        return [
            int(key) for key in re.findall(r'<th scope="row"><a href="[^"]*">0(\d+)</a>', self.get(f"/items?{query}"))
        ]

    def following(self, path: str, relation: str) -> str | None:
        """The URL of the page's link to the next or previous one."""
        found = re.search(rf'<a rel="{relation}"[^>]* href="([^"]*)"', self.get(path))
        return html.unescape(found[1]) if found else None
