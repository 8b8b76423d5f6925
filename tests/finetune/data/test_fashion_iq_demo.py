"""The drawn FashionIQ: what its captions say is true, and the same arguments give the same bytes."""

import json
from pathlib import Path

import numpy as np
import pytest

from finetune.data.demo import fashion_iq
from finetune.data.demo.differences import SEEN, captions, differing
from finetune.data.demo.garments import Garment, sample_garment
from metrics.common.errors import UserError

SLEEVES = ("sleeveless", "short", "three-quarter", "long")


@pytest.mark.parametrize("seed", range(40))
def test_captions_say_each_difference_and_nothing_else(seed: int) -> None:
    draw = np.random.default_rng(seed)
    reference, target = (sample_garment(draw, "Dress") for _ in range(2))
    said = " and ".join(captions(reference, target, draw))
    names = differing(reference, target)
    assert names == [name for name in SEEN if getattr(reference, name) != getattr(target, name)]
    assert len(said.split(" and ")) == max(2, len(names))
    assert (f"is {target.colour.lower()}" in said) == ("colour" in names)
    longer = SLEEVES.index(target.sleeve) - SLEEVES.index(reference.sleeve)
    assert "has longer sleeves" not in said or longer > 0
    assert "has shorter sleeves" not in said or longer < 0
    assert ("sleeve" in said) == ("sleeve" in names)


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fashion_iq, "CATEGORIES", {"dress": "Dress"})
    shelves: list[dict[str, Garment]] = []
    original = fashion_iq._pairs
    monkeypatch.setattr(fashion_iq, "_pairs", lambda shelf, *rest: (shelves.append(shelf), original(shelf, *rest))[1])
    for name in ("one", "two"):
        fashion_iq.write_fashion_iq_demo(tmp_path / name, 20, 4)
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.*")} for name in ("one", "two"))
    assert one == two
    assert len([name for name in one if name.endswith(".jpg")]) == 40 + 20 + 20
    rows = json.loads(one["cap.dress.val.json"])
    assert len(rows) == 16
    assert all(differing(shelves[1][row["candidate"]], shelves[1][row["target"]]) for row in rows)
    with pytest.raises(UserError, match="articles 20, and not of articles 21"):
        fashion_iq.write_fashion_iq_demo(tmp_path / "one", 21, 4)
