"""The recipes of recommenders that are shipped; the sections of models beside the recommenders' own settings."""

from dataclasses import fields
from typing import get_args

import pytest
from places import RECIPES

from recommend.experiments.models import NOT_SETTINGS, Model
from recommend.experiments.published import published_rows
from recommend.experiments.recipe import load_recipe
from recommend.recommenders.registry import PRESETS, RECOMMENDERS

RANKERS = "rank-"  # recipes of `lookbook rank`
SHIPPED = sorted(path for path in (RECIPES / "recommend").glob("*.yaml") if not path.name.startswith(RANKERS))
SEEDED = "seed"  # which the recipe gives to all


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_recipe_is_read_and_headed_by_its_command(path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    assert load_recipe(path).rows()
    head = path.read_text(encoding="utf-8").split("output:")[0]
    assert f"lookbook recommend recipes/recommend/{path.name}" in head


def test_the_papers_table_is_whole() -> None:
    recipe = load_recipe(RECIPES / "recommend" / "table5-hm.yaml")
    wanted = {(row.dataset, row.setting) for row in published_rows()}
    assert wanted <= {(dataset.published, model.published) for dataset, model in recipe.rows()}
    assert len(wanted) == 20
    assert {dataset.published: dataset.setting for dataset in recipe.datasets} == {
        "Original": "filtered",
        "Unfiltered & Augmented": "augmented",
    }


def test_every_recommender_has_a_section_with_its_settings() -> None:
    sections = {
        tag: section
        for section in get_args(get_args(Model)[0])
        for tag in get_args(section.model_fields["recommender"].annotation)
    }
    assert sections.keys() | {preset.name for preset in PRESETS.values()} == RECOMMENDERS.keys()
    assert get_args(get_args(sections["vbpr"].model_fields["preset"].annotation)[0]) == tuple(PRESETS)
    for tag, section in sections.items():
        settings = {field.name for field in fields(RECOMMENDERS[tag])} - {SEEDED}
        ours = section.model_fields.keys() - set(NOT_SETTINGS) - {"preset"}
        assert ours <= settings, tag
        unread = {"feature_factors", "feature_bias", "normalised"} if tag == "bpr-mf" else set()
        assert settings - ours == unread, tag
