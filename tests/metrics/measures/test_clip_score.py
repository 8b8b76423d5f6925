"""CLIPScore and RefCLIPScore through the command line; expected values by the published formula, one pair at a time."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from caption_files import write_system
from hypothesis import given
from hypothesis import strategies as st
from tiny_clip import cosine, text_cosine, write_clip, write_photos
from typer.testing import CliRunner, Result

from metrics.__main__ import app
from metrics.measures.clip_score import harmonic_mean, nearest_reference
from metrics.photos.folders import remember_folder
from metrics.scoring.registry import choose_measures

pytestmark = pytest.mark.torch
CAPTIONS = [
    "a red dress",
    "a blue hat",
    "coat with long sleeves",
    "green wool",
    "a cotton coat",
    "red hat with pockets",
]
REFERENCES = [
    ["a dress", "long red dress"],
    ["hat"],
    ["coat"],
    ["wool coat", "green coat", "wool"],
    ["coat"],
    ["red hat"],
]
Score = Callable[..., Result]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {kind: write_clip(root / kind, kind) for kind in ("clip", "siglip")}


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    write_photos(tmp_path / "catalogue" / "images", len(CAPTIONS))
    remember_folder(tmp_path / "catalogue", outside=False)
    return tmp_path / "catalogue"


def rows(captions: list[str] = CAPTIONS, **more: Any) -> list[dict[str, Any]]:
    return [
        {
            "id": str(number),
            "caption": caption,
            "image": f"images/{number}.png",
            "product_id": f"p{number // 2}",
            **more,
        }
        for number, caption in enumerate(captions)
    ]


def described() -> list[dict[str, Any]]:
    return [row | {"references": texts} for row, texts in zip(rows(), REFERENCES, strict=True)]


def run(command: str, *arguments: Any) -> Result:
    return CliRunner().invoke(app, [command, *map(str, arguments)], env={"COLUMNS": "200"})


def report(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "report.json").read_text(encoding="utf-8")))


def items(folder: Path, measure: str) -> list[float]:
    lines = (folder / "items.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)[measure] for line in lines]


def refused(result: Result, *parts: str) -> None:
    assert result.exit_code == 2, result.output
    assert [part for part in parts if part not in result.stderr] == [], result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_the_published_formula(kind: str, models: dict[str, Path], catalogue: Path, tmp_path: Path) -> None:
    captions = write_system(tmp_path / "run", described(), system="ours", catalogue={"folder": str(catalogue)})
    done = run("score", captions, "--clip", models[kind], "--measure", "RefCLIPScore", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "RefCLIPScore" in done.stdout
    clip, both = [], []
    for row in described():
        prompted = f"A photo depicts {row['caption']}"
        to_photo = 2.5 * max(cosine(models[kind], catalogue / row["image"], prompted), 0)
        texts = [f"A photo depicts {text}" for text in row["references"]]
        to_reference = max(0, *(text_cosine(models[kind], prompted, text) for text in texts))
        clip.append(to_photo)
        both.append(2 * to_photo * to_reference / (to_photo + to_reference) if to_photo + to_reference else 0)
    assert 0 in clip or min(clip) < max(clip) / 2
    assert items(tmp_path / "out", "CLIPScore") == pytest.approx(clip, abs=1e-5)
    assert items(tmp_path / "out", "RefCLIPScore") == pytest.approx(both, abs=1e-5)
    (system,) = report(tmp_path / "out")["systems"]
    scores = system["scores"]["all"]
    assert scores["CLIPScore"]["value"] == pytest.approx(np.mean(clip), abs=1e-5)
    assert scores["RefCLIPScore"]["value"] == pytest.approx(np.mean(both), abs=1e-5)
    weights = system["details"]["CLIPScore"]["weights"]
    model = "/".join(models[kind].parts[-2:])
    how = f"|n:6|model:{model}|weights:{weights}|float32|w:2.5|prompt:A photo depicts|unit:product+reference+photo|"
    assert f"CLIPScore|tok:model|refs:0{how}" in scores["CLIPScore"]["signature"]
    assert f"RefCLIPScore|tok:model|refs:1-3{how}" in scores["RefCLIPScore"]["signature"]


def test_items_without_references(models: dict[str, Path], catalogue: Path, tmp_path: Path) -> None:
    bare = write_system(tmp_path / "bare", rows())
    full = write_system(tmp_path / "full", described())
    options = ["--clip", models["clip"], "--images", catalogue, "--measure", "CLIPScore", "--clusters", "product,photo"]
    for captions in (bare, full):
        done = run("score", captions, *options, "--out", captions.parent / "out")
        assert done.exit_code == 0, done.output
    one, other = (report(folder / "out") for folder in (bare.parent, full.parent))
    assert one["measures"] == ["CLIPScore"]
    assert one["clusters"]["all"] == {"n": 6, "unit": "product+photo", "clusters": 3}
    assert one["systems"][0]["scores"] == other["systems"][0]["scores"]
    assert len(items(bare.parent / "out", "CLIPScore")) == 6
    for names in (["BLEU-4"], ["CLIPScore", "--measure", "RefCLIPScore"]):
        done = run("score", bare, *options, "--measure", *names, "--out", tmp_path / "none")
        refused(done, "id '0', '1'", "has no references", "--measure CLIPScore")


def test_it_sees_the_photos(models: dict[str, Path], catalogue: Path, tmp_path: Path) -> None:
    captions = write_system(tmp_path / "run", rows())
    shuffled = [row | {"image": f"images/{(number + 1) % 6}.png"} for number, row in enumerate(rows())]
    other = write_system(tmp_path / "shuffled", shuffled)
    for path in (captions, other):
        options = ["--clip", models["clip"], "--images", catalogue, "--measure", "CLIPScore"]
        assert run("score", path, *options, "--out", path.parent / "out").exit_code == 0
    one, two = (items(path.parent / "out", "CLIPScore") for path in (captions, other))
    assert all(abs(mine - its) > 1e-3 for mine, its in zip(one, two, strict=True) if mine or its)
    assert max(one) > 0


def test_empty_and_missing_captions_score_zero(models: dict[str, Path], catalogue: Path, tmp_path: Path) -> None:
    texts = [*CAPTIONS[:3], "", " \n", "wool " * 99]
    bare = write_system(tmp_path / "bare", rows(texts))
    references = write_system(tmp_path / "references", described())
    options = ["--clip", models["clip"], "--images", catalogue, "--measure", "RefCLIPScore", "--references", references]
    short = write_system(tmp_path / "short", rows(texts)[:5])
    done = run("compare", short, bare, *options, "--out", tmp_path / "both")
    assert done.exit_code == 0, done.output
    assert run("score", short, bare, *options, "--out", tmp_path / "out").exit_code == 0
    for measure in ("CLIPScore", "RefCLIPScore"):
        values = items(tmp_path / "out", measure)
        assert values[3:6] == [0, 0, 0]
        assert values[9:11] == [0, 0]
        assert values[:3] == values[6:9]
    details = [system["details"]["CLIPScore"] for system in report(tmp_path / "out")["systems"]]
    assert [detail["cut_captions"] for detail in details] == [0, 1]
    (part,) = json.loads((tmp_path / "both" / "comparison.json").read_text())["slices"]
    assert part["rows"][0]["scores"]["CLIPScore"]["p"] is not None


def test_photos_in_an_hdf5_file(models: dict[str, Path], catalogue: Path, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    from PIL import Image

    pixels = [np.asarray(Image.open(catalogue / row["image"])).transpose(2, 0, 1) for row in rows()]
    with h5py.File(catalogue / "photos.hdf5", "w") as file:
        file["images"] = np.stack(pixels)
    stored = [row | {"image": f"photos.hdf5/{number}"} for number, row in enumerate(rows())]
    found = []
    for name, given_rows in (("files", rows()), ("stored", stored)):
        captions = write_system(tmp_path / name, given_rows, catalogue={"folder": str(catalogue)})
        done = run(
            "score", captions, "--clip", models["clip"], "--measure", "CLIPScore", "--out", tmp_path / name / "out"
        )
        assert done.exit_code == 0, done.output
        found.append(items(tmp_path / name / "out", "CLIPScore"))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("images/none.png", "id '0': no such photo: "),
        ("rows.hdf5/1", "id '0': no such photo: "),
        ("../secret.png", "id '0': its photo is not inside "),
        (None, "id '0': its photo is not named"),
        ("images/text.png", "CLIPScore: id '0': "),
    ],
)
def test_every_item_needs_a_photo(
    models: dict[str, Path], catalogue: Path, tmp_path: Path, image: str | None, message: str
) -> None:
    (catalogue / "images" / "text.png").write_text("no photo")
    captions = write_system(tmp_path / "run", [rows()[0] | {"image": image}, *rows()[1:]])
    options = ["--clip", models["clip"], "--images", catalogue, "--measure", "CLIPScore", "--out", tmp_path / "out"]
    refused(run("score", captions, *options), message)
    assert not (tmp_path / "out").exists()


def test_what_must_be_given(models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    captions = write_system(tmp_path / "run", rows(), catalogue={"folder": str(tmp_path / "run" / "here")})
    other = write_system(tmp_path / "other", rows(), catalogue={"folder": str(tmp_path / "other" / "there")})
    bare = write_system(tmp_path / "bare", rows())
    out = ["--out", tmp_path / "out", "--measure", "CLIPScore"]
    clip = ["--clip", models["clip"]]
    refused(run("score", bare, *out), "--measure CLIPScore: no model given", "--clip openai/clip-vit-base-patch32")
    refused(run("compare", bare, *out, "--images", tmp_path), f"--images {tmp_path}", "also give --clip")
    refused(run("score", bare, *out, *clip), "no run.json names it; give it with --images")
    refused(run("score", captions, other, *out, *clip), "the runs name several: ", "here", "there", "--images")
    monkeypatch.setattr("metrics.encoders.packages.find_spec", lambda _: None)
    refused(run("score", bare, *out, *clip), "torch, transformers not installed, run: pip install '.[measures]'")


def test_it_is_measured_when_a_model_is_given() -> None:
    names = [name for measure in choose_measures(clip="a/model") for name in measure.names]
    assert names[-2:] == ["CLIPScore", "RefCLIPScore"]
    assert choose_measures()[-1].absent() is not None


Vectors = st.lists(st.lists(st.floats(-1, 1), min_size=3, max_size=3), min_size=1, max_size=6)


@given(Vectors, st.data())
def test_the_nearest_of_an_items_references_counts(captions: list[list[float]], data: st.DataObject) -> None:
    references = [data.draw(Vectors) for _ in captions]
    flat = np.array([vector for item in references for vector in item])
    found = nearest_reference(np.array(captions), flat, [len(item) for item in references])
    expected = [max(np.dot(one, other) for other in item) for one, item in zip(captions, references, strict=True)]
    assert found == pytest.approx(expected)


@given(st.floats(0, 2.5), st.floats(0, 1))
def test_a_harmonic_mean_lies_between(one: float, other: float) -> None:
    (found,) = harmonic_mean(np.array([one]), np.array([other]))
    assert min(one, other) - 1e-12 <= found <= max(one, other) + 1e-12
    if 0 in (one, other):
        assert found == 0
