"""`embed` of what cannot be split, and after a run that was killed."""

from pathlib import Path
from typing import Any

import pytest
from tiny import captioned, finetune, lines, write_csv
from typer.testing import Result

from finetune.data.feature_cache import FeatureStore
from finetune.embedding import run_embed
from finetune.embedding.run_embed import unreduced

pytestmark = pytest.mark.torch
TFIDF = ("--encoder", "tfidf")


def embed(*arguments: Any) -> Result:
    return finetune("embed", *arguments)


def store(*arguments: Any, out: Path) -> FeatureStore:
    """Embed, which must succeed, and open the store."""
    result = embed(*arguments, "--out", out)
    assert result.exit_code == 0, result.output
    return FeatureStore.open(out)


@pytest.mark.parametrize("count", [1, 5])
def test_a_folder_needs_no_splits(tmp_path: Path, count: int) -> None:
    """All photos have one caption, which would keep them in one split."""
    rows = [row | {"text": "A plain top."} for row in captioned(tmp_path / "shop", count)]
    write_csv(tmp_path / "shop" / "metadata.csv", rows)
    found = store(tmp_path / "shop", *TFIDF, out=tmp_path / "store")
    assert found.ids == [row["file_name"] for row in rows]
    assert {row["text"] for row in lines(tmp_path / "store" / "texts.jsonl")} == {"A plain top."}
    refused = embed(tmp_path / "shop", *TFIDF, "--pca", count, "--out", tmp_path / "reduced")
    assert refused.exit_code == 2
    assert f"--pca {count}: expected fewer than there are items ({count})" in refused.stderr


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    """The two shards of twelve texts."""
    shop = tmp_path / "shop"
    write_csv(shop / "metadata.csv", captioned(shop, 12))
    made = [store(shop, *TFIDF, "--shard", f"{number}/2", out=tmp_path / f"part-{number}") for number in (1, 2)]
    return [one.path for one in made]


def interrupt(*_: Any) -> Any:
    raise KeyboardInterrupt


def test_a_join_that_was_killed_before_it_reduced_goes_on(
    parts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "k"
    with monkeypatch.context() as patch:
        patch.setattr(run_embed, "reduce_store", interrupt)
        embed("--join", *parts, "--pca", 2, "--out", out)
    assert unreduced(out).is_dir() and not out.exists()
    other = store(tmp_path / "shop", *TFIDF, "--text", "columns:kind", out=tmp_path / "other")
    result = embed("--join", other.path, "--pca", 2, "--out", out)
    assert result.exit_code == 2
    assert f"{unreduced(out)}: expected features with" in result.stderr and f"remove {unreduced(out)}" in result.stderr
    assert len(store("--join", *parts, "--pca", 2, out=out)) == 12
    assert not unreduced(out).exists()


def test_what_a_run_left_that_was_killed_after_it_reduced_is_removed(parts: list[Path], tmp_path: Path) -> None:
    out, whole = tmp_path / "k", tmp_path / "whole"
    reduced = store("--join", *parts, "--pca", 2, out=out)
    store("--join", *parts, out=whole)
    whole.rename(unreduced(out))
    assert "exists already" in embed("--join", *parts, "--pca", 2, "--out", out).stderr
    assert not unreduced(out).exists() and FeatureStore.open(out).digest == reduced.digest
    foreign = store(tmp_path / "shop", *TFIDF, "--text", "columns:kind", out=unreduced(out))
    assert embed("--join", *parts, "--pca", 2, "--out", out).exit_code == 2
    assert FeatureStore.open(unreduced(out)).digest == foreign.digest  # not what it was reduced from
