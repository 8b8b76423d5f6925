"""What `prepare` makes of broken photos and of a disk that fails."""

import json
from pathlib import Path

import pytest
from PIL import Image
from tiny import (
    all_references,
    article,
    finetune,
    kaggle_photo,
    prepared,
    recipe,
    refused,
)

from finetune.config.recipe import load_recipe
from finetune.data import preparation

COUNT = 30
IDS = [article(number)["article_id"] for number in range(COUNT)]


def damage(shop: Path) -> dict[str, str]:
    """Break five photos, each in its own way; article id to the expected reason."""
    whole = Image.effect_noise((200, 300), 80).convert("RGB")
    whole.save(kaggle_photo(shop, IDS[1]))
    content = kaggle_photo(shop, IDS[1]).read_bytes()
    kaggle_photo(shop, IDS[1]).write_bytes(content[: len(content) * 9 // 10])
    kaggle_photo(shop, IDS[2]).write_text("<html>404</html>")
    kaggle_photo(shop, IDS[3]).write_bytes(b"")
    kaggle_photo(shop, IDS[5]).unlink()
    kaggle_photo(shop, IDS[5]).symlink_to(shop / "nowhere.jpg")
    Image.new("1", (10_001, 10_000)).save(kaggle_photo(shop, IDS[7]), format="PNG")
    return {
        IDS[1]: "broken image (image file is truncated",
        IDS[2]: "not an image",
        IDS[3]: "not an image",
        IDS[5]: "no such file",
        IDS[7]: "larger than 100 million pixels",
    }


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("command", ["prepare", "validate"])
def test_broken_photos_stop_by_default(shop: Path, shop_recipe: Path, command: str) -> None:
    reasons = damage(shop)
    message = refused(command, shop_recipe)
    for id_, reason in reasons.items():
        assert f"images/010/{id_}.jpg: {reason}" in message
    assert message.startswith(f"5 photo(s) of {shop} cannot be used:")
    assert "data.on_bad_image: skip" in message


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_broken_photos_can_be_left_out_counted_and_listed(shop: Path, shop_recipe: Path, tmp_path: Path) -> None:
    prepared(shop_recipe)
    before = {record["id"]: record["split"] for record in all_references(tmp_path).values()}
    reasons = damage(shop)
    printed = prepared(shop_recipe, "data.on_bad_image=skip")
    assert "        5  bad image" in printed
    for id_, reason in reasons.items():
        assert f"images/010/{id_}.jpg: {reason}" in printed
    after = {record["id"]: record["split"] for record in all_references(tmp_path).values()}
    assert after == {id_: split for id_, split in before.items() if id_ not in reasons}
    account = preparation.prepare(load_recipe(shop_recipe, ["data.on_bad_image=skip"]).data).account
    assert sorted(account.dropped["bad image"]) == sorted(reasons)
    assert sum(account.split.sizes.values()) == COUNT - 5


def test_nothing_but_broken_photos_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_text("no picture")
    path = recipe(tmp_path, {"catalogue": "folder", "folder": str(tmp_path / "photos"), "on_bad_image": "skip"})
    message = refused("prepare", path)
    assert "every photo is missing or broken" in message
    assert "a.jpg: not an image" in message


def test_photos_of_every_mode_are_prepared(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"):
        suffix = "jpg" if mode == "CMYK" else "png"
        Image.new(mode, (8, 8)).save(photos / f"{mode.replace(';', '-')}.{suffix}")
    path = recipe(tmp_path, {"catalogue": "folder", "folder": str(photos)})
    assert "8  images" in prepared(path)
    assert len(preparation.prepare(load_recipe(path).data).splits["undescribed"]) == 8


def test_a_disk_that_fails_leaves_nothing(
    shop_recipe: Path, lookbook_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "account.json")

    monkeypatch.setattr(json, "dump", full)
    assert "No space left on device" in refused("prepare", shop_recipe)
    assert list(lookbook_cache.iterdir()) == []


def test_an_output_that_cannot_be_written_is_refused(shop_recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    result = finetune("prepare", shop_recipe)
    assert result.exit_code == 2
    assert str(tmp_path / "out") in result.stderr
    assert "Traceback" not in result.output
