"""`check-model`: one command that finds out whether a base model works here."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from tiny import finetune
from tiny_models import photo, write_tiny
from typer.testing import Result

from finetune.models.families import FAMILIES

PROJECTIONS = ("language_projection.", "multi_modal_projector.", "connector.mean.")


@pytest.fixture(scope="module", params=FAMILIES)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp(request.param) / "base", request.param)


@pytest.fixture
def base(whole: Path, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    copy = tmp_path / "base"
    copy.mkdir()
    for path in whole.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    return copy


def check_model(model: Path | str, *options: str) -> Result:
    return finetune("check-model", "--model", model, "--dtype", "float32", *options)


def refused(result: Result) -> str:
    assert result.exit_code == 2, result.output
    assert result.stderr.count("error: ") == 1
    assert "Traceback" not in result.output
    assert result.stdout == ""
    return result.stderr


def change_projection(base: Path, factor: float) -> None:
    """Multiply the weights between the photo's tower and the language model."""
    tensors = load_file(base / "model.safetensors")
    named = [name for name in tensors if any(projection in name for projection in PROJECTIONS)]
    assert named
    save_file(tensors | {name: tensors[name] * factor for name in named}, base / "model.safetensors", {"format": "pt"})


def facts(result: Result) -> dict[str, str]:
    """The table's lines by their name."""
    assert result.exit_code == 0, result.output
    lines = [line.strip().partition("  ") for line in result.stdout.splitlines()]
    return {name.strip(): value.strip() for name, _, value in lines if value}


def test_a_sound_model_is_loaded_captions_and_learns(whole: Path) -> None:
    table = facts(check_model(whole))
    assert table["family"] == whole.parent.name[:-1]
    assert table["weights"] == "float32"
    trained = {name: table[f"{name} tower"].split(", ")[-1] for name in ("vision", "connector", "language")}
    # One layer's two projections of 32 x 32, two matrices of rank 32 each, in two layers.
    assert trained == {"vision": "0 trained", "connector": "0 trained", "language": f"{2 * 2 * 2 * 32 * 32:,} trained"}
    before, after = (float(table[f"loss {when}"].split()[0]) for when in ("before", "after"))
    assert after < before
    assert table["peak memory"].endswith("GiB")
    assert {"caption", "captioning", "device", "load", "training step", "versions"} <= table.keys()


def test_bfloat16_and_a_photo_of_ones_own(whole: Path, tmp_path: Path) -> None:
    photo(1).save(tmp_path / "photo.png")
    result = finetune("check-model", "--model", whole, "--photo", tmp_path / "photo.png")
    assert facts(result)["weights"] == "bfloat16"


def test_a_model_blind_to_its_photo_is_refused(base: Path) -> None:
    change_projection(base, 0)
    assert "the model does not see its photo" in refused(check_model(base))


def test_what_is_not_finite_is_refused(base: Path) -> None:
    change_projection(base, 3e38)
    assert "expected finite log-probabilities, found infinite or NaN" in refused(check_model(base))
    change_projection(base, float("nan"))
    assert "expected finite weights, found infinite ones or NaN in" in refused(check_model(base))


def test_a_broken_folder_is_refused(base: Path, tmp_path: Path) -> None:
    weights = base / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert "model.safetensors: the file is damaged" in refused(check_model(base))
    weights.unlink()
    assert "no *.safetensors weights in it" in refused(check_model(base))
    (base / "config.json").unlink()
    assert "no config.json in it" in refused(check_model(base))
    assert "no such folder, and no Hub id" in refused(check_model(tmp_path / "none"))


def test_a_model_of_no_family_is_refused(base: Path) -> None:
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | {"model_type": "gpt2"}))
    message = refused(check_model(base))
    assert "model_type is 'gpt2'; expected one of" in message
    assert "blip-2, llava, prefix-captioner" in message


def test_a_missing_photo_and_an_unknown_type_are_refused(whole: Path, tmp_path: Path) -> None:
    assert "none.jpg" in refused(check_model(whole, "--photo", str(tmp_path / "none.jpg")))
    assert "--dtype int8: expected one of float32, bfloat16" in refused(
        finetune("check-model", "--model", whole, "--dtype", "int8")
    )
