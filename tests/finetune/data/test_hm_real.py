"""The real H&M catalogue: every published count, the published split and the baselines' scores.

Runs where the environment variable HM_DIR names a folder with H&M's articles.csv, some of its photos, and
missing_images.txt, the 442 article ids that have no photo in the original. About two minutes.
"""

import csv
import os
from collections import Counter
from io import BytesIO
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from sklearn.model_selection import train_test_split
from tiny import finetune, kaggle_photo, recipe

from finetune.config.recipe import load_recipe
from finetune.data.card.page import describe_catalogue
from finetune.data.preparation import Prepared, prepare
from metrics.records.captions import read_captions
from metrics.scoring.clusters import find_clusters
from metrics.scoring.registry import choose_measures
from metrics.scoring.suite import score_captions
from recommend.interactions.settings import read_articles

HM_DIR = os.environ.get("HM_DIR")
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not HM_DIR, reason="HM_DIR does not name the folder of the real H&M catalogue"),
]
MISSING = 442


@pytest.fixture(scope="module")
def real() -> Path:
    return Path(str(HM_DIR)).expanduser().resolve()


@pytest.fixture(scope="module")
def rows(real: Path) -> list[dict[str, str]]:
    with (real / "articles.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def whole(real: Path, rows: list[dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipe of a catalogue with a stand-in photo for every article that has one in the original."""
    root = tmp_path_factory.mktemp("whole")
    missing = set((real / "missing_images.txt").read_text(encoding="utf-8").split())
    assert len(missing) == MISSING
    shop = root / "hm"
    shop.mkdir()
    (shop / "articles.csv").symlink_to(real / "articles.csv")
    buffer = BytesIO()
    Image.new("RGB", (1, 1)).save(buffer, "JPEG")
    for folder in {kaggle_photo(shop, row["article_id"]).parent for row in rows}:
        folder.mkdir(parents=True)
    for row in rows:
        if row["article_id"] not in missing:
            kaggle_photo(shop, row["article_id"]).write_bytes(buffer.getvalue())
    return recipe(root, {"catalogue": "hm", "folder": str(shop)})


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hm-cache")


@pytest.fixture(scope="module")
def full(whole: Path, cache: Path) -> Prepared:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOOKBOOK_CACHE", str(cache))
        return prepare(load_recipe(whole).data)


def captions(prepared: Prepared) -> list[str]:
    return [record.references[0] for split in ("train", "validation", "test") for record in prepared.records(split)]


def counts(prepared: Prepared) -> list[int]:
    return [step.articles for step in prepared.account.counts]


def test_the_slice_as_it_is(real: Path, rows: list[dict[str, str]], tmp_path: Path) -> None:
    photos = {path.stem for path in (real / "images").glob("*/*.jpg")}
    usable = [row for row in rows if row["detail_desc"] and row["article_id"] in photos]
    frequent = {name for name, n in Counter(row["product_type_name"] for row in usable).items() if n >= 7}
    prepared = prepare(load_recipe(recipe(tmp_path, {"catalogue": "hm", "folder": str(real)})).data)
    assert counts(prepared)[:3] == [105_542, 105_126, len(usable)]
    kept = [record for split in ("train", "validation", "test") for record in prepared.records(split)]
    assert counts(prepared)[3] == len(kept)
    described = {row["article_id"]: row["detail_desc"].lower() for row in usable}
    assert {record.category for record in kept} <= frequent
    assert all(record.references == (described[record.id],) for record in kept)
    assert len(kept) > 0.9 * len(usable)
    assert prepared.splits["test"][0]["image"].size == (360, 540)
    assert prepared.account.bad_images == []


def test_published_counts(full: Prepared) -> None:
    assert counts(full) == [105_542, 105_126, 104_696, 104_232]
    sizes = full.account.split.sizes
    assert [sizes[split] for split in ("train", "validation", "test")] == [83_385, 10_423, 10_424]
    assert len(full.splits["train"].features["category"].names) == 89


def test_articles_of_the_papers_table_1(full: Prepared, real: Path) -> None:
    articles = read_articles(real, full.items)
    assert {name: int(members.sum()) for name, members in articles.members.items()} == {
        "original": 105_542,
        "filtered": 104_232,
        "augmented": 105_100,
    }
    assert (articles.filled, articles.undescribed) == (0, 404)


def test_published_text_statistics(full: Prepared) -> None:
    texts = captions(full)
    words = [text.split() for text in texts]
    assert round(sum(map(len, words)) / len(words), 2) == 23.92
    assert len(set(texts)) == 43_077


def test_the_card_shows_what_table_2_shows(full: Prepared, rows: list[dict[str, str]]) -> None:
    """104K photos, 23.9 words, 89 categories; the 7.6K words are those before captions are lower-cased."""
    facts = describe_catalogue(full).facts
    assert facts["captions"]["items"] == 104_232
    assert round(facts["caption_words"]["mean"], 1) == 23.9
    assert facts["categories"]["count"] == 89
    kept = {id_ for split in ("train", "validation", "test") for id_ in full.splits[split]["id"]}
    written = {word for row in rows if row["article_id"] in kept for word in row["detail_desc"].split()}
    assert len(written) == 7_611
    assert facts["vocabulary"]["words"] == len({word for text in set(captions(full)) for word in text.split()}) == 6_398


def test_published_leaks(full: Prepared) -> None:
    leak = full.account.leak_audit
    assert leak.test_items == 10_424
    assert round(100 * leak.captions_in_train, 1) == 74.9
    assert round(100 * leak.siblings_in_train, 1) == 72.1


def test_membership_is_scikit_learn_s(full: Prepared, rows: list[dict[str, str]]) -> None:
    kept = {id_ for split in ("train", "validation", "test") for id_ in full.splits[split]["id"]}
    in_order = pd.DataFrame({"id": [row["article_id"] for row in rows if row["article_id"] in kept]})
    shuffled = in_order.sample(frac=1, random_state=42)
    train, rest = train_test_split(shuffled, test_size=1 - 0.8, random_state=42)
    validation, test = train_test_split(rest, test_size=0.5, random_state=42)
    for split, part in (("train", train), ("validation", validation), ("test", test)):
        assert list(full.splits[split]["id"]) == part["id"].tolist()


def test_baselines_score_as_measured_with_the_coco_tools(
    full: Prepared, whole: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKBOOK_CACHE", str(cache))  # `full` is there
    assert finetune("baselines", whole, tmp_path, "baselines.encoder=none").exit_code == 0
    expected = {"sibling": (74.1, 82.5, 737), "category": (15.8, 41.4, 94.1)}
    measures = choose_measures(["BLEU-4", "ROUGE-L", "CIDEr"])
    for name, (bleu, rouge, cider) in expected.items():
        (result,) = score_captions(read_captions(tmp_path / name / "captions.jsonl"), measures=measures).results
        every = {measure: 100 * score.value for measure, score in result.scores["all"].items()}
        assert round(every["BLEU-4"], 1) == bleu
        assert round(every["ROUGE-L"], 1) == rouge
        assert round(every["CIDEr"], 1 if cider < 100 else 0) == cider
        assert round(100 * result.scores["unseen"]["CIDEr"].value, 1) == 52.9


def test_the_product_splits_items_hang_together(full: Prepared) -> None:
    """Products and captions counted with pandas, when single items' intervals were found 2.7 and 4.5 times too narrow."""
    from finetune.config.catalogues import Split
    from finetune.data.splits import split_articles

    splits = ("train", "validation", "test")
    records = sorted((record for split in splits for record in full.records(split)), key=lambda record: record.id)
    columns = {"product_id": [one.product_id for one in records], "caption": [one.references[0] for one in records]}
    places = split_articles(pd.DataFrame(columns), Split(method="product", version=1))["test"].index
    test = [records[place] for place in places]
    assert [len(find_clusters(test, [by])) for by in ("item", "product", "reference")] == [10_423, 4_737, 4_411]


def test_product_split_of_the_whole_catalogue(full: Prepared, whole: Path) -> None:
    """By the same rows, without their photos: no leak, and the ratio that was asked for."""
    from finetune.config.catalogues import Split
    from finetune.data.leaks import Exposed, SeenInTraining
    from finetune.data.splits import split_articles

    records = [record for split in ("train", "validation", "test") for record in full.records(split)]
    table = pd.DataFrame(
        {"product_id": [record.product_id for record in records], "caption": [r.references[0] for r in records]}
    )
    parts = split_articles(table, Split(method="product"))
    for name, share in (("train", 0.8), ("validation", 0.1), ("test", 0.1)):
        assert abs(len(parts[name]) / len(table) - share) <= 0.01
    train, test = parts["train"], parts["test"]
    exposed = (Exposed(part["caption"].tolist(), part["product_id"].tolist()) for part in (train, test))
    leak = SeenInTraining(next(exposed)).audit(next(exposed))
    assert (leak.captions_in_train, leak.siblings_in_train) == (0, 0)
