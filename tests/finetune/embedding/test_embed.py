"""`embed`: whose features, of which photo or text, whole after shards, processes and kills."""

import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from tiny import article, captioned, finetune, kaggle, kaggle_photo, lines, photo, recipe, write_csv
from tiny_encoders import dinov2, of_blip2, resnet
from tiny_models import load_tiny, write_tiny
from tiny_models import photo as noise
from training_processes import end, kill_all, start, start_two
from typer.testing import Result

from finetune.config.recipe import load_recipe
from finetune.data.feature_cache import FeatureStore
from finetune.embedding.embed import embed as embed_work
from finetune.embedding.named import encoder_of, named_encoder
from finetune.models.adapters import attach
from finetune.models.encoders import load_encoder
from finetune.runs.claim import recipe_values
from metrics.photos.reading import load_photo
from metrics.records.captions import CaptionRecord, write_records
from metrics.records.run import TrainingRecord

pytestmark = pytest.mark.torch
COUNT = 24
EMPTY, NO_PHOTO = "0100000004", "0100000009"
LITE0 = ("--encoder", "efficientnet-lite0", "--resolution", 32)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(autouse=True)
def lookbook_cache(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One for all tests here, so that their catalogue is prepared once."""
    monkeypatch.setenv("LOOKBOOK_CACHE", str(shared / "cache"))


@pytest.fixture(scope="module")
def catalogue(shared: Path) -> Path:
    """Articles in H&M's layout: one has no description, one no photo."""
    rows = [article(number) for number in range(COUNT)]
    rows[4]["detail_desc"] = ""
    return kaggle(shared / "hm", rows, [NO_PHOTO])


@pytest.fixture(scope="module")
def place(shared: Path, catalogue: Path) -> Path:
    return recipe(shared, {"catalogue": "hm", "folder": str(catalogue)})


def embed(*arguments: Any) -> Result:
    return finetune("embed", *arguments)


def store(place: Path, out: Path, *options: Any) -> FeatureStore:
    """Embed, which must succeed, and open the store."""
    result = embed(place, "--out", out, *options)
    assert result.exit_code == 0, result.output
    return FeatureStore.open(out)


def refusal(result: Result) -> str:
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return str(result.stderr)


def test_every_photo_has_its_row(place: Path, catalogue: Path, tmp_path: Path) -> None:
    """Those without a description too; each row is that of the photo alone; a second time nothing is encoded."""
    result = embed(place, *LITE0, "--out", tmp_path / "store")
    assert result.exit_code == 0, result.output
    assert "23 rows of 1280 (float16) by efficientnet-lite0 at 32 px, of photos" in result.stdout
    assert "1  left out: no photo" in result.stdout
    found = FeatureStore.open(tmp_path / "store")
    assert set(found.ids) == {f"01{number:08d}" for number in range(COUNT)} - {NO_PHOTO}
    encoder = load_encoder("efficientnet-lite0", "cpu", resolution=32)
    for key in (EMPTY, "0100000020"):
        alone = encoder.encode_photos([load_photo(kaggle_photo(catalogue, key), 32)])
        np.testing.assert_allclose(found.rows(found.places([key])), alone, atol=5e-3)
    written = (tmp_path / "store" / "rows.bin").stat().st_mtime_ns
    assert store(place, tmp_path / "store", *LITE0).digest == found.digest
    assert (tmp_path / "store" / "rows.bin").stat().st_mtime_ns == written
    assert sorted(path.name for path in (tmp_path / "store").iterdir()) == ["features.json", "ids.jsonl", "rows.bin"]
    other = refusal(embed(place, *LITE0[:3], 64, "--out", tmp_path / "store"))
    assert "expected features with resolution 64, found 32; give another --out" in other


def test_which_text_is_encoded(place: Path, tmp_path: Path) -> None:
    """Descriptions as they are written, columns, captions, or captions where there is no description."""
    captions = tmp_path / "captions.jsonl"
    write_records(captions, [CaptionRecord(id=key, caption=f"caption {key}") for key in (EMPTY, "0100000006")])
    texts = {}
    for name, options in {
        "description": (),
        "columns": ("--text", "columns:colour_group_name, prod_name"),
        "captions": ("--captions", captions),
        "fill": ("--captions", captions, "--fill"),
    }.items():
        found = store(place, tmp_path / name, "--encoder", "tfidf", *options)
        texts[name] = {row["id"]: (row["text"], row["from"]) for row in lines(tmp_path / name / "texts.jsonl")}
        assert found.ids == list(texts[name])
    assert len(texts["description"]) == 22 and EMPTY not in texts["description"]
    assert texts["description"]["0100000006"] == ("Short dress number 3 in Soft jersey.", "description")
    assert texts["columns"][EMPTY] == ("Black, Dress 2", "columns")
    assert texts["captions"] == {key: (f"caption {key}", "caption") for key in (EMPTY, "0100000006")}
    assert texts["fill"] == texts["description"] | {EMPTY: (f"caption {EMPTY}", "caption")}
    assert found.about.text is not None and found.about.text.startswith("description, else captions:")


def test_tfidf_is_scikit_learns_and_queries_have_its_words(place: Path, tmp_path: Path) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    found = store(place, tmp_path / "store", "--encoder", "tfidf", "--dtype", "float32")
    texts = [row["text"] for row in lines(tmp_path / "store" / "texts.jsonl")]
    vectorizer = TfidfVectorizer()
    np.testing.assert_allclose(found.vectors(), vectorizer.fit_transform(texts).toarray(), atol=1e-6)
    query = ["a soft dress", "number 7"]
    np.testing.assert_allclose(encoder_of(found).encode_texts(query), vectorizer.transform(query).toarray(), atol=1e-6)


def test_shards_are_joined_to_the_whole(place: Path, tmp_path: Path) -> None:
    whole = store(place, tmp_path / "whole", "--encoder", "tfidf")
    parts = [tmp_path / f"part {number}" for number in (1, 2, 3)]
    for number, part in enumerate(parts, start=1):
        store(place, part, "--encoder", "tfidf", "--shard", f"{number}/3")
    result = embed("--join", *parts, "--out", tmp_path / "joined")
    assert result.exit_code == 0, result.output
    joined = FeatureStore.open(tmp_path / "joined")
    assert len(joined) == 22 and joined.about == whole.about
    assert np.array_equal(joined.rows(joined.places(whole.ids)), whole.rows())
    assert len(lines(tmp_path / "joined" / "texts.jsonl")) == 22
    assert encoder_of(joined).encode_texts(["a dress"]).any()

    def joining(*some: Any) -> str:
        return refusal(embed("--join", *some, "--out", tmp_path / "not"))

    assert "the parts have 15 of the 22 items" in joining(*parts[:2])
    assert "is in" in joining(*parts, parts[0])
    said = ("--fill",), ("--dtype", "float32"), ("--catalogue", "x"), ("--limit", 3), ("--set", "training.seed=1")
    for option in said:
        assert f"{option[0]}: the parts that --join is given say that" in joining(*parts, *option)
    store(place, tmp_path / "other", "--encoder", "tfidf", "--text", "columns:prod_name", "--shard", "3/3")
    assert "expected features with weights of hash" in joining(*parts[:2], tmp_path / "other")
    assert "found no features.json" in joining(parts[0], tmp_path)
    assert not (tmp_path / "not").exists()


def test_principal_components_are_those_of_all_rows(tmp_path: Path) -> None:
    """Read back by an encoder for queries; signs are free."""
    rows = captioned(tmp_path / "shop", 16)
    for number in range(16):
        photo(tmp_path / "shop" / f"{number:03d}.png", (number * 16, 255 - number * 7, number**2 % 256), (30, 30))
    write_csv(tmp_path / "shop" / "metadata.csv", rows)
    name = of_blip2(tmp_path / "base")
    grid = store(tmp_path / "shop", tmp_path / "grid", "--encoder", name, "--pooling", "grid", "--dtype", "float32")
    found = store(tmp_path / "shop", tmp_path / "pca", "--encoder", name, "--pooling", "flat", "--pca", 3)
    assert found.shape == (3,) and found.about.pooling == "flat, pca 3"
    assert grid.shape == (4, 32)
    flat = grid.rows(grid.places(found.ids)).reshape(16, -1)
    centred = flat - flat.mean(0)
    _, _, components = np.linalg.svd(centred, full_matrices=False)
    expected = centred @ components[:3].T
    np.testing.assert_allclose(np.abs(found.vectors()), np.abs(expected), atol=0.02 * np.abs(expected).max())
    query = load_photo(tmp_path / "shop" / "005.png")
    np.testing.assert_allclose(
        encoder_of(found).encode_photos([query])[0], found.rows(found.places(["005.png"]))[0], atol=0.05
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "grid", "pca", "shop"]


BAD_INPUT = [
    ((), "--encoder is missing"),
    (("--encoder", "tfidf", "--dtype", "int8"), "--dtype int8: expected one of float16, float32, bfloat16"),
    (("--encoder", "tfidf", "--shard", "3/2"), "--shard 3/2: expected i/n with i from 1 to n"),
    (("--encoder", "tfidf", "--shard", "1/2", "--pca", 2), "--pca: is fitted on all items"),
    (("--encoder", "tfidf", "--shard", "23/40"), "--shard 23/40: no item is left for it, since there are 22"),
    (("--encoder", "tfidf", "--text", "title"), "--text title: expected description or columns:A,B"),
    (
        ("--encoder", "tfidf", "--text", "columns:size"),
        "no column size in the catalogue's table; it has article_id",
    ),
    (("--encoder", "tfidf", "--fill"), "--fill: needs --captions"),
    (("--encoder", "tfidf", "--captions", "none.jsonl"), "--captions none.jsonl: no such file"),
    (("--encoder", "tfidf", "--captions", "others.jsonl"), "1 of 1 captions are of no item of the catalogue"),
    (("--encoder", "tfidf", "--pca", 500), "--pca 500: expected fewer than there are items (22)"),
    ((*LITE0, "--text", "description"), "encoder efficientnet-lite0 reads photos; leave them out"),
    (("--encoder", "timm:resnet10t"), "timm is missing; install it by: pip install '.[encoders]'"),
    (
        ("--encoder", "open_clip:Marqo/marqo-fashionSigLIP"),
        "open_clip is missing; install it by: pip install '.[enc",
    ),
    (("--encoder", "none:queries"), "none: no such folder, and no Hub id"),
    (("--join", "--encoder", "tfidf"), "--encoder: the parts that --join is given say that"),
]


def test_bad_input(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_records(Path("others.jsonl"), [CaptionRecord(id="x", caption="a hat")])
    for options, message in BAD_INPUT:
        assert message in refusal(embed(place, "--out", "store", *options))
        assert not list(Path().glob("*store*"))


def test_photos_that_cannot_be_read_any_more_stop_it_with_their_id(
    place: Path, catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`prepare` has seen them whole; what was encoded before is kept and the rest follows."""
    from finetune.embedding import run_embed

    broken = kaggle_photo(catalogue, "0100000020")
    whole = broken.read_bytes()

    def cut_then_embed(*arguments: Any) -> FeatureStore:
        broken.write_bytes(whole[:100])
        return embed_work(*arguments)

    monkeypatch.setattr(run_embed, "embed", cut_then_embed)
    message = refusal(embed(place, *LITE0, "--batch-size", 4, "--out", tmp_path / "store"))
    assert f"id 0100000020: {broken}: broken image" in message
    assert not (tmp_path / "store").exists()
    monkeypatch.setattr(run_embed, "embed", embed_work)
    broken.write_bytes(whole)
    assert len(store(place, tmp_path / "store", *LITE0)) == 23


@pytest.mark.processes
@pytest.mark.slow
def test_two_processes_make_the_store_of_one(place: Path, tmp_path: Path) -> None:
    name = resnet(tmp_path / "resnet")
    alone = store(place, tmp_path / "one", "--encoder", name)
    arguments = ["embed", str(place), "--encoder", name, "--batch-size", "5", "--out", str(tmp_path / "two")]
    codes = end(start_two(*arguments, log=tmp_path / "log"))
    assert codes == [0, 0], (tmp_path / "log").read_text()[-3000:]
    together = FeatureStore.open(tmp_path / "two")
    assert together.about == alone.about and set(together.ids) == set(alone.ids)
    np.testing.assert_allclose(together.rows(together.places(alone.ids)), alone.rows(), atol=2e-3)
    assert not list(tmp_path.glob(".two*"))


@pytest.mark.processes
@pytest.mark.slow
def test_killed_it_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed while it encodes: no store; then only what was missing is encoded."""
    shop = tmp_path / "shop"
    write_csv(shop / "metadata.csv", captioned(shop, 120))
    name, out = dinov2(tmp_path / "dinov2"), tmp_path / "store"
    process = start("embed", str(shop), "--encoder", name, "--batch-size", "1", "--out", str(out), log=tmp_path / "log")
    ids = tmp_path / ".store.parts" / ".1.partial" / "ids.jsonl"
    while not (ids.is_file() and ids.stat().st_size):
        assert process.is_alive(), (tmp_path / "log").read_text()[-3000:]
        time.sleep(0.002)
    kill_all([process])
    assert not out.exists()
    kept = ids.read_bytes().count(b"\n")
    assert 0 < kept < 120

    from finetune.models.encoders.vision import VisionEncoder

    encoded: list[int] = []
    original = VisionEncoder.encode_pixels

    def counting(self: VisionEncoder, pixels: Any) -> Any:
        encoded.append(len(pixels))
        return original(self, pixels)

    monkeypatch.setattr(VisionEncoder, "encode_pixels", counting)
    found = store(shop, out, "--encoder", name)
    assert len(found) == 120 == len(set(found.ids))
    assert sum(encoded[1:]) in (120 - kept, 120 - kept + 1)  # the first is the example that tells the shape
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dinov2", "log", "shop", "store"]
    shutil.rmtree(out)
    fresh = store(shop, out, "--encoder", name)
    np.testing.assert_allclose(fresh.rows(fresh.places(found.ids)), found.rows(), atol=1e-2)


def test_several_catalogues_share_a_store(tmp_path: Path) -> None:
    """Their ids begin with the catalogue's name; one of them alone has its own."""
    for name in ("one", "two"):
        write_csv(tmp_path / name / "metadata.csv", captioned(tmp_path / name, 4))
    columns = {"caption": "text"}
    sections = [{"catalogue": "folder", "folder": str(tmp_path / name), "columns": columns} for name in ("one", "two")]
    both = recipe(tmp_path, {})
    values = yaml.safe_load(both.read_text())
    both.write_text(yaml.safe_dump(values | {"data": [one | {"name": Path(one["folder"]).name} for one in sections]}))
    found = store(both, tmp_path / "both", "--encoder", "tfidf")
    assert found.ids[0].startswith("one/") and len(found) == 8
    assert {key.partition("/")[0] for key in found.ids} == {"one", "two"}
    alone = store(both, tmp_path / "alone", "--encoder", "tfidf", "--catalogue", "two")
    assert {f"two/{key}" for key in alone.ids} < set(found.ids)


@pytest.mark.parametrize(("modules", "own"), [("query-value", False), ("all-linear", True)])
def test_a_run_is_encoded_with_its_adapter_on(tmp_path: Path, modules: str, own: bool) -> None:
    """LoRA on OPT alone leaves the features of the base, and the store says so; on all towers they are the run's."""
    base = write_tiny(tmp_path / "base")
    towers = {"vision": "lora", "connector": "lora"} if own else {"vision": "frozen", "connector": "frozen"}
    model = {"base": str(base), "tiny": {}}
    tune = {**towers, "language": "lora"}
    path = recipe(tmp_path, {"catalogue": "demo"}, model=model, tune=tune, lora={"modules": modules})
    begun = load_recipe(path)
    captioner = load_tiny(base)
    attach(captioner, begun.tune, begun.lora)
    for name, parameter in captioner.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    captioner.model.save_pretrained(tmp_path / "run" / "model")
    TrainingRecord(recipe=recipe_values(begun)).write(tmp_path / "run" / "training.json")
    tuned, untuned = (named_encoder(f"{tmp_path / name}:queries") for name in ("run", "base"))
    equal = np.array_equal(tuned.encode_photos([noise(0)]), untuned.encode_photos([noise(0)]))
    assert equal != own
    assert (tuned.about().note is None) == own and tuned.about().adapter
    assert (tuned.about().weights == untuned.about().weights) != own


def test_a_text_without_a_word_has_no_row(tmp_path: Path) -> None:
    """It is counted and named, and every row of the store has a direction."""
    rows = captioned(tmp_path / "shop", 6)
    rows[2]["text"] = rows[4]["text"] = "X"
    write_csv(tmp_path / "shop" / "metadata.csv", rows)
    result = embed(tmp_path / "shop", "--encoder", "tfidf", "--out", tmp_path / "store")
    assert "2  left out: no word in the text that tfidf knows (002.png, 004.png)" in result.stdout
    found = FeatureStore.open(tmp_path / "store")
    assert (len(found), found.about.items) == (4, 4)
    assert found.rows().any(axis=1).all()
    assert [row["id"] for row in lines(tmp_path / "store" / "texts.jsonl")] == found.ids


def test_an_interrupted_share_does_not_get_into_another(place: Path, tmp_path: Path) -> None:
    """Its parts are refused with another --shard and continued with their own."""
    out, left = tmp_path / "store", tmp_path / ".store.parts"
    store(place, out, "--encoder", "tfidf", "--shard", "1/2")
    left.mkdir()
    out.rename(left / "1")
    message = refusal(embed(place, "--encoder", "tfidf", "--shard", "2/2", "--out", out))
    assert f"{left}: an interrupted run has left features of 11 items that are not of this share" in message
    assert not out.exists()
    other = refusal(embed(place, "--encoder", "tfidf", "--shard", "1/2", "--dtype", "float32", "--out", out))
    assert f"{left / '1'}: expected numbers of --dtype float32, found float16" in other
    assert len(store(place, out, "--encoder", "tfidf")) == 22


def test_a_store_of_other_numbers_is_not_taken(place: Path, tmp_path: Path) -> None:
    store(place, tmp_path / "store", "--encoder", "tfidf")
    message = refusal(embed(place, "--encoder", "tfidf", "--dtype", "float32", "--out", tmp_path / "store"))
    assert "store: expected numbers of --dtype float32, found float16; give another --out, or remove it" in message


def test_reduced_a_second_time_nothing_is_done(place: Path, tmp_path: Path) -> None:
    """The store stands; one of other components is refused, and nothing is left beside it."""
    found = store(place, tmp_path / "store", "--encoder", "tfidf", "--pca", 3)
    written = (tmp_path / "store" / "rows.bin").stat().st_mtime_ns
    assert store(place, tmp_path / "store", "--encoder", "tfidf", "--pca", 3).digest == found.digest
    assert (tmp_path / "store" / "rows.bin").stat().st_mtime_ns == written
    other = refusal(embed(place, "--encoder", "tfidf", "--pca", 2, "--out", tmp_path / "store"))
    assert "expected features with pooling pooled, pca 2, found pooled, pca 3; give another --out" in other
    assert "exists already" in refusal(embed("--join", tmp_path / "store", "--pca", 2, "--out", tmp_path / "store"))
    too_many = refusal(embed("--join", tmp_path / "store", "--pca", 4, "--out", tmp_path / "less"))
    assert "--pca 4: expected fewer than there are items (22) and at most the numbers of each (3)" in too_many
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
