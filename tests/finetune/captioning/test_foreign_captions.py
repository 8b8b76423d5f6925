"""What `caption` replaces: captions that it wrote; not the shop's own table, nor what it reads, unless told to."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from tiny import captioned, finetune, recipe, write_csv
from tiny_models import write_tiny
from typer.testing import Result

from metrics.records.run import RunRecord

OLD = '{"id": "1", "caption": "theirs"}\n'


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    write_csv(folder / "metadata.csv", captioned(folder, 4))
    return folder


def caption(base: Path, data: Path, out: Path, *options: Any) -> Result:
    return finetune("caption", "--model", base, "--data", data, "--out", out, *options)


def refused(result: Result) -> str:
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return result.stderr


def test_a_shop_s_own_files_are_not_replaced(base: Path, shop: Path, tmp_path: Path) -> None:
    table = (shop / "metadata.csv").read_bytes()
    for out in (shop / "metadata.csv", shop / "000.png"):
        assert f"{out}: exists and is no file of captions that Lookbook wrote" in refused(caption(base, shop, out))
    (tmp_path / "link.csv").symlink_to(shop / "metadata.csv")
    assert "link.csv: exists and is no" in refused(caption(base, shop, tmp_path / "link.csv", "--format", "csv"))
    assert (shop / "metadata.csv").read_bytes() == table
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "captions.jsonl").write_text(OLD)
    other = tmp_path / "other" / "captions.jsonl"
    assert "replace it with --overwrite" in refused(caption(base, shop, other))
    assert caption(base, shop, other, "--overwrite").exit_code == 0
    assert caption(base, shop, other).exit_code == 0


def test_the_record_takes_nobody_s_place(base: Path, shop: Path, tmp_path: Path) -> None:
    assert "is what the record beside the captions is called" in refused(caption(base, shop, tmp_path / "run.json"))
    (tmp_path / "run.json").write_text('{"laps": 12}')
    assert "run.json: exists and is no record of captions" in refused(caption(base, shop, tmp_path / "captions.jsonl"))
    assert json.loads((tmp_path / "run.json").read_text()) == {"laps": 12}


RECORD = '{"file": "captions.jsonl", "catalogue": {"bad_images": []}}'
BATCH = '{"id": "1", "references": [], "choices": [{"logprobs": null, "tokens": [{"token": "A", "logprob": -0.1}]}]}'


@pytest.mark.parametrize(
    ("captions", "record"),
    [
        (BATCH, None),
        ("", '{"laps": 12}'),
        ("id,caption,logprob,tokens,finished\n", '{"laps": 12}'),
        ("precious notes", '{"file": "captions.jsonl", "mine": 1}'),
        ("precious notes", RECORD.replace("captions.jsonl", "others.jsonl")),
    ],
)
def test_what_only_looks_like_captions_of_ours_is_not_replaced(
    base: Path, shop: Path, tmp_path: Path, captions: str, record: str | None
) -> None:
    out = tmp_path / "captions.jsonl"
    out.write_text(captions)
    if record is not None:
        (tmp_path / "run.json").write_text(record)
    assert "exists and is no " in refused(caption(base, shop, out))
    assert out.read_text() == captions
    assert record is None or (tmp_path / "run.json").read_text() == record


def test_captions_that_our_record_names_are_replaced_though_changed(base: Path, shop: Path, tmp_path: Path) -> None:
    out = tmp_path / "captions.jsonl"
    out.write_text(OLD)
    (tmp_path / "run.json").write_text(RECORD)
    assert caption(base, shop, out, "--limit", 2).exit_code == 0


def test_captions_that_are_the_catalogue_s_table_are_not_replaced(base: Path, shop: Path, tmp_path: Path) -> None:
    out = shop / "captions.jsonl"
    assert caption(base, shop, out).exit_code == 0
    data = {"catalogue": "folder", "folder": str(shop), "table": "captions.jsonl"}
    path = recipe(tmp_path, data | {"columns": {"image": "image", "caption": "caption", "id": "id"}})
    options = ("--split", "all", "--set", "model.tiny=null", "--set", f"model.base={base}")
    message = refused(caption(base, path, out, *options))
    assert f"{out}: would replace {out}, which is read" in message
    (tmp_path / "link.jsonl").hardlink_to(out)
    assert f"would replace {out}, which is read" in refused(caption(base, path, tmp_path / "link.jsonl", *options))


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_our_own_tables_are_replaced(base: Path, shop: Path, tmp_path: Path, form: str) -> None:
    out = tmp_path / f"captions.{form}"
    for limit in (2, 3):
        assert caption(base, shop, out, "--format", form, "--limit", limit).exit_code == 0
        (tmp_path / "run.json").unlink()  # by the file alone


def test_captions_and_their_record_appear_together(
    base: Path, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "captions.jsonl"
    assert caption(base, shop, out, "--limit", 2).exit_code == 0
    before = {path: path.read_bytes() for path in (out, tmp_path / "run.json")}

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(RunRecord, "to_json", full)
        assert "No space left on device" in refused(caption(base, shop, out, "--limit", 3))
    assert {path: path.read_bytes() for path in before} == before
    assert caption(base, shop, out, "--limit", 3).exit_code == 0
    assert len(out.read_text().splitlines()) == 3
