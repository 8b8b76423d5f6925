"""What the packages and the documents say of each other."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from places import RECIPES, ROOT

from metrics.common.version import DISTRIBUTION, installed_version
from metrics.reports.published import SOURCE

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DOCUMENTS = sorted(
    path for pattern in ("*.md", "docs/*.md", "recipes/*.md", "metrics/**/*.md") for path in ROOT.glob(pattern)
)


def test_the_distribution_has_one_name_and_one_version() -> None:
    assert PROJECT["name"] == DISTRIBUTION
    assert f"`{DISTRIBUTION}`" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert PROJECT["version"] == installed_version()
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert str(citation["version"]) == PROJECT["version"]


def test_the_citation_is_of_the_paper_that_is_implemented() -> None:
    paper = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["references"][0]
    assert paper["title"] in SOURCE
    assert all(author["family-names"] in SOURCE for author in paper["authors"])
    assert str(paper["year"]) in SOURCE
    assert paper["title"] in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[2]


def test_recipes_are_packaged_from_the_folder_recipes() -> None:
    assert (ROOT / "finetune" / "recipes").resolve() == RECIPES.resolve()


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text(encoding="utf-8")):
        if not target.startswith(("http", "mailto:")):
            assert (document.parent / target).exists(), f"{document}: {target}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_in_documents_exist(document: Path) -> None:
    from typer.main import get_command

    from finetune.__main__ import app as finetune
    from metrics.__main__ import app as metrics
    from recommend.__main__ import app as recommend

    verbs = {verb for app in (finetune, metrics, recommend) for verb in get_command(app).commands}  # type: ignore[attr-defined]
    text = document.read_text(encoding="utf-8")
    used = re.findall(r"(?:^ +|`|bin/)lookbook ([a-z][a-z-]+)", text, re.MULTILINE)
    used += re.findall(r"-m (?:finetune|metrics|recommend) ([a-z-]+)", text)
    assert not set(used) - verbs
