"""What `view --images RECIPE` shows of a recipe's catalogue, through the entry point by which the viewer finds it."""

from pathlib import Path

import pytest
from tiny import article, kaggle, recipe

from metrics.viewer.catalogue import catalogue_of
from metrics.viewer.source_table import source_rows

pytestmark = pytest.mark.torch


def test_its_photos_and_its_table(tmp_path: Path) -> None:
    shop = kaggle(tmp_path / "shop", [article(number) for number in range(12)])
    folder, table = catalogue_of(recipe(tmp_path, {"catalogue": "hm", "folder": str(shop)}))
    assert folder == shop
    rows = dict(source_rows(table))
    assert len(rows) == 12
    assert rows["0100000003"]["colour_group_name"] == "Red"


def test_a_recipe_that_is_wrong_is_one_message(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        catalogue_of(recipe(tmp_path, {"catalogue": "hm", "folder": str(tmp_path / "no")}))
    assert ended.value.code == 2
    assert str(tmp_path / "no") in capfd.readouterr().err
