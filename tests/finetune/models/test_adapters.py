"""What is trained: tower by tower, and nothing else."""

from pathlib import Path

import pytest
import torch
from tiny_models import CAPTIONS, SHAPE, captions_of, load_tiny, photo, rows, write_tiny

from finetune.config.recipe import Lora, Tune
from finetune.models import adapter_files
from finetune.models.adapters import attach, count_parameters
from finetune.models.families.base import TOWERS
from finetune.training.collator import CaptionCollator
from finetune.training.losses import caption_losses
from metrics.common.errors import UserError

HIDDEN, RANK, LAYERS = 32, 2, 2


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("base") / "blip2")


def trainable(base: Path, tune: Tune, lora: Lora) -> dict[str, int]:
    captioner = load_tiny(base)
    attach(captioner, tune, lora)
    return {tower: count["trainable"] for tower, count in count_parameters(captioner).items()}


def test_query_and_value_of_the_language_model_alone(base: Path) -> None:
    lora = Lora(rank=RANK, modules="query-value")
    expected = LAYERS * 2 * (RANK * HIDDEN + HIDDEN * RANK)
    assert trainable(base, Tune(), lora) == {"vision": 0, "connector": 0, "language": expected}


def test_all_linear_layers_of_the_language_model_alone(base: Path) -> None:
    attention, feed_forward = 4 * 2 * RANK * HIDDEN, 2 * RANK * (HIDDEN + 2 * HIDDEN)
    lora = Lora(rank=RANK, modules="all-linear")
    assert trainable(base, Tune(), lora) == {
        "vision": 0,
        "connector": 0,
        "language": LAYERS * (attention + feed_forward),
    }


@pytest.mark.parametrize("tower", TOWERS)
@pytest.mark.parametrize("modules", ["query-value", "all-linear"])
def test_patterns_of_one_tower_reach_no_other(base: Path, tower: str, modules: str) -> None:
    tune = Tune(**(dict.fromkeys(TOWERS, "frozen") | {tower: "lora"}))
    counts = trainable(base, tune, Lora(rank=RANK, modules=modules))  # type: ignore[arg-type]
    assert counts[tower] > 0
    assert sum(counts.values()) == counts[tower]


def test_all_linear_reaches_every_linear_layer_of_its_tower(base: Path) -> None:
    captioner = load_tiny(base)
    linear = {
        name
        for name, module in captioner.model.named_modules()
        if isinstance(module, torch.nn.Linear) and not name.endswith("lm_head")
    }
    attach(captioner, Tune(vision="lora", connector="lora", language="lora"), Lora(rank=RANK, modules="all-linear"))
    reached = {
        name.removeprefix("base_model.model.").removesuffix(".base_layer")
        for name, _ in captioner.model.named_modules()
        if name.endswith(".base_layer")
    }
    assert reached == linear


def test_full_towers_are_counted_once(base: Path) -> None:
    captioner = load_tiny(base)
    sizes = {tower: count["total"] for tower, count in count_parameters(captioner).items()}
    attach(captioner, Tune(vision="full", connector="full", language="full"), Lora())
    assert {tower: count["trainable"] for tower, count in count_parameters(captioner).items()} == sizes


def test_nothing_to_train_is_an_error(base: Path) -> None:
    with pytest.raises(UserError, match="all towers are frozen"):
        attach(load_tiny(base), Tune(language="frozen"), Lora())


@pytest.mark.parametrize(
    ("modules", "reached"),
    [
        (("q_proj", "fc1"), {"q_proj", "fc1"}),
        (("self_attn.out_proj",), {"out_proj"}),
        (("qkv", "q_proj"), {"qkv", "q_proj"}),
        (("language_projection", "output.dense", "v_proj"), {"language_projection", "dense", "v_proj"}),
    ],
)
def test_layers_are_named_by_the_last_parts_of_their_names(
    base: Path, modules: tuple[str, ...], reached: set[str]
) -> None:
    captioner = load_tiny(base)
    towers = {"vision": "qkv" in modules, "connector": "output.dense" in modules}
    tune = {tower: "lora" if wanted else "frozen" for tower, wanted in towers.items()}
    attach(captioner, Tune.model_validate(tune), Lora(rank=RANK, modules=modules))
    layers = [name for name, _ in captioner.model.named_modules() if name.endswith(".base_layer")]
    assert {name.split(".")[-2] for name in layers} == reached


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        (("q_proj", "qproj"), "no layer is called qproj; vision has fc1, fc2, projection, qkv; language has fc1, fc2"),
        (("q_proj", "v_proj"), "no layer of vision is named; vision has fc1, fc2, projection, qkv"),
        (("query", "fc1"), "no layer is called query"),
        ((), "no layer of vision, language is named"),
    ],
)
def test_names_that_reach_nothing_are_refused(base: Path, modules: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        attach(load_tiny(base), Tune(vision="lora"), Lora(rank=RANK, modules=modules))


def test_dora_learns_a_magnitude_of_each_output_too(base: Path) -> None:
    """Liu et al. 2024, eq. 5: one magnitude a column of the weight, beside LoRA's two matrices."""
    plain, dora = (trainable(base, Tune(), Lora(rank=RANK, dora=dora))["language"] for dora in (False, True))
    assert dora == plain + LAYERS * 2 * HIDDEN


@pytest.mark.parametrize("rslora", [True, False])
def test_scaling(base: Path, rslora: bool) -> None:
    """LoRA scales by alpha / rank, rsLoRA by alpha / sqrt(rank) (Kalajdzievski 2023, theorem 3.2)."""
    captioner = load_tiny(base)
    attach(captioner, Tune(), Lora(rank=4, alpha=8, rslora=rslora))
    layer = captioner.model.base_model.model.language_model.model.decoder.layers[0].self_attn.q_proj
    assert layer.scaling["default"] == (8 / 4**0.5 if rslora else 8 / 4)


@pytest.mark.parametrize("tune", [Tune(), Tune(vision="lora", connector="full")])
def test_an_adapter_saved_and_loaded_writes_the_same(base: Path, tmp_path: Path, tune: Tune) -> None:
    captioner = load_tiny(base)
    untouched = captions_of(captioner, [photo(0)], max_new_tokens=8)
    attach(captioner, tune, Lora(rank=RANK, modules="all-linear", dropout=0))
    optimizer = torch.optim.AdamW([p for p in captioner.model.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(30):
        losses, _ = caption_losses(captioner.model, CaptionCollator(captioner, "")(rows()))
        losses.sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    captioner.model.eval().save_pretrained(tmp_path)
    again = load_tiny(base)
    adapter_files.load_adapter(again, str(tmp_path))
    trained = captions_of(captioner, [photo(0)], max_new_tokens=8)
    assert captions_of(again, [photo(0)], max_new_tokens=8) == trained != untouched


def test_adapters_on_bfloat16_learn_in_float32(base: Path) -> None:
    captioner = load_tiny(base, dtype="bfloat16")
    attach(captioner, Tune(), Lora(rank=RANK))
    trained = [parameter for parameter in captioner.model.parameters() if parameter.requires_grad]
    assert {parameter.dtype for parameter in trained} == {torch.float32}
    losses, _ = caption_losses(captioner.model, CaptionCollator(captioner, "")(rows()))
    losses.sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in trained if parameter.grad is not None)
    assert any(parameter.grad.abs().sum() > 0 for parameter in trained if parameter.grad is not None)


def test_an_adapter_of_another_base_is_one_message(base: Path, tmp_path: Path) -> None:
    captioner = load_tiny(base)
    attach(captioner, Tune(), Lora(rank=RANK))
    captioner.model.save_pretrained(tmp_path / "adapter")
    import finetune.models.tiny
    from finetune.config.recipe import Tiny

    other = Tiny(image_size=32, hidden_size=64, layers=1, queries=4, vocabulary=320)
    finetune.models.tiny.make_tiny("blip2", other, ["a dress"], tmp_path / "other")
    with pytest.raises(UserError, match="does not load on this base"):
        adapter_files.load_adapter(load_tiny(tmp_path / "other"), str(tmp_path / "adapter"))


@pytest.mark.parametrize("layers", [1, 3])
def test_an_adapter_of_a_shorter_or_longer_base_is_refused(base: Path, tmp_path: Path, layers: int) -> None:
    captioner = load_tiny(base)
    attach(captioner, Tune(), Lora(rank=RANK))
    captioner.model.save_pretrained(tmp_path / "adapter")
    from finetune.models.tiny import make_tiny

    make_tiny("blip2", SHAPE.model_copy(update={"layers": layers}), CAPTIONS, tmp_path / "other")
    with pytest.raises(UserError, match="are on one side only"):
        adapter_files.load_adapter(load_tiny(tmp_path / "other"), str(tmp_path / "adapter"))


def test_a_truncated_adapter_is_one_message(base: Path, tmp_path: Path) -> None:
    captioner = load_tiny(base)
    attach(captioner, Tune(), Lora(rank=RANK))
    captioner.model.save_pretrained(tmp_path)
    weights = tmp_path / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(UserError, match="the file is damaged"):
        adapter_files.load_adapter(load_tiny(base), str(tmp_path))


def test_a_folder_without_an_adapter_is_one_message(base: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not load"):
        adapter_files.load_adapter(load_tiny(base), str(tmp_path))


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ("[]", "expected a JSON object, found list; copy it again"),
        ("[[", "expected a JSON object, found damaged text"),
        ('{"peft_type": "LORA", "r": "x", "target_modules": ["q_proj"]}', "does not load on this base model"),
        ('{"peft_type": "LORA", "rank_pattern": 3, "target_modules": ["q_proj"]}', "does not load on this base model"),
    ],
)
def test_a_damaged_adapter_configuration_is_one_message(base: Path, tmp_path: Path, config: str, problem: str) -> None:
    captioner = load_tiny(base)
    attach(captioner, Tune(), Lora(rank=RANK))
    captioner.model.save_pretrained(tmp_path)
    (tmp_path / "adapter_config.json").write_text(config)
    with pytest.raises(UserError, match=rf"{tmp_path}.*: {problem}"):
        adapter_files.load_adapter(load_tiny(base), str(tmp_path))
