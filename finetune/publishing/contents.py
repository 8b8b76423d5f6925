"""What of a run goes to the Hub: weights, processor, recipe, record and card; no secrets, no places on this disk."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import yaml
from huggingface_hub import get_token
from safetensors import SafetensorError, safe_open

from metrics.common.errors import UserError
from metrics.common.files import read_bytes, sha256

ADAPTER, WEIGHTS = "adapter_config.json", "*.safetensors"
OWN_ADAPTER = Path("model", "adapter_model.safetensors")
MARK = "merged.json"
CARD, RECIPE, RECORD = "README.md", "recipe.yaml", "training.json"
VOCABULARIES = ("tokenizer.json", "vocab.json", "merges.txt")
PROCESSORS = ("processor_config.json", "preprocessor_config.json")
SUFFIXES = (".safetensors", ".json", ".jinja", ".model", ".txt")
SECRET = re.compile(r"TOKEN|API_?KEY|SECRET|PASSWORD")
SHORTEST_SECRET = 8
RECIPE_HEAD = "# As it was run by Lookbook {lookbook}; folders of that machine are shortened to their names.\n"
Content = Path | bytes


@dataclass(frozen=True)
class Trained:
    """A run's record and the folder of the model that is published: its own, or one that was merged from it.

    `mark`: what `merge` told of the merged one.
    """

    run: Path
    folder: Path
    record: dict[str, Any]
    mark: dict[str, Any] | None

    @property
    def recipe(self) -> dict[str, Any]:
        """The recipe as it was run."""
        return dict(self.record["recipe"])

    @property
    def kind(self) -> str:
        """`adapter`, `merged` (base and adapter in one) or `full`."""
        if self.mark is not None:
            return "merged"
        return "adapter" if "lora" in self.recipe["tune"].values() else "full"


def read_trained(run: Path, model: Path | None) -> Trained:
    """Read the record of a finished run.

    Raises `UserError` where run or model lack what a publication needs, or the model was not merged from the run.
    """
    record = read_object(run / RECORD, "train it to its end, or name its folder")
    if not isinstance(record.get("recipe"), dict):
        raise UserError(f"{run / RECORD}: holds no recipe; train again")
    mark = None if model is None else _read_mark(run, model)
    trained = Trained(run, model or run / "model", record, mark)
    if trained.kind == "adapter" and not (trained.folder / ADAPTER).is_file():
        raise UserError(f"{trained.folder}: no {ADAPTER} there, though the run trained an adapter; train again")
    weights = sorted(trained.folder.glob(WEIGHTS))
    if not weights:
        raise UserError(f"{trained.folder}: no {WEIGHTS} there; expected the model folder of a run, or a merged model")
    if not any((trained.folder / name).is_file() for name in PROCESSORS):
        raise UserError(f"{trained.folder}: the processor is missing: no {PROCESSORS[0]} there; train or merge again")
    for path in weights:
        try:
            with safe_open(path, "np"):
                pass
        except (OSError, SafetensorError) as error:
            raise UserError(f"{path}: damaged ({error}); train or merge again") from None
    return trained


def _read_mark(run: Path, model: Path) -> dict[str, Any]:
    """What `merge` left in its folder. Raises `UserError` where it did not make `model` from the run's adapter."""
    own = run / OWN_ADAPTER
    if not own.is_file():
        raise UserError(f"--model {model}: {run} has no adapter that it could be merged from: no {own}; leave it out")
    remedy = f"the run's scores are not those of that model; make it by `python -m finetune merge {run} --out FOLDER`"
    mark = read_object(model / MARK, f"expected a model that `merge` made of {run}: {remedy}")
    if mark.get("adapter_sha256") != sha256(own):
        raise UserError(
            f"{model / MARK}: made of another adapter: expected one with the SHA-256 {sha256(own)}, that of {own}, "
            f"found {mark.get('adapter_sha256')}: {remedy}"
        )
    return mark


def read_object(path: Path, missing: str) -> dict[str, Any]:
    """A JSON object; `missing` says what to do where there is no such file."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; {missing}")
    try:
        return dict(json.loads(read_bytes(path)))
    except (ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: expected a JSON object: {error}") from None


def publication(trained: Trained, card: str) -> dict[str, Content]:
    """Everything that is uploaded, by its path in the repository: a file as it stands, or new content.

    Raises `UserError` where a text holds a secret of the environment or the home folder.
    """
    record = public(trained.record)
    head = RECIPE_HEAD.format(lookbook=record["versions"]["lookbook"])
    recipe = head + yaml.safe_dump(record["recipe"], sort_keys=False, allow_unicode=True)
    files: dict[str, Content] = {CARD: card.encode(), RECIPE: recipe.encode(), RECORD: _json(record)}
    files |= {path.name: _cleaned(path) for path in _published(trained.folder)}
    _refuse_private(trained, files)
    return dict(sorted(files.items()))


def left_out(folder: Path) -> list[str]:
    """Files of a model's folder that are not published: notes and whatever is no weights, processor or settings."""
    kept = set(_published(folder))
    return sorted(path.name for path in folder.iterdir() if path not in kept and path.name != CARD)


def public(value: Any) -> Any:
    """The same with every absolute path shortened to its last name; a prompt stays as it is."""
    if isinstance(value, Mapping):
        return {key: entry if key == "prompt" else public(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [public(entry) for entry in value]
    if isinstance(value, str) and _is_place(value):
        return re.split(r"[/\\]", value.rstrip("/\\"))[-1].lstrip("~")
    return value


def _is_place(text: str) -> bool:
    return PurePosixPath(text).is_absolute() or PureWindowsPath(text).is_absolute() or text.startswith("~")


def _published(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and path.suffix in SUFFIXES)


def _cleaned(path: Path) -> Content:
    """Settings name the base by its folder where it has one; a vocabulary is left as it is."""
    if path.name not in (ADAPTER, "config.json", "tokenizer_config.json"):
        return path
    content = read_object(path, "")
    return path if public(content) == content else _json(public(content))


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


def _refuse_private(trained: Trained, files: Mapping[str, Content]) -> None:
    """The last look at what leaves this machine."""
    private = {
        what: re.compile(re.escape(text.encode()) + rb"(?![\w.-])") for what, text in _private(trained.run).items()
    }
    readable = {name: content for name, content in files.items() if not name.endswith(".safetensors")}
    for name in readable.keys() - set(VOCABULARIES):
        content = readable[name]
        text = content if isinstance(content, bytes) else read_bytes(content)
        for what, pattern in private.items():
            if pattern.search(text):
                raise UserError(f"{name}: holds {what}; nothing was sent. Take it out there and start again")


def _private(run: Path) -> dict[str, str]:
    """What must not be read outside, by what it is."""
    named = {f"the secret in ${name}": value for name, value in os.environ.items() if SECRET.search(name.upper())}
    secrets = {what: text for what, text in named.items() if len(text) >= SHORTEST_SECRET}
    places = {"the path of the home folder": str(Path.home()), "the path of the run": str(run.resolve())}
    everything = secrets | places | {"the Hub's token": get_token() or ""}
    return {what: text for what, text in everything.items() if text not in ("", "/")}
