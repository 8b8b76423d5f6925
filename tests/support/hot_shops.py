"""A shop whose customers buy what captions call hot, recipes of rankers, and what their tables say."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from feature_stores import write_store
from purchase_files import Line, kaggle_purchases
from recommending import done

from finetune.data.feature_files import About

ARTICLES = [f"01{place:08d}" for place in range(48)]
CUSTOMERS = 40
HOT = np.random.default_rng(5).permutation(np.arange(48) % 2)
PERIODS: dict[str, Any] = {
    "train": [{"history": ["2020-09-01", "2020-09-02"], "labels": ["2020-09-03", "2020-09-03"]}],
    "test": {"history": ["2020-09-04", "2020-09-05"], "labels": ["2020-09-06", "2020-09-06"]},
}


def make_hot_shop(folder: Path) -> Path:
    """Customers buy whatever there is, then what their `captions` call hot; from the fourth day on new articles alone.

    Nothing but the captions tells which of the new articles are hot. `c99` has never bought anything.
    """
    draw = np.random.default_rng(0)
    lines: list[Line] = []
    for first, on_sale in ((1, np.arange(24)), (4, np.arange(24, 48))):
        for customer in range(CUSTOMERS):
            name = f"c{customer:02d}"
            known = draw.choice(on_sale, 3, replace=False) if customer % 4 else []
            lines += [(f"2020-09-0{first + n % 2}", name, ARTICLES[place]) for n, place in enumerate(known)]
            hot = draw.choice(on_sale[HOT[on_sale] == 1], 3, replace=False)
            lines += [(f"2020-09-0{first + 2}", name, ARTICLES[place]) for place in hot]
    kaggle_purchases(folder / "csv", sorted(lines), ARTICLES)
    ids = [f"c{customer:02d}" for customer in [*range(CUSTOMERS), 99]]
    ages = "\n".join(f"{key},1.0,,ACTIVE,NONE,{20 + place}" for place, key in enumerate(ids))
    head = "customer_id,FN,Active,club_member_status,fashion_news_frequency,age\n"
    (folder / "csv" / "customers.csv").write_text(f"{head}{ages}\n", encoding="utf-8")
    table = {"id": ARTICLES, "product_id": [key[:-1] for key in ARTICLES], "source.department_no": ["7", ""] * 24}
    pd.DataFrame(table).to_parquet(folder / "items.parquet")
    done("purchases", folder / "csv", "--out", folder / "bought")
    vectors = np.column_stack([6 * HOT, draw.normal(0, 0.5, (48, 3))])
    write_store(folder / "captions", ARTICLES, vectors, About("words", "text", text="captions:0a1b"))
    write_store(folder / "few", ARTICLES[:2], vectors[:2])
    return folder


def values_of(shop: Path, output: Path) -> dict[str, Any]:
    return {
        "output": str(output),
        "purchases": str(shop / "bought"),
        "items": str(shop / "items.parquet"),
        "codes": ["department_no"],
        **PERIODS,
        "candidates": {"purchases": 5, "bestsellers": 24},
        "components": 2,
        "rankers": [{"name": "<b>trees</b>", "trees": 20, "learning_rate": 0.2, "leaves": 4, "least_in_leaf": 5}],
        "arms": [
            {"name": "nothing"},
            {"name": "captions", "features": str(shop / "captions")},
            {"name": "random", "features": "random"},
        ],
        "against": ["nothing", "random"],
        "captions": "captions",
    }


def recipe(shop: Path, output: Path, **others: Any) -> Path:
    output.parent.mkdir(parents=True, exist_ok=True)
    path = output.parent / f"{output.name}.yaml"
    path.write_text(yaml.safe_dump(values_of(shop, output) | others, sort_keys=False), encoding="utf-8")
    return path


def content_of(output: Path) -> Any:
    return json.loads((output / "rank.json").read_text(encoding="utf-8"))


def means(content: Any) -> dict[str, float]:
    rows = (one for one in content["rows"] if one["bestseller_rank"] is not False)
    return {one["arm"]: one["result"]["estimates"]["all"]["MAP@12 (Kaggle)"]["value"] for one in rows}
