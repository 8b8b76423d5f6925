"""What tests share: a cache of their own, a browser, the model families in their turn, a FACAD folder."""

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # as commands do in a log, before libraries are imported

from browsing import started_browser
from filelock import FileLock
from hypothesis import settings

from finetune.models.families import FAMILIES

# Who starts us in the background of a shell has Ctrl-C ignored, by us and by all that we start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# `make fuzz`; tests/support/fuzzing.py says how many examples that is.
settings.register_profile("fuzz", print_blob=True)


def pytest_collection_finish() -> None:
    """Leave what was imported out of garbage collections; accelerate starts one for each training, and it took 0.5 s."""
    gc.freeze()


@pytest.fixture(autouse=True)
def lookbook_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh, empty folder in the place of `~/.cache/lookbook`."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("LOOKBOOK_CACHE", str(folder))
    return folder


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    """Chromium by Selenium."""
    with started_browser(tmp_path / "profile") as driver:
        yield driver


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    """Each model family in its turn."""
    return str(request.param)


@pytest.fixture(scope="module")
def family_base(family: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny base model of the family on disk."""
    from tiny_models import write_tiny

    return write_tiny(tmp_path_factory.mktemp(family) / "base", family)


@pytest.fixture
def captioner(family_base: Path) -> Any:
    """That model, fresh."""
    from tiny_models import load_tiny

    return load_tiny(family_base)


@pytest.fixture
def facad_folder(tmp_path: Path) -> Path:
    """A handful of photos in FACAD's layout."""
    from tiny_facad import facad

    return facad(tmp_path / "facad")


@pytest.fixture
def facad_recipe(facad_folder: Path, tmp_path: Path) -> Path:
    """A recipe on them."""
    from tiny import recipe

    return recipe(tmp_path, {"catalogue": "facad", "folder": str(facad_folder)})


@pytest.fixture(scope="module")
def category_splits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Records with categories: training, validation, test."""
    from tiny_categories import splits

    return splits(tmp_path_factory.mktemp("references"))


@pytest.fixture(scope="module")
def trained_classifier(category_splits: tuple[Path, Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny classifier trained on them."""
    from tiny_categories import tiny

    train, validation, test = category_splits
    out = tmp_path_factory.mktemp("trained") / "classifier"
    result = tiny(train, validation, out, "--test", test)
    assert result.exit_code == 0, result.output
    return out


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Thirty articles with photos in H&M's layout."""
    from tiny import article, kaggle

    return kaggle(tmp_path / "hm", [article(number) for number in range(30)])


@pytest.fixture
def shop_recipe(shop: Path, tmp_path: Path) -> Path:
    """A recipe on them."""
    from tiny import recipe

    return recipe(tmp_path, {"catalogue": "hm", "folder": str(shop)})


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with finished runs of both families, `blip2` and `llava`, and their merged models `*-merged`.

    The processes of pytest-xdist share it; nothing may be changed in it.
    """
    from pushing import make_runs

    if "PYTEST_XDIST_WORKER" not in os.environ:
        return make_runs(tmp_path_factory.mktemp("runs"))
    folder = tmp_path_factory.getbasetemp().parent / "runs"
    with FileLock(f"{folder}.lock"):
        return folder if folder.exists() else make_runs(folder)


@pytest.fixture
def hub() -> Iterator[Any]:
    """A small Hub."""
    from hub_server import hub_server

    with hub_server() as serving:
        yield serving


@pytest.fixture
def cached_hub(hub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The same, which transformers in this process loads models from, into a cache of the test's own."""
    from huggingface_hub import constants
    from transformers.utils import hub as client

    template = f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(client, "_hf_api", None)  # of an earlier test's Hub
    return hub
