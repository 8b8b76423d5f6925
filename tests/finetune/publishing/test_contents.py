"""What of a run's folder may leave this machine, without a Hub."""

import shutil
from pathlib import Path

import pytest

from finetune.publishing.contents import left_out, publication, read_trained
from metrics.common.errors import UserError

RUN = Path(__file__).parents[2] / "fixtures" / "unfinished_runs" / "unfinished" / "trained"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return shutil.copytree(RUN, tmp_path / "run")


def test_only_files_that_we_know_are_sent_and_never_through_links(run: Path, tmp_path: Path) -> None:
    sent = publication(read_trained(run, None), "card").keys()
    assert {"adapter_model.safetensors", "adapter_config.json", "tokenizer.json", "training.json"} <= sent
    private = tmp_path / "id_rsa"
    private.write_text("private")
    model = run / "model"
    for name in ("notes.txt", "customers.json", "model.safetensors", "merged.json", "config.json"):
        (model / name).write_text("private")
    for name in ("extra.txt", "preprocessor_config.json", "chat_template.jinja"):
        (model / name).symlink_to(private)
    (model / "vocab.json").mkdir()
    trained = read_trained(run, None)
    assert publication(trained, "card").keys() == sent
    assert left_out(trained) == [
        "chat_template.jinja (a symbolic link)",
        "config.json",
        "customers.json",
        "extra.txt (a symbolic link)",
        "merged.json",
        "model.safetensors",
        "notes.txt",
        "preprocessor_config.json (a symbolic link)",
        "vocab.json",
    ]


@pytest.mark.parametrize(
    ("linked", "said"),
    [
        ("model", "model: a symbolic link, through which nothing is sent"),
        ("model/adapter_model.safetensors", "no adapter_model.safetensors there"),
        ("model/processor_config.json", "the processor is missing"),
    ],
)
def test_a_link_in_the_place_of_what_is_needed_is_refused(run: Path, tmp_path: Path, linked: str, said: str) -> None:
    shutil.move(run / linked, tmp_path / "elsewhere")
    (run / linked).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=said):
        read_trained(run, None)


@pytest.mark.parametrize("name", ["SHOP_PASSWORD", "AZURE_STORAGE_KEY", "client_secret", "GITHUB_TOKEN"])
def test_a_secret_in_a_known_file_stays_here(run: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "5ec2e7-of-the-shop")
    (run / "model" / "chat_template.jinja").write_text("The key is 5ec2e7-of-the-shop.")
    with pytest.raises(UserError, match=rf"chat_template.jinja: contains the secret in \${name}; nothing was sent"):
        publication(read_trained(run, None), "card")
