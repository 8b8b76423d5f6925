"""What lies in other people's folders is never run: no code beside a model, no pickled weights, whoever loads them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import finetune
from tiny_encoders import bert, clip, resnet
from tiny_models import load_tiny, write_tiny
from typer.testing import CliRunner

from finetune.__main__ import app
from finetune.config.recipe import Lora, Tune
from finetune.models.adapter_files import load_adapter
from finetune.models.adapters import attach
from finetune.models.encoders import load_encoder
from metrics.common.errors import UserError, first_line
from metrics.encoders.load import load_dual_encoder
from metrics.encoders.safe_loading import load_model
from metrics.measures.attributes import stanza_models
from metrics.measures.category.model import load_base
from recommend.retrieval.tuned import TunedPhotos, TunedTexts

INDEX = "model.safetensors.index.json"
CODE = """
from pathlib import Path
Path(r"{ran}").touch()
from transformers import BlipImageProcessorPil
class Theirs(BlipImageProcessorPil): pass
"""


class Ran:
    """Unpickled, it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.fixture(scope="module")
def blip2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("theirs") / "base", "blip2")


def pickled(folder: Path, weights: str = "x.bin") -> Path:
    """The same model with an index that names pickled weights; older code loads them."""
    tensors = load_file(folder / "model.safetensors")
    torch.save(tensors, folder / weights)
    (folder / "model.safetensors").unlink()
    index = {"metadata": {"total_size": 1}, "weight_map": dict.fromkeys(tensors, weights)}
    (folder / INDEX).write_text(json.dumps(index))
    return folder


def test_code_beside_a_photo_processor_is_refused_without_a_question(blip2: Path, tmp_path: Path) -> None:
    base, ran = shutil.copytree(blip2, tmp_path / "base"), tmp_path / "ran"
    settings = json.loads((base / "processor_config.json").read_text())["image_processor"]
    for name in ("processor_config.json", "preprocessor_config.json"):
        (base / name).unlink(missing_ok=True)
    theirs = {"image_processor_type": "Theirs", "auto_map": {"AutoImageProcessor": "theirs.Theirs"}}
    (base / "preprocessor_config.json").write_text(json.dumps(settings | theirs))
    (base / "theirs.py").write_text(CODE.format(ran=ran))
    result = CliRunner().invoke(app, ["check-model", "--model", str(base), "--dtype", "float32"], input="y\n")
    assert result.exit_code == 2, result.output
    assert "it comes with code of its own, which is never run" in result.stderr
    assert "[y/N]" not in result.output
    assert "trust_remote_code" not in result.output
    assert not ran.exists()


LOADERS: dict[str, tuple[Callable[[Path], Any], Callable[[str], Any]]] = {
    "captioner": (write_tiny, lambda base: finetune_refusal("check-model", "--model", base, "--dtype", "float32")),
    "CLIPScore": (clip, load_dual_encoder),
    "encoder of photos": (resnet, lambda name: load_encoder(name, "cpu")),
    "encoder of texts": (bert, lambda name: load_encoder(name, "cpu")),
    "classifier": (bert, lambda name: load_base(name, ["Dress", "Hat"])),
    "tuned photos": (resnet, lambda name: TunedPhotos(name, {})),
    "tuned texts": (bert, TunedTexts),
}


def finetune_refusal(*arguments: str) -> None:
    result = finetune(*arguments)
    assert result.exit_code == 2, result.output
    raise UserError(result.stderr)


@pytest.mark.parametrize("kind", LOADERS)
def test_an_index_that_names_pickled_weights_is_refused(kind: str, tmp_path: Path) -> None:
    make, load = LOADERS[kind]
    folder = tmp_path / "model"
    make(folder)
    pickled(folder)
    save_file({"of": torch.zeros(1)}, folder / "other.safetensors")  # a folder without any is refused for that
    with pytest.raises(UserError, match=r"x\.bin(; only \.safetensors files beside it are loaded|: pickled weights)"):
        load(str(folder))


@pytest.mark.parametrize("named", ["../base/model.safetensors", "adapter_model.bin"])
def test_weights_elsewhere_or_of_another_format_are_refused(blip2: Path, tmp_path: Path, named: str) -> None:
    from transformers import Blip2ForConditionalGeneration

    folder = shutil.copytree(blip2, tmp_path / "model")
    if named.endswith(".bin"):
        shutil.move(folder / "model.safetensors", folder / named)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"transformers_weights": named}))
    else:
        pickled(folder, "here.bin")
        (folder / INDEX).write_text((folder / INDEX).read_text().replace("here.bin", named))
    with pytest.raises(ValueError, match=rf"names {named.replace('.', chr(92) + '.')}"):
        load_model(Blip2ForConditionalGeneration, folder)


def test_pickled_layers_of_sentence_transformers_are_refused(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Pooling, Transformer

    words = Transformer(bert(tmp_path / "bert"))
    model = SentenceTransformer(modules=[words, Pooling(16), Dense(16, 8)], device="cpu")
    model.save(str(tmp_path / "model"))
    dense = next((tmp_path / "model").glob("2_*"))
    assert load_encoder(str(tmp_path / "model"), "cpu").shape == (8,)
    torch.save(load_file(dense / "model.safetensors"), dense / "pytorch_model.bin")
    (dense / "model.safetensors").unlink()
    with pytest.raises(UserError, match="pickled weights, which are not loaded"):
        load_encoder(str(tmp_path / "model"), "cpu")


def test_a_pickled_adapter_is_refused(blip2: Path, tmp_path: Path) -> None:
    captioner = load_tiny(blip2)
    attach(captioner, Tune(), Lora(rank=2))
    captioner.model.save_pretrained(tmp_path / "adapter")
    weights = tmp_path / "adapter" / "adapter_model.safetensors"
    torch.save(load_file(weights), weights.with_suffix(".bin"))
    weights.unlink()
    with pytest.raises(UserError, match=r"adapter_model\.bin is pickled, which is not loaded"):
        load_adapter(load_tiny(blip2), str(tmp_path / "adapter"))


def test_advice_to_unpickle_is_not_repeated(tmp_path: Path) -> None:
    """torch and transformers advise to set an option that runs what is in the file."""
    torch.save({"weights": Ran(tmp_path / "ran")}, tmp_path / "with code.pt")
    (tmp_path / "damaged.pt").write_bytes(b"\x80\x02" + bytes(100))
    for path in tmp_path.glob("*.pt"):
        with pytest.raises(Exception, match="weights_only") as raised:
            torch.load(path, weights_only=True)
        assert "weights_only" not in first_line(raised.value)
    folder = tmp_path / "stanza"
    shutil.copytree(Path(stanza_models.__file__).parents[3] / "finetune" / "assets" / "demo-stanza", folder)
    shutil.copy(tmp_path / "with code.pt", folder / "pos.pt")
    with pytest.raises(UserError, match="Stanza cannot load its models") as refused:
        stanza_models.load_pipeline(str(folder))
    assert "weights_only" not in str(refused.value)
    assert not (tmp_path / "ran").exists()
