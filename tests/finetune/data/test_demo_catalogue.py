"""The demo catalogue: its layout, its drawings, its wording and its customers' taste."""

import csv
import hashlib
import json
import re
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import date
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from dead_drafts import dead_draft
from PIL import Image

from finetune.data.demo.catalogue import image_path, write_demo
from finetune.data.demo.cuts import CUTS
from finetune.data.demo.drawing import draw
from finetune.data.demo.garments import SAMPLED, Garment, recolour, sample_garment
from finetune.data.demo.palette import COLOURS
from finetune.data.demo.purchases import DAYS, FIRST_DAY, MEAN_PURCHASES, launch_days
from finetune.data.demo.shop import MISSING_DESCRIPTIONS, article_row, stock
from finetune.data.demo.wording import alt_text, description
from metrics.common.errors import UserError

ARTICLES, SEED = 160, 7
COLUMNS = (
    "article_id,product_code,prod_name,product_type_no,product_type_name,product_group_name,graphical_appearance_no,"
    "graphical_appearance_name,colour_group_code,colour_group_name,perceived_colour_value_id,perceived_colour_value_name,"
    "perceived_colour_master_id,perceived_colour_master_name,department_no,department_name,index_code,index_name,"
    "index_group_no,index_group_name,section_no,section_name,garment_group_no,garment_group_name,detail_desc"
)
VISIBLE = [name for name in SAMPLED if name not in ("fabric", "finish")]
FUNCTION_WORDS = {"a", "an", "and", "at", "in", "of", "on", "the", "with", "down"}
Rows = list[dict[str, str]]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "shop"
    write_demo(folder, ARTICLES, SEED)
    return folder


def read(path: Path) -> Rows:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def garments(count: int, seed: int = 0) -> list[Garment]:
    rng = np.random.default_rng(seed)
    return [sample_garment(rng) for _ in range(count)]


def test_layout_is_the_one_of_kaggle(shop: Path) -> None:
    assert (shop / "articles.csv").read_text(encoding="utf-8").splitlines()[0] == COLUMNS
    articles = read(shop / "articles.csv")
    ids = [row["article_id"] for row in articles]
    assert len(set(ids)) == ARTICLES and ids == sorted(ids)
    for row in articles:
        assert re.fullmatch(r"0\d{9}", row["article_id"])
        assert row["product_code"] == row["article_id"][1:7]
        assert (shop / "images" / row["article_id"][:3] / f"{row['article_id']}.jpg").is_file()
    assert len(list((shop / "images").rglob("*.jpg"))) == ARTICLES


def test_customers_and_purchases_fit_the_articles(shop: Path) -> None:
    ids = {row["article_id"] for row in read(shop / "articles.csv")}
    customers = {row["customer_id"] for row in read(shop / "customers.csv")}
    bought = read(shop / "transactions_train.csv")
    assert len(customers) == ARTICLES
    assert list(bought[0]) == ["t_dat", "customer_id", "article_id", "price", "sales_channel_id"]
    assert {row["article_id"] for row in bought} <= ids
    assert {row["customer_id"] for row in bought} == customers
    assert [row["t_dat"] for row in bought] == sorted(row["t_dat"] for row in bought)
    assert {row["sales_channel_id"] for row in bought} == {"1", "2"}
    assert all(0 < float(row["price"]) < 1 for row in bought)


def test_articles_are_bought_once_they_are_launched(shop: Path) -> None:
    launched = launch_days(stock(ARTICLES, SEED), SEED)
    days = {row["article_id"]: day for row, day in zip(read(shop / "articles.csv"), launched.tolist(), strict=True)}
    bought = read(shop / "transactions_train.csv")
    ages = [(date.fromisoformat(row["t_dat"]) - FIRST_DAY).days - days[row["article_id"]] for row in bought]
    assert min(ages) == 0
    assert np.mean(launched >= DAYS - 7) == pytest.approx(0.1, abs=0.03)
    assert np.mean(launched == 0) == pytest.approx(0.4, abs=0.03)
    assert len(bought) / ARTICLES == pytest.approx(MEAN_PURCHASES, rel=0.2)


def test_customers_buy_again(shop: Path) -> None:
    pairs = Counter((row["customer_id"], row["article_id"]) for row in read(shop / "transactions_train.csv"))
    assert max(pairs.values()) > 1


def test_same_seed_same_bytes(shop: Path, tmp_path: Path) -> None:
    write_demo(tmp_path / "same", ARTICLES, SEED)
    write_demo(tmp_path / "other", ARTICLES, SEED + 1)
    assert digests(tmp_path / "same") == digests(shop)
    assert digests(tmp_path / "other")["articles.csv"] != digests(shop)["articles.csv"]


def test_an_existing_folder_is_kept_or_refused(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    dead_draft(folder)
    write_demo(folder, 5, 1)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    write_demo(folder, 5, 1)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    with pytest.raises(UserError, match=re.escape(str(folder))):
        write_demo(folder, 6, 1)
    # Version 1 had other purchases and the same articles and photos: runs that began on it go on.
    (folder / "demo.json").write_text('{"articles": 5, "seed": 1, "version": 1}')
    write_demo(folder, 5, 1)
    (folder / "demo.json").write_text('{"articles": 5, "seed": 1, "version": 0}')
    with pytest.raises(UserError, match="a demo catalogue of version 0, and not of version 2"):
        write_demo(folder, 5, 1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep me")
    with pytest.raises(UserError, match="contains files that are no demo catalogue; name another data"):
        write_demo(tmp_path / "mine", 5, 1)
    assert json.loads((folder / "demo.json").read_text())["articles"] == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "shop"]


@pytest.mark.parametrize(("articles", "seed"), [(0, 1), (10**7, 1), (5, -1)])
def test_impossible_numbers_are_refused(tmp_path: Path, articles: int, seed: int) -> None:
    with pytest.raises(UserError, match="demo catalogue"):
        write_demo(tmp_path / "shop", articles, seed)


def test_siblings_share_the_description_and_differ_in_the_photo(shop: Path) -> None:
    products: dict[str, Rows] = defaultdict(list)
    for row in read(shop / "articles.csv"):
        products[row["product_code"]].append(row)
    assert max(map(len, products.values())) > 1
    for siblings in products.values():
        assert len({row["detail_desc"] for row in siblings}) == 1
        assert len({row["colour_group_name"] for row in siblings}) == len(siblings)
        photos = set()
        for row in siblings:
            with Image.open(shop / image_path(row["article_id"])) as photo:
                assert photo.size == (240, 360) and photo.mode == "RGB"
                photos.add(photo.tobytes())
        assert len(photos) == len(siblings)


def small(garment: Garment) -> np.ndarray:
    return np.asarray(draw(garment, np.random.default_rng(0)).resize((48, 48), Image.Resampling.BICUBIC), dtype=float)


@pytest.mark.parametrize("name", VISIBLE)
def test_every_visible_attribute_shows_at_48_pixels(name: str) -> None:
    rng = np.random.default_rng(5)
    for kind, cut in CUTS.items():
        garment = sample_garment(rng)
        while garment.type != kind or "Front print" in garment.pattern:
            garment = sample_garment(rng)
        plain = replace(garment, pattern="Solid", pockets="none", fastening="none", detail="none")
        drawn = {value: small(replace(plain, **{name: value})) for value in getattr(cut, name)}
        for (one, first), (other, second) in combinations(drawn.items(), 2):
            changed = int((np.abs(first - second).max(axis=2) > 40).sum())
            assert changed >= 8, f"{kind}: {name} {one} and {other} differ in {changed} pixels"


def test_colours_show() -> None:
    garment = garments(1)[0]
    drawn = [small(replace(garment, pattern="Solid", colour=name)) for name in COLOURS]
    for place, one in enumerate(drawn):
        assert all(np.abs(one - other).max(axis=2).mean() > 3 for other in drawn[:place])


def test_drawings_of_one_garment_vary_but_are_seeded() -> None:
    garment = garments(1)[0]
    first, second, again = (draw(garment, np.random.default_rng(seed)).tobytes() for seed in (1, 2, 1))
    assert first == again and first != second


@pytest.mark.parametrize("size", [(240, 360), (48, 48), (65, 97)])
def test_drawings_have_the_size_asked_for(size: tuple[int, int]) -> None:
    assert all(draw(garment, np.random.default_rng(0), size).size == size for garment in garments(5))


def test_recolouring_changes_the_colours_alone() -> None:
    rng = np.random.default_rng(0)
    for garment in garments(50):
        other = recolour(garment, rng)
        assert other.colour != garment.colour
        assert replace(other, colour=garment.colour, accent=garment.accent) == garment
        assert description(other) == description(garment)


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z0-9/-]+", text.lower())) - FUNCTION_WORDS


def test_descriptions_are_short_sentences_without_colours() -> None:
    texts = [description(garment) for garment in garments(500)]
    lengths = [len(text.split()) for text in texts]
    assert 12 < np.mean(lengths) < 25 and max(lengths) <= 45
    assert all(re.fullmatch(r"([A-Z0-9][^.]*\.( |$))+", text) for text in texts)
    assert not set.union(*map(words, texts)) & {"black", "white", "red", "pink", "yellow", "green", "blue", "grey"}


def test_alt_texts_share_few_words_with_descriptions() -> None:
    rng = np.random.default_rng(0)
    pairs = [(words(alt_text(garment, rng)), words(description(garment))) for garment in garments(500)]
    assert np.mean([len(alt & said) / len(alt) for alt, said in pairs]) < 0.02


def test_alt_texts_tell_what_is_drawn() -> None:
    rng = np.random.default_rng(0)
    lengths = [len(alt_text(garment, rng).split()) for garment in garments(300)]
    assert 8 <= np.mean(lengths) <= 18 and max(lengths) <= 26
    garment = replace(
        garments(1)[0], type="T-shirt", colour="Red", pattern="Stripe", sleeve="long", neckline="v", pockets="chest"
    )
    text = alt_text(garment, np.random.default_rng(2))
    for phrase in ("red banded", "tee", "covered wrists", "pointed opening", "single pouch"):
        assert phrase in text


def test_a_few_products_have_no_description_and_many_captions_are_unseen() -> None:
    articles = stock(4000, 3)
    products = {article.product_code: article.described for article in articles}
    assert abs(1 - np.mean(list(products.values())) - MISSING_DESCRIPTIONS) < 0.015
    captions = [text for article in articles if (text := article_row(article)["detail_desc"])]
    order = np.random.default_rng(0).permutation(len(captions))
    tenth = len(captions) // 10
    training = {captions[place] for place in order[2 * tenth :]}
    assert 0.3 < np.mean([captions[place] not in training for place in order[:tenth]]) < 0.5


@pytest.mark.parametrize(
    "column", ["product_type_name", "colour_group_name", "graphical_appearance_name", "index_code"]
)
def test_customers_have_taste(shop: Path, column: str) -> None:
    """Two purchases of one customer agree more often than they do after the articles are shuffled."""
    articles = {row["article_id"]: row for row in read(shop / "articles.csv")}
    bought = read(shop / "transactions_train.csv")
    values = [articles[row["article_id"]][column] for row in bought]
    shuffled = list(np.random.default_rng(0).permutation(values))
    owners = [row["customer_id"] for row in bought]
    assert agreement(owners, values) > 1.15 * agreement(owners, shuffled)


def agreement(owners: list[str], values: list[str]) -> float:
    baskets: dict[str, Counter[str]] = defaultdict(Counter)
    for owner, value in zip(owners, values, strict=True):
        baskets[owner][value] += 1
    agreeing = sum(n * (n - 1) for basket in baskets.values() for n in basket.values())
    return agreeing / sum(basket.total() * (basket.total() - 1) for basket in baskets.values())
