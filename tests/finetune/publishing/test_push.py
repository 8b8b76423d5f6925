"""`push`: the real huggingface_hub client against a small Hub on this machine."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import pytest
import yaml
from hub_server import HubServer
from hypothesis import given
from hypothesis import strategies as st
from pushing import CARD, WEIGHTS, command, environment, pushed, refused
from tiny import finetune

from finetune.config.recipe import parse_recipe
from finetune.publishing.contents import public

pytestmark = [pytest.mark.java, pytest.mark.processes, pytest.mark.slow]


def puts(hub: HubServer) -> int:
    return sum(request.startswith("PUT") for request in hub.requests)


def test_files_arrive_as_they_are_with_recipe_and_card(hub: HubServer, runs: Path) -> None:
    run = runs / "blip2"
    said = pushed(hub, run, "--repo", "me/blip2", "--private")
    kept = hub.repos["me/blip2"]
    assert kept.private
    assert kept.commits[-1][0][:12] in said
    files = kept.files
    model = {path.name: path.read_bytes() for path in (run / "model").iterdir() if path.name != CARD}
    assert {name: files[name] for name in model} == model
    assert files.keys() - model.keys() == {CARD, "recipe.yaml", "training.json", ".gitattributes"}
    own = runs / "base-blip2" / "tokenizer_config.json"
    assert files[own.name] == own.read_bytes(), "the tokenizer is still the base's"
    recipe = parse_recipe(yaml.safe_load(files["recipe.yaml"]), "recipe.yaml")
    assert recipe.training.learning_rate == 1e-2
    assert (str(recipe.output), recipe.catalogues["demo"].model_dump()["folder"]) == ("blip2", "demo")
    assert (
        json.loads(files["training.json"])["best_step"] == json.loads((run / "training.json").read_text())["best_step"]
    )
    texts = b"".join(body for name, body in files.items() if name != WEIGHTS)
    assert str(runs).encode() not in texts


def test_a_second_push_changes_nothing_and_a_merged_model_replaces_the_adapter(
    hub: HubServer, runs: Path, tmp_path: Path
) -> None:
    pushed(hub, runs / "blip2", "--repo", "me/blip2")
    commits, sent = len(hub.repos["me/blip2"].commits), puts(hub)
    assert "nothing has changed" in pushed(hub, runs / "blip2", "--repo", "me/blip2")
    assert (len(hub.repos["me/blip2"].commits), puts(hub)) == (commits, sent)
    pushed(hub, runs / "blip2", "--repo", "me/blip2", "--model", str(runs / "blip2-merged"))
    assert len(hub.repos["me/blip2"].commits) == commits + 1
    files = hub.repos["me/blip2"].files
    assert not {WEIGHTS, "adapter_config.json"} & files.keys(), (
        "an adapter beside a merged model would be put on it twice"
    )
    assert {"config.json", "model.safetensors.index.json", "merged.json"} <= files.keys()
    assert str(runs).encode() not in files["merged.json"]
    pushed(hub, runs / "blip2", "--repo", "me/blip2")
    assert not {"config.json", "merged.json"} & hub.repos["me/blip2"].files.keys()


def test_killed_in_the_middle_of_a_file_it_resumes_with_that_file_alone(hub: HubServer, runs: Path) -> None:
    merged = ("--repo", "me/merged", "--model", str(runs / "blip2-merged"))
    shards = sorted((runs / "blip2-merged").glob("*.safetensors"))
    assert len(shards) >= 3
    hub.stall = 2
    process = subprocess.Popen(command(runs / "blip2", *merged), env=environment(hub, runs / "pusher"))
    assert hub.stalled.wait(60)
    until = time.monotonic() + 60
    while len(hub.stored) < len(shards) - 1 and time.monotonic() < until:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert list(hub.repos["me/merged"].files) == [".gitattributes"], "all or nothing"
    assert len(hub.stored) == len(shards) - 1
    before = puts(hub)
    pushed(hub, runs / "blip2", *merged)
    assert puts(hub) == before + 1
    files = hub.repos["me/merged"].files
    assert {path.name: files[path.name] for path in shards} == {path.name: path.read_bytes() for path in shards}


def test_a_dropped_connection_and_a_stumbling_hub_are_tried_again(hub: HubServer, runs: Path) -> None:
    hub.drop = 1
    hub.faults = {"GET /api/whoami": [503], "POST /api/repos/create": [502], r"POST /api/models/me/.*/commit": [500]}
    said = pushed(hub, runs / "blip2", "--repo", "me/blip2")
    assert said.count("trying again") == 3
    assert hub.repos["me/blip2"].files[WEIGHTS] == (runs / "blip2" / "model" / WEIGHTS).read_bytes()
    assert len(hub.stored) == 1
    assert len(hub.repos["me/blip2"].commits) == 2


@pytest.mark.parametrize(
    ("token", "said"),
    [("hf_unknown", "401"), ("hf_reads", "may only read"), ("hf_other", "403"), ("", "there is none")],
)
def test_a_refused_token_is_explained(hub: HubServer, runs: Path, token: str, said: str) -> None:
    hub.tokens |= {"hf_reads": ("me", "read"), "hf_other": ("you", "write")}
    message = refused(hub, runs / "blip2", "--repo", "me/blip2", HF_TOKEN=token)
    assert said in message
    assert "https://huggingface.co/settings/tokens" in message
    assert "HF_TOKEN" in message
    assert hub.repos == {}


def test_what_is_there_already_is_not_overwritten(hub: HubServer, runs: Path) -> None:
    hub.put_folder("me/base", runs / "base-blip2")
    assert "contains what no push wrote" in refused(hub, runs / "blip2", "--repo", "me/base")
    assert len(hub.repos["me/base"].commits) == 2
    pushed(hub, runs / "blip2", "--repo", "me/open")
    assert "is public" in refused(hub, runs / "blip2", "--repo", "me/open", "--private")


@pytest.mark.parametrize("repo", ["blip2", "me/bl ip2", "me/a/b", "me/x--y", "/me/x", "bad repo//x"])
def test_a_name_that_is_none_is_refused_before_anything_is_read(tmp_path: Path, repo: str) -> None:
    result = finetune("push", tmp_path / "no run", "--repo", repo)
    assert result.exit_code == 2
    assert f"--repo {repo}" in result.stderr
    assert "repo_type" not in result.stderr


def test_an_unreachable_hub_loses_nothing(runs: Path) -> None:
    gone = HubServer(url="http://127.0.0.1:9")
    message = refused(gone, runs / "blip2", "--repo", "me/blip2")
    assert "http://127.0.0.1:9 cannot be reached" in message
    assert "start the same command again" in message


def test_dry_run_writes_the_card_and_sends_nothing(hub: HubServer, runs: Path) -> None:
    said = pushed(hub, runs / "blip2", "--repo", "me/blip2", "--dry-run")
    assert hub.repos == {}
    assert not [request for request in hub.requests if not request.startswith("GET ")]
    card = (runs / "blip2" / "model-card.md").read_text(encoding="utf-8")
    assert re.search(rf"{len(card.encode()):,} bytes +README.md", said)
    assert re.search(rf"{(runs / 'blip2' / 'model' / WEIGHTS).stat().st_size:,} bytes +{WEIGHTS}", said)


def test_a_card_of_the_user_s_own_is_not_replaced(runs: Path, tmp_path: Path) -> None:
    run = shutil.copytree(runs / "blip2", tmp_path / "run")
    (run / "model-card.md").write_text("# Mine", encoding="utf-8")
    result = finetune("push", run, "--repo", "me/blip2", "--dry-run")
    assert (result.exit_code, "model-card.md: exists and is no model card" in result.stderr) == (2, True), result.output
    assert (run / "model-card.md").read_text(encoding="utf-8") == "# Mine"


@pytest.mark.parametrize(
    ("damaged", "said"),
    [
        ("report/report.json", "lookbook run RECIPE"),
        ("training.json", "training.json: no such file"),
        ("model/processor_config.json", "the processor is missing"),
        (f"model/{WEIGHTS}", "damaged"),
    ],
)
def test_what_a_run_lacks_is_said(runs: Path, tmp_path: Path, damaged: str, said: str) -> None:
    path = shutil.copytree(runs / "blip2", tmp_path / "run") / damaged
    path.write_bytes(path.read_bytes()[:200]) if path.suffix == ".safetensors" else path.unlink()
    result = finetune("push", tmp_path / "run", "--repo", "me/blip2", "--dry-run")
    assert result.exit_code == 2
    assert said in result.stderr


def without_recipes(section: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda record: record | {"recipe": {key: part for key, part in record["recipe"].items() if key != section}}


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("report/report.json", lambda _: [], "expected a JSON object, found list; a model card shows scores"),
        ("report/report.json", lambda _: {"systems": 3}, '"systems" must be a list, found 3; a model card shows'),
        ("report/report.json", lambda _: {"systems": [{"kind": "finetuned"}]}, "expected slices, measures in it"),
        (
            "report/report.json",
            lambda report: report | {"systems": [{"kind": "finetuned", "run": {"prompt": ""}}]},
            "scores: expected all, ",
        ),
        ("report/report.json", lambda report: report | {"systems": []}, "scores no fine-tuned system; a model card"),
        ("training.json", lambda _: [], "found list; remove that file and resume"),
        ("training.json", lambda record: record | {"recipe": 3}, '"recipe" must be an object, found 3; remove'),
        ("training.json", without_recipes("model"), "1 error(s) in the recipe"),
        ("training.json", lambda record: {"recipe": record["recipe"]}, "expected versions, hardware, parameters"),
    ],
)
def test_what_is_damaged_in_a_run_is_said(
    runs: Path, tmp_path: Path, name: str, change: Callable[[Any], Any], said: str
) -> None:
    path = shutil.copytree(runs / "blip2", tmp_path / "run") / name
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    result = finetune("push", tmp_path / "run", "--repo", "me/blip2", "--dry-run")
    assert (result.exit_code, f"error: {path}" in result.stderr, said in result.stderr) == (2, True, True), (
        result.output
    )


def test_a_record_whose_recipe_leaves_sections_to_their_defaults_is_published(runs: Path, tmp_path: Path) -> None:
    run = shutil.copytree(runs / "blip2", tmp_path / "run")
    record = json.loads((run / "training.json").read_text())
    (run / "training.json").write_text(json.dumps(without_recipes("tune")(record)))
    result = finetune("push", run, "--repo", "me/blip2", "--dry-run")
    assert result.exit_code == 0, result.output


def test_only_a_model_merged_from_this_very_run_is_published_under_its_scores(runs: Path, tmp_path: Path) -> None:
    run = runs / "blip2"
    whole = shutil.copytree(run, tmp_path / "whole")
    (whole / "model" / WEIGHTS).unlink()
    digests = {name: sha256((runs / name / "model" / WEIGHTS).read_bytes()).hexdigest() for name in ("blip2", "llava")}
    for trained, model, said in [
        (run, runs / "base-blip2", ["merged.json: no such file", f"merge {run} --out"]),
        (run, run / "model", ["merged.json: no such file"]),
        (run, runs / "llava-merged", [*digests.values(), "made of another adapter", f"merge {run} --out"]),
        (whole, runs / "blip2-merged", ["has no adapter that it could be merged from", "leave it out"]),
    ]:
        result = finetune("push", trained, "--repo", "me/blip2", "--dry-run", "--model", model)
        message = " ".join(result.stderr.split())
        assert (result.exit_code, [part in message for part in said]) == (2, [True] * len(said)), result.output
    (whole / "model" / "adapter_config.json").unlink()
    shutil.copy(runs / "base-blip2" / "model.safetensors", whole / "model")
    result = finetune("push", whole, "--repo", "me/blip2", "--dry-run")
    assert (result.exit_code, "no adapter_config.json there" in result.stderr) == (2, True), result.output


def test_a_card_in_the_models_folder_is_not_published(hub: HubServer, runs: Path, tmp_path: Path) -> None:
    assert not (runs / "blip2" / "model" / CARD).exists(), "PEFT's, which says nothing"
    run = shutil.copytree(runs / "blip2", tmp_path / "run")
    (run / "model" / CARD).write_text("# Model Card for Model ID\n\n[More Information Needed]\n")
    pushed(hub, run, "--repo", "me/blip2")
    assert b"More Information" not in hub.repos["me/blip2"].files[CARD]


def test_a_secret_in_a_file_stays_here(hub: HubServer, runs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs / "blip2", run)
    (run / "model" / "chat_template.jinja").write_text("my key is 0123456789abcdef")
    message = refused(hub, run, "--repo", "me/blip2", WANDB_API_KEY="0123456789abcdef")
    assert "chat_template.jinja: contains the secret in $WANDB_API_KEY; nothing was sent" in message
    assert "0123456789abcdef" not in message
    assert hub.repos == {}


texts = st.text("ab/\\~C: .\n", max_size=12)


@given(st.recursive(texts, lambda inner: st.lists(inner) | st.dictionaries(st.text("kl", min_size=1), inner)))
def test_what_is_published_names_no_place_on_this_disk(value: object) -> None:
    shown = public(value)
    assert public(shown) == shown
    for leaf, original in zip(_leaves(shown), _leaves(value), strict=True):
        is_place = (
            PurePosixPath(original).is_absolute() or PureWindowsPath(original).is_absolute() or original[:1] == "~"
        )
        assert leaf == original or is_place
        assert not (is_place and {"/", "\\", "~"} & {leaf[:1], *leaf[1:].replace("~", "")})


def _leaves(value: Any) -> list[str]:
    if isinstance(value, dict):
        value = list(value.values())
    return [leaf for entry in value for leaf in _leaves(entry)] if isinstance(value, list) else [value]
