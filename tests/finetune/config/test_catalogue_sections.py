"""The data sections: light to import, and what of them a fingerprint holds."""

import subprocess
import sys
from typing import Literal

import pytest
from places import ROOT

from finetune.config import history
from finetune.config.catalogues import CatalogueSection, Demo, Split


@pytest.mark.processes
def test_the_sections_cost_no_library_of_tables() -> None:
    code = "import sys, finetune.config.catalogues; print(sorted({'pandas', 'datasets', 'numpy', 'torch'} & {*sys.modules}))"
    child = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    assert child.stdout == "[]\n"


def test_name_and_weight_are_no_part_of_the_identity() -> None:
    plain = Demo(catalogue="demo")
    assert Demo(catalogue="demo", name="shop", weight=2.0).identity() == plain.identity()
    assert plain.identity() == (
        '{"split":{"method":"published","version":2,"train":0.8,"validation":0.1,"seed":42},"limit":null,"on_bad_image":"stop",'
        '"max_caption_words":300,"catalogue":"demo","layout":"hm","folder":"data/demo-catalogue","articles":3000,'
        '"seed":0,"photo_side":null}'
    )


class LaterSplit(Split):
    stratified: bool = False


class Later(CatalogueSection):
    catalogue: Literal["later"] = "later"
    split: LaterSplit = LaterSplit()
    sorted_by: str | None = None


class Earlier(CatalogueSection):
    catalogue: Literal["later"] = "later"


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {"data.sorted_by": None, "data.split.stratified": False, "training.sorted_by": 1}
    monkeypatch.setattr(history, "ADDED", keys)


def test_a_key_added_later_changes_the_identity_only_if_it_changes_the_data(added: None) -> None:
    assert Later().identity() == Earlier().identity()


@pytest.mark.parametrize("section", [Later(sorted_by="id"), Later(split=LaterSplit(stratified=True))])
def test_a_key_added_later_is_part_of_the_identity_when_it_is_used(section: Later, added: None) -> None:
    assert section.identity() != Earlier().identity()
