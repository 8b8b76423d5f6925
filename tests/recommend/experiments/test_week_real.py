"""The real week of H&M's purchases, where the environment variable HM_DIR names its folder. Ten seconds."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from recommending import done

HM_DIR = os.environ.get("HM_DIR")


@pytest.mark.real_data
@pytest.mark.skipif(not HM_DIR, reason="HM_DIR does not name the folder of the real H&M catalogue")
def test_neighbours_beat_popularity_beats_chance(tmp_path: Path) -> None:
    """Popularity is as measured once by other code: .0091 for 80/20, .0113 by day."""
    done("purchases", Path(str(HM_DIR)).expanduser(), "--out", tmp_path / "bought")
    splits = {"80/20": "per-user-80-20", "by day": "from-2020-09-21"}
    datasets = [{"name": name, "split": one, "purchases": str(tmp_path / "bought")} for name, one in splits.items()]
    models = [{"recommender": name} for name in ("random", "most-popular", "item-knn")]
    values = {"output": str(tmp_path / "out"), "datasets": datasets, "models": models, "against": ["most-popular"]}
    (tmp_path / "week.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    done("recommend", tmp_path / "week.yaml")
    content: Any = json.loads((tmp_path / "out" / "recommend.json").read_text(encoding="utf-8"))
    popular = [one["rows"][1]["result"]["estimates"]["all"]["nDCG@12"]["value"] for one in content["datasets"]]
    assert [round(value, 4) for value in popular] == [0.0091, 0.0113]
    assert content["datasets"][0]["facts"]["with_history"] == 48_990
    for dataset in content["datasets"]:
        gains = {
            one["model"]: one["differences"]["nDCG@12"] for one in dataset["differences"] if one["kind"] == "against"
        }
        assert gains["item-knn"]["low"] > 0 > gains["random"]["high"]
