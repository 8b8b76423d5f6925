"""The model card: true figures, valid metadata, code that runs as printed."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hub_runs import CAPTIONED, FAMILIES
from hub_server import HubServer, hub_server
from huggingface_hub import ModelCard
from pushing import CARD, in_a_process, pushed, report
from tiny import finetune

pytestmark = [pytest.mark.java, pytest.mark.processes, pytest.mark.slow]


@pytest.fixture(scope="module")
def card(runs: Path) -> str:
    """The card of the BLIP-2 run as it is on the Hub."""
    with hub_server() as hub:
        hub.put_folder("tiny/blip2", runs / "base-blip2")
        pushed(hub, runs / "blip2", "--repo", "me/blip2")
        return hub.repos["me/blip2"].files[CARD].decode()


def test_the_cards_metadata_hold_every_measure_with_its_signature(card: str, runs: Path) -> None:
    data = ModelCard(card).data
    assert data.base_model == "tiny/blip2"
    assert data.base_model_relation == "adapter"
    assert data.library_name == "peft"
    trained = next(system for system in report(runs / "blip2")["systems"] if system["kind"] == "finetuned")
    results = {(one.metric_config, one.metric_name.partition(",")[0]): one for one in data.eval_results}
    assert len(results) == len(data.eval_results) == 3 * 7
    (block,) = data.to_dict()["model-index"][0]["results"]
    assert block["task"]["type"] == data.pipeline_tag == "image-text-to-text"
    assert data.language == "en"
    known = {"bleu", "meteor", "rouge", "cider", "spice", "accuracy", "precision", "recall"}
    assert {one.metric_type for one in data.eval_results} == {*data.metrics} <= known
    for part, scores in trained["scores"].items():
        for measure, score in scores.items():
            found = results[part, measure]
            assert found.metric_value == pytest.approx(100 * score["value"], abs=0.005)
            assert found.metric_args["signature"] == score["signature"]


def test_the_card_shows_the_runs_own_figures(card: str, runs: Path) -> None:
    run = runs / "blip2"
    systems = {system["name"]: system for system in report(run)["systems"]}
    for name, system in systems.items():
        for part, scores in system["scores"].items():
            cider = scores["CIDEr"]
            low, high = (100 * bound for bound in cider["interval"])
            cell = f"{100 * cider['value']:.1f} [{low:.1f}–{high:.1f}] |"
            lines = [
                line for line in _section(card, f"### {part} ") if line.strip("| *").startswith(name.replace("*", ""))
            ]
            assert lines, f"{name} of {part}"
            assert cell in lines[0]
    audit = report(run)["leak_audits"][0]
    assert f"caption of {100 * audit['captions_in_train']:.1f}% is also a training caption, word for word" in card
    unseen = systems["fine-tuned"]["scores"]["unseen"]["CIDEr"]["value"]
    assert f"and {100 * unseen:.1f} on unseen ones" in card
    shuffled = systems["fine-tuned, photos shuffled"]["scores"]["all"]["CIDEr"]["value"]
    assert f"With photos shuffled CIDEr is {100 * shuffled:.1f} instead of" in card
    record = json.loads((run / "training.json").read_text())
    assert f"{record['best_validation_loss']:.4f} nats a token" in card
    assert f"{record['parameters']['language']['trainable']:,} trained" in card


def _section(card: str, heading: str) -> list[str]:
    return card.partition(f"\n{heading}")[2].partition("\n#")[0].splitlines()


def test_the_printed_code_captions_as_was_scored(hub: HubServer, runs: Path) -> None:
    for family in FAMILIES:
        hub.put_folder(f"tiny/{family}", runs / f"base-{family}")
    in_a_process("push", runs, hub, runs / "pusher")
    captions = {family: _captions(runs / family, "fine-tuned") for family in FAMILIES}
    before = {family: _captions(runs / family, "pretrained") for family in FAMILIES}
    photo = next(iter(captions["blip2"]))
    shutil.copy(runs / "demo" / photo, runs / "photo.jpg")
    repos = ["me/blip2", "me/blip2-merged", "me/llava", "me/llava-merged"]
    in_a_process("use", runs, hub, runs / "stranger", *repos, HF_TOKEN="")
    printed = json.loads((runs / "printed.json").read_text())
    by_adapter, from_folder, merged, merged_folder = (printed.pop(options) for options in CAPTIONED)
    assert by_adapter == from_folder
    assert merged == merged_folder
    assert printed == {repo: captions[repo.split("/")[1].split("-")[0]][photo] for repo in repos}
    assert all(captions[family][photo] != before[family][photo] for family in captions)


def _captions(run: Path, system: str) -> dict[str, str]:
    lines = (run / "captions" / system / "captions.jsonl").read_text().splitlines()
    return {row["image"]: row["caption"] for row in map(json.loads, lines)}


@pytest.fixture
def card_of(runs: Path, tmp_path: Path) -> Callable[..., str]:
    """The card of the BLIP-2 run, as if its recipe had said something else of a section."""
    run = tmp_path / "run"
    shutil.copytree(runs / "blip2", run)

    def card(*options: Any, **changes: Any) -> str:
        record = json.loads((run / "training.json").read_text())
        for section, values in changes.items():
            known = {} if section == "data" else record["recipe"][section]  # each catalogue has keys of its own
            record["recipe"][section] = known | values if isinstance(values, dict) else values
        (run / "training.json").write_text(json.dumps(record))
        result = finetune("push", run, "--repo", "me/it", "--dry-run", *options)
        assert result.exit_code == 0, result.output
        return (run / "model-card.md").read_text(encoding="utf-8")

    return card


@pytest.mark.parametrize(
    ("catalogue", "base", "terms"),
    [
        ("hm", "Salesforce/blip2-opt-2.7b", ["licence mit", "Kaggle competition", "non-commercial"]),
        ("facad", "llava-hf/llava-1.5-7b-hf", ["licence llama2", "published for research"]),
        ("folder", "Salesforce/blip2-opt-6.7b", ["not known here", 'the catalogue "shop"']),
    ],
)
def test_terms_of_base_and_data_are_named(
    card_of: Callable[..., str], catalogue: str, base: str, terms: list[str]
) -> None:
    family = "llava" if "llava" in base else "blip2"
    card = card_of(
        data={"catalogue": catalogue, "folder": "/data/shop", "limit": None}, model={"base": base, "family": family}
    )
    assert all(term in card.partition("## Terms")[2] for term in terms)
    assert "at most" not in card.partition("## How")[0]
    assert ModelCard(card).data.license == "other", "whose data it is decides too"
    assert ModelCard(card).data.base_model == base


def test_names_of_folders_are_no_markup(card_of: Callable[..., str], runs: Path) -> None:
    evil = "`` <img src=x onerror=alert(1)> `x"
    card = card_of(
        model={"base": str(runs / evil), "tiny": {"layers": 1}}, data={"catalogue": "folder", "folder": evil}
    )
    text = card.partition("---\n\n")[2]
    code = re.compile("(?s)(`+).*?(?<!`)\\1(?!`)|```.*?```")
    bare = code.sub("", text.replace("\\`", ""))
    assert "<img" in text
    assert "<img" not in bare.replace("\\<img", "")


def test_a_base_that_is_a_folder_is_named_without_its_place(card_of: Callable[..., str], runs: Path) -> None:
    card = card_of(model={"base": str(runs / "base-blip2"), "tiny": {"layers": 1}, "quantization": "nf4"})
    assert "a folder called `base-blip2`: replace `base-blip2` below with its path" in card
    assert 'from_pretrained("base-blip2"' in card
    assert "trained and scored on a base in nf4" in card
    assert "this is a test of the tool, not a useful model" in card
    assert str(runs) not in card
    assert ModelCard(card).data.base_model is None


def test_a_fully_tuned_run_needs_no_base(card_of: Callable[..., str], runs: Path, tmp_path: Path) -> None:
    tune = {"vision": "full", "connector": "full", "language": "full"}
    model = {"base": "Salesforce/blip2-opt-2.7b", "revision": "abc"}
    shutil.rmtree(tmp_path / "run" / "model")
    shutil.copytree(runs / "blip2-merged", tmp_path / "run" / "model")
    card = card_of(tune=tune, model=model)
    assert "Towers: vision full, connector full, language full." in card
    code = card.partition("```python")[2].partition("```")[0]
    assert 'from_pretrained("me/it", dtype=torch.float32)' in code
    assert "peft" not in code
    assert "abc" not in code


def test_the_bases_revision_and_number_format_are_in_the_code(card_of: Callable[..., str]) -> None:
    card = card_of(model={"base": "Salesforce/blip2-opt-2.7b@abc", "dtype": "bfloat16"})
    assert 'from_pretrained("Salesforce/blip2-opt-2.7b", revision="abc", dtype=torch.bfloat16)' in card
    assert "model.qformer.float()" in card


def test_a_merged_models_card_says_how_far_it_is_from_base_and_adapter(
    card_of: Callable[..., str], runs: Path, tmp_path: Path
) -> None:
    merged = shutil.copytree(runs / "blip2-merged", tmp_path / "merged")
    mark = json.loads((merged / "merged.json").read_text())
    assert (mark["dtype"], mark["equal"], mark["photos"]) == ("float32", 8, 8)
    assert 0 < mark["largest"] < 1e-4
    changed = {"dtype": "bfloat16", "equal": 7, "largest": 0.0123}
    (merged / "merged.json").write_text(json.dumps(mark | changed))
    card = " ".join(card_of("--model", merged).split())
    digest = hashlib.sha256((runs / "blip2" / "model" / "adapter_model.safetensors").read_bytes()).hexdigest()
    assert f"Adapter (SHA-256 of its weights `{digest}`) and base were merged in bfloat16." in card
    assert "writes the same captions for 7 of 8 validation photos" in card
    assert "differ by at most 1.2e-02 nats a token" in card
    assert "were merged in" not in card_of()


def test_what_the_optimisation_was_set_to_is_named(card_of: Callable[..., str]) -> None:
    training = {
        "learning_rates": {"vision": 1e-6, "connector": 2e-5},
        "cosine_steps": 500,
        "max_steps": 40,
        "optimizer": "paged-adamw-8bit",
    }
    labels = {"stop_token": False, "on": "all", "pad_to": 512}
    card = card_of(
        training=training, labels=labels, evaluation={"captions": 8, "measures": ["CIDEr", "BLEU-4"], "best": "cider"}
    )
    rows = {
        "training.learning_rate": "0.01",
        "training.learning_rates.vision": "1e-06",
        "training.learning_rates.connector": "2e-05",
        "training.cosine_steps": "500",
        "training.max_steps": "40",
        "training.optimizer": "paged-adamw-8bit",
        "training.batch_size": "8",
        "labels.stop_token": "False",
        "labels.on": "all",
        "labels.pad_to": "512",
        "evaluation.measures": "CIDEr, BLEU-4",
        "evaluation.best": "CIDEr",
    }
    for name, value in rows.items():
        assert f"| `{name}` | {value} |\n" in card, name
    assert "Learning rate" not in card


def test_the_record_of_an_earlier_version_is_read(card_of: Callable[..., str], tmp_path: Path) -> None:
    """They called the section `evaluation` `judging`."""
    record = json.loads((tmp_path / "run" / "training.json").read_text())
    evaluation = record["recipe"].pop("evaluation") | {"captions": 4, "best": "cider"}
    _change_record(tmp_path / "run", recipe=record["recipe"] | {"judging": evaluation})
    card = card_of()
    assert "best by validation CIDEr" in card
    assert "| `evaluation.best` | CIDEr |\n" in card
    assert "judging" not in card


def test_the_micro_batch_that_fitted_is_named(card_of: Callable[..., str], tmp_path: Path) -> None:
    _change_record(tmp_path / "run", micro_batch_size=2)
    assert "| `training.micro_batch_size` | 2 |\n" in card_of()


@pytest.mark.parametrize(
    ("adapter", "name"),
    [("/data/runs/coarse/model", "coarse"), ("/data/coarse", "coarse"), ("me/model", "me/model"), ("~/a/model", "a")],
)
def test_a_run_that_began_from_an_adapter_says_so(
    card_of: Callable[..., str], tmp_path: Path, adapter: str, name: str
) -> None:
    assert "fresh adapter" not in card_of()
    _change_record(tmp_path / "run", init_from={"adapter": adapter, "sha256": "5ad0" * 16})
    how = card_of().partition("\n## Training\n")[2].partition("\n## ")[0]
    assert f"from the trained adapter {name} (SHA-256 of its weights `{'5ad0' * 16}`)" in how
    assert "Steps and times below are those after that start" in how
    assert "What that adapter had been trained on would count as seen, too, but is not fully known" in how


def _change_record(run: Path, **changes: Any) -> None:
    record = json.loads((run / "training.json").read_text())
    (run / "training.json").write_text(json.dumps(record | changes))


def test_the_captions_language_is_the_recipe_s(card_of: Callable[..., str], tmp_path: Path) -> None:
    record = json.loads((tmp_path / "run" / "training.json").read_text())
    _change_record(tmp_path / "run", recipe=record["recipe"] | {"language": "de"})
    assert ModelCard(card_of()).data.language == "de"


def test_the_terms_of_a_bases_published_parts_are_named(card_of: Callable[..., str]) -> None:
    tiny = {"encoder": "efficientnet-lite0", "decoder": "/home/me/smol"}
    card = card_of(model={"family": "prefix", "base": "/home/me/base", "tiny": tiny})
    assert "put together from efficientnet-lite0 and smol" in card
    assert "test of the tool" not in card
    terms = card.partition("## Terms")[2]
    assert "- efficientnet-lite0, a part of the base: licence apache-2.0; of the package efficientnet-lite0-" in terms
    assert "- smol, a part of the base: a folder, no model of the Hub." in terms


def test_each_catalogue_of_a_mixture_has_its_results(card_of: Callable[..., str], tmp_path: Path) -> None:
    for name in ("one", "two"):
        shutil.copytree(tmp_path / "run" / "report", tmp_path / "run" / name / "report")
    sections = [
        {"catalogue": "demo", "name": "one"},
        {"catalogue": "hm", "folder": "/data/shop", "name": "two", "limit": 24},
    ]
    card = card_of(data=sections, model={"base": "Salesforce/blip2-opt-2.7b"})
    assert card.count("\n### one: ") == card.count("\n### two: ") == 3
    assert "at most 24 items of each split of two" in card
    assert len(ModelCard(card).data.eval_results) == 2 * 3 * 7


def test_the_bases_own_card_names_its_licence(card: str) -> None:
    assert "Base model tiny/blip2: licence cc-by-4.0; as its card says." in card
    assert ModelCard(card).data.license == "cc-by-4.0"
