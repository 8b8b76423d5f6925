"""What the tests of `metrics` share: captions files, a catalogue with photos, and the command line in this process."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from caption_files import reference, row, write_system
from PIL import Image
from short_meteor import write_short_meteor
from typer.testing import CliRunner, Result

from metrics.__main__ import app
from metrics.measures.meteor import aligner as jar

# These import torch, which the base install lacks.
collect_ignore = [
    f"measures/test_{name}.py"
    for name in ("attributes", "category", "classifier", "classifier_refusals", "lemmas")
    if find_spec("torch") is None
]


@pytest.fixture
def score() -> Callable[..., Result]:
    """Run `lookbook score ...` for the measures that take no time."""
    chosen = [part for name in ("BLEU-4", "ROUGE-L", "CIDEr") for part in ("--measure", name)]
    return lambda *arguments: CliRunner().invoke(app, ["score", *map(str, arguments), *chosen], env={"COLUMNS": "200"})


@pytest.fixture(scope="session")
def systems(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three systems over 40 items of a catalogue with photos; item 0003 lacks its photo."""
    root = tmp_path_factory.mktemp("runs")
    catalogue = root / "catalogue"
    (catalogue / "images").mkdir(parents=True)
    for number in range(40):
        if number != 3:
            Image.new("RGB", (300, 450), (5 * number, 90, 160)).save(catalogue / "images" / f"{number}.jpg")
    described = {
        "name": "demo",
        "folder": str(catalogue),
        "counts": [{"step": "with a description", "articles": 105126}],
        "split": {"method": "published", "sizes": {"train": 320, "validation": 40, "test": 40}},
    }
    audit = {"test_items": 40, "captions_in_train": 0.749, "siblings_in_train": 0.721, "test_captions": 31}
    history = [{"step": 10, "epoch": 0.5, "loss": 3.0}, {"step": 20, "epoch": 1.0, "eval_loss": 2.5}]
    keep = {"fine-tuned": 9, "pretrained": 2, "most frequent": 5}
    kinds = {"fine-tuned": "finetuned", "pretrained": "pretrained", "most frequent": "baseline"}
    return [
        write_system(
            root / name.replace(" ", "-"),
            [
                row(
                    number,
                    " ".join(reference(number).split()[: keep[name]]),
                    reference(number),
                    image=f"images/{number}.jpg",
                    seen=number % 4 != 0,
                    finished=number % 10 != 0,
                    logprob=None if kinds[name] == "baseline" else -number / 100,
                )
                for number in range(40)
            ],
            system=name,
            kind=kinds[name],
            model="a/model",
            catalogue=described,
            leak_audit=audit,
            loss_history=history if kinds[name] == "finetuned" else [],
            recipe={"training": {"learning_rate": 1e-4}},
            parameters={"language": {"total": 1000, "trainable": 10}},
            versions={"torch": "2.13.0"},
            times={"train_s": 301.0},
            seed=42,
        )
        for name in kinds
    ]


@pytest.fixture(scope="module")
def short_meteor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """METEOR with a short table; caches are in its folder, too."""
    folder = write_short_meteor(tmp_path_factory.mktemp("install: pâth"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOOKBOOK_CACHE", str(folder / "a cache: hére%20"))
        patch.setattr(jar, "_folder", lambda: folder)
        yield folder
