"""The files of a run that go to the Hub: weights, processor, recipe, record and card; no secrets, no local paths."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import yaml
from huggingface_hub import get_token
from safetensors import SafetensorError, safe_open

from finetune.models.processor_files import PROCESSOR_CONFIG, PROCESSOR_FILES, TOKENIZER_FILES, VOCABULARIES
from finetune.runs.claim import recipe_values
from finetune.runs.folder import RunFolder
from finetune.runs.training_record import read_training, trained_recipe
from metrics.common.errors import UserError
from metrics.common.files import one_line, read_bytes, read_json_object, sha256
from metrics.common.secrets import secrets
from metrics.records.run import TrainingRecord

ADAPTER, ADAPTER_WEIGHTS, MARK = "adapter_config.json", "adapter_model.safetensors", "merged.json"
CARD, RECIPE, RECORD = "README.md", "recipe.yaml", "training.json"
# What we and transformers write into the folder of a model: nothing else is ever sent.
WHOLE_WEIGHTS = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors")
OF_WHOLE = ("config.json", "generation_config.json", "model.safetensors.index.json", MARK)
NEEDED = ("versions", "hardware", "parameters", "loss_history")  # of a run's record, for its card
RECIPE_HEAD = "# As it was run by Lookbook {lookbook}; the paths of folders are shortened to their names.\n"
Content = Path | bytes


@dataclass(frozen=True)
class Trained:
    """A run's record and the folder of the model that is published: its own, or one that was merged from it.

    `mark`: what `merge` wrote of the merged one.
    """

    run: Path
    folder: Path
    record: TrainingRecord
    mark: dict[str, Any] | None

    @property
    def recipe(self) -> dict[str, Any]:
        """The recipe as it was run."""
        return dict(self.record.recipe)

    @property
    def kind(self) -> str:
        """`adapter`, `merged` (base and adapter in one) or `full`."""
        if self.mark is not None:
            return "merged"
        return "adapter" if "lora" in self.recipe["tune"].values() else "full"


def read_trained(run: Path, model: Path | None) -> Trained:
    """Read the record of a finished run.

    Raises `UserError` if run or model lack what a publication needs, or the model was not merged from the run.
    """
    files = RunFolder(run)
    record = _read_record(files)
    mark = None if model is None else _read_mark(files, model)
    trained = Trained(run, model or files.model, record, mark)
    _check_model(trained)
    return trained


def _read_record(run: RunFolder) -> TrainingRecord:
    """The record with its whole recipe."""
    record = read_training(run.path)
    if record is None:
        raise UserError(f"{run.training}: no such file; train it to its end, or name its folder")
    absent = [name for name in NEEDED if not getattr(record, name)]
    if absent:
        raise UserError(f"{run.training}: expected {', '.join(absent)} in it, found none; {record.REMEDY}")
    return replace(record, recipe=recipe_values(trained_recipe(record, str(run.training))))


def _check_model(trained: Trained) -> None:
    """Raise `UserError` if weights or processor are missing or damaged."""
    folder = trained.folder
    if trained.kind == "adapter" and not (folder / ADAPTER).is_file():
        raise UserError(f"{folder}: no {ADAPTER} there, though the run trained an adapter; train again")
    if folder.is_symlink():
        raise UserError(f"{folder}: a symbolic link, through which nothing is sent; put the folder itself there")
    published = _published(trained)
    weights = [path for path in published if path.suffix == ".safetensors"]
    if not weights:
        named = ADAPTER_WEIGHTS if trained.kind == "adapter" else "model*.safetensors"
        raise UserError(f"{folder}: no {named} there; expected the model folder of a run, or a merged model")
    if folder / PROCESSOR_CONFIG not in published:
        raise UserError(f"{folder}: the processor is missing: no {PROCESSOR_CONFIG} there; train or merge again")
    for path in weights:
        try:
            with safe_open(path, "np"):
                pass
        except SafetensorError as error:
            raise UserError(f"{path}: damaged ({error}); train or merge again") from error


def _read_mark(run: RunFolder, model: Path) -> dict[str, Any]:
    """The notes that `merge` left in its folder. Raises `UserError` if it made `model` of another adapter."""
    own = run.model / ADAPTER_WEIGHTS
    if not own.is_file():
        raise UserError(
            f"--model {model}: {run.path} has no adapter that it could be merged from: no {own}; leave it out"
        )
    remedy = f"the run's scores are not those of that model; make it with `lookbook merge {run.path} --out FOLDER`"
    mark = read_json_object(model / MARK, f"expected a model that `merge` made of {run.path}: {remedy}")
    if mark.get("adapter_sha256") != sha256(own):
        raise UserError(
            f"{model / MARK}: made of another adapter: expected one with the SHA-256 {sha256(own)}, that of {own}, "
            f"found {mark.get('adapter_sha256')}: {remedy}"
        )
    return mark


def publication(trained: Trained, card: str) -> dict[str, Content]:
    """Everything that is uploaded, by its path in the repository: a file as it is, or new content.

    Raises `UserError` if a text contains a secret of the environment or the path of the home folder.
    """
    record = public(trained.record.to_json())
    head = RECIPE_HEAD.format(lookbook=record["versions"].get("lookbook", "of an unknown version"))
    recipe = head + yaml.safe_dump(record["recipe"], sort_keys=False, allow_unicode=True)
    files: dict[str, Content] = {CARD: card.encode(), RECIPE: recipe.encode(), RECORD: _json(record)}
    files |= {path.name: _cleaned(path) for path in _published(trained)}
    _refuse_private(trained, files)
    return dict(sorted(files.items()))


def left_out(trained: Trained) -> list[str]:
    """What is in the model's folder and is not published: files that we do not know, folders, symbolic links."""
    others = set(trained.folder.iterdir()) - {*_published(trained), trained.folder / CARD}
    return sorted(f"{path.name} (a symbolic link)" if path.is_symlink() else path.name for path in others)


def public(value: Any) -> Any:
    """The same with every absolute path shortened to its last name; a prompt is unchanged."""
    if isinstance(value, Mapping):
        return {key: entry if key == "prompt" else public(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [public(entry) for entry in value]
    if isinstance(value, str) and _is_local_path(value):
        return re.split(r"[/\\]", value.rstrip("/\\"))[-1].lstrip("~")
    return value


def _is_local_path(text: str) -> bool:
    return PurePosixPath(text).is_absolute() or PureWindowsPath(text).is_absolute() or text.startswith("~")


def _published(trained: Trained) -> list[Path]:
    """The model's own files, each by a name that we or transformers give."""
    files = (path for path in trained.folder.iterdir() if path.is_file() and not path.is_symlink())
    return sorted(path for path in files if _is_known(path.name, trained.kind))


def _is_known(name: str, kind: str) -> bool:
    if name in (*TOKENIZER_FILES, *PROCESSOR_FILES):
        return True
    if kind == "adapter":
        return name in (ADAPTER, ADAPTER_WEIGHTS)
    return name in OF_WHOLE or WHOLE_WEIGHTS.fullmatch(name) is not None


def _cleaned(path: Path) -> Content:
    """Settings without local paths; a vocabulary is left as it is."""
    if path.name not in (ADAPTER, "config.json", "tokenizer_config.json"):
        return path
    content = read_json_object(path, "train or merge again")
    return path if public(content) == content else _json(public(content))


def _json(value: Any) -> bytes:
    return (one_line(json.dumps(value, indent=1, ensure_ascii=False)) + "\n").encode()


def _refuse_private(trained: Trained, files: Mapping[str, Content]) -> None:
    """The last check of what leaves this machine."""
    private = _private(trained.run)
    readable = {name: content for name, content in files.items() if not name.endswith(".safetensors")}
    for name in readable.keys() - set(VOCABULARIES):
        content = readable[name]
        text = content if isinstance(content, bytes) else read_bytes(content)
        for what, pattern in private.items():
            if pattern.search(text):
                raise UserError(f"{name}: contains {what}; nothing was sent. Remove it there and start again")


def _private(run: Path) -> dict[str, re.Pattern[bytes]]:
    """Patterns of texts that must not leave this machine, by what they are; places match as whole paths."""
    hidden = {f"the secret in ${name}": value for name, value in secrets().items()}
    hidden |= {"the Hub's token": get_token() or ""}
    places = {"the path of the home folder": str(Path.home()), "the path of the run": str(run.resolve())}
    patterns = {what: re.escape(text.encode()) for what, text in hidden.items() if text}
    patterns |= {what: re.escape(text.encode()) + rb"(?![\w.-])" for what, text in places.items() if text != "/"}
    return {what: re.compile(pattern) for what, pattern in patterns.items()}
