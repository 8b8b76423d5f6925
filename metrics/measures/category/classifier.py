"""Training the category classifier of the measure Acc: its data, its folder and its record.

The classifier is that of the published results (omgwenxx/multimodal-fashion-analysis), a BERT with dropout and one
linear layer; its ReLU on the logits is left out: it would make all categories with negative logits equally probable.
"""

import hashlib
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from metrics.common.errors import UserError
from metrics.common.files import make_folder, read_bytes, read_json_object, write_text
from metrics.common.locks import alone
from metrics.common.ownership import Contents, refuse_foreign
from metrics.common.screen import say
from metrics.common.version import installed_version
from metrics.encoders.packages import missing_packages
from metrics.measures.category.examples import Examples, named, read_examples
from metrics.measures.category.settings import ClassifierSettings

RECORD = "classifier.json"
_WORK = "unfinished"
PACKAGES = ("torch", "transformers", "accelerate")


def train_classifier(
    train: Path, validation: Path, out: Path, settings: ClassifierSettings, test: Path | None = None
) -> Path:
    """Train a classifier on references files and keep it in `out`; return `out`.

    Equal pairs of caption and category are trained once, weighted by their count (weighted cross-entropy of mean
    weight 1), so that the objective equals that of all rows. `out` becomes an ordinary transformers folder that
    also has a `classifier.json`. A finished classifier is left as it is; an interrupted training resumes from the last
    complete epoch; if another process is training in `out`, this one waits for it.

    Raises:
        UserError: when packages or files are missing, there are fewer than two categories, the base cannot be used,
            `out` has other content, such as a classifier of other data or settings, or cannot be written.
    """
    if absent := missing_packages(*PACKAGES):
        raise UserError(absent)
    data = {"train": read_examples(train), "validation": read_examples(validation)}
    data |= {"test": read_examples(test)} if test else {}
    if len(data["train"].categories) < 2:
        raise UserError(f"{train}: all records have the category {data['train'].categories[0]!r}; two are needed")
    accounts = _accounts(data)
    record = {"finished": False, "settings": asdict(settings), "data": accounts}
    if _is_finished(out, record):
        say(f"{out}: this classifier is trained already")
        return out
    say(_describe(accounts))
    with alone(out, f"{out}: waiting for another process that is training it"):
        if not _is_finished(out, record):  # the other may have trained it
            _refuse_others(out)
            if (read_record(out) or {}).get("finished"):
                print(f"note: {out}: its weights are not those that were trained; it is trained again", file=sys.stderr)
            _train(data, settings, out, record)
            shutil.rmtree(out / _WORK)
    return out


def read_record(folder: Path) -> dict[str, Any] | None:
    """Return the content of `classifier.json`, None if there is no such file or it is not of `train-classifier`.

    Raises:
        UserError: when the file cannot be read or is damaged.
    """
    path = folder / RECORD
    if not path.is_file():
        return None
    record = read_json_object(path, "remove it if the classifier is not of train-classifier, else train it again")
    try:
        return record if _is_ours(record) else None
    except (KeyError, TypeError, AttributeError):
        return None


def _is_ours(record: Mapping[str, Any]) -> bool:
    """Whether all keys that are read have the right types; raises KeyError and the like if some are missing."""
    texts = [record["settings"]["base"]]
    for account in record["data"].values():
        texts += [account["sha256"], *account["unknown_categories"]]
    shares, counts = [*record.get("test_accuracy", {}).values()], []
    if record["finished"]:
        shares += record["validation_accuracy"]
        counts = [record["best_epoch"], *record["cut"].values()]
    return (
        isinstance(record["finished"], bool)
        and all(isinstance(text, str) for text in texts)
        and all(isinstance(share, int | float) and 0 <= share <= 1 for share in shares)
        and all(type(count) is int for count in counts)
    )


def classifier_signature(folder: Path, labels: Sequence[str], base: str) -> tuple[str, str]:
    """Return what of a classifier determines a score: a hash of labels and weights, and the name of its base."""
    digest = hashlib.sha256(json.dumps(labels).encode())
    for path in sorted(folder.glob("*.safetensors")):
        digest.update(read_bytes(path))
    return f"classifier:{digest.hexdigest()[:8]}", f"base:{'/'.join(Path(base).parts[-2:])}"


def _train(data: Mapping[str, Examples], settings: ClassifierSettings, out: Path, record: Mapping[str, Any]) -> None:
    from metrics.encoders.pretrained import quiet  # noqa: PLC0415
    from metrics.measures.category.training import accuracy, disk_errors, fit, open_base  # noqa: PLC0415

    with quiet(), disk_errors(out):
        classifier = open_base(data["train"], settings)
        make_folder(out)
        _write(out, record)
        cut = {name: classifier.too_long([row.caption for row in part.rows]) for name, part in data.items()}
        history = fit(classifier, data["train"], data["validation"], settings, out / _WORK)
        classifier.model.save_pretrained(out)
        classifier.tokenizer.save_pretrained(out)
    results: dict[str, Any] = {
        "validation_accuracy": history,
        "best_epoch": history.index(max(history)) + 1,
        "cut": cut,
    }
    if "test" in data:
        results["test_accuracy"] = accuracy(classifier, data["test"].rows, "test")
    versions = {name: version(name) for name in (*PACKAGES, "tokenizers")} | {"lookbook": installed_version()}
    signature = "|".join(classifier_signature(out, classifier.labels, settings.base))
    further = {"finished": True, "labels": classifier.labels, "signature": signature, "versions": versions}
    _write(out, {**record, **further, **results})


def _is_finished(out: Path, record: Mapping[str, Any]) -> bool:
    """Whether `out` has this classifier, finished; raises `UserError` if it has another one."""
    former = read_record(out)
    if former is None:
        return False
    differing = _differing(former, record)
    if differing:
        raise UserError(f"{out}: has a classifier of other {'; '.join(differing)}; name another --out or remove it")
    return bool(former["finished"]) and _is_as_recorded(out, former)


def _is_as_recorded(out: Path, record: Mapping[str, Any]) -> bool:
    """Whether the weights are those that its training wrote."""
    signature = classifier_signature(out, record.get("labels", ()), record["settings"]["base"])
    return "|".join(signature) == record.get("signature")


def _refuse_others(out: Path) -> None:
    if read_record(out) is None:
        refuse_foreign(out, Contents({}), "name another --out")


def _differing(former: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    old, new = _identity(former), _identity(asked)
    return [
        f"{key} ({old.get(key, 'none')} there, {new.get(key, 'none')} asked for)"
        for key in dict.fromkeys((*new, *old))
        if old.get(key) != new.get(key)
    ]


def _identity(record: Mapping[str, Any]) -> dict[str, Any]:
    data = {f"{name} data": account["sha256"][:8] for name, account in record.get("data", {}).items()}
    return {**record.get("settings", {}), **data}


def _accounts(data: Mapping[str, Examples]) -> dict[str, Any]:
    known = data["train"].categories
    accounts = {}
    for name, examples in data.items():
        unknown = sorted(set(examples.categories) - set(known))
        lost = sum(row.category in unknown for row in examples.rows)
        accounts[name] = examples.account() | {"unknown_categories": unknown, "of_unknown_category": lost}
    return accounts


def _describe(accounts: Mapping[str, Any]) -> str:
    lines = []
    for name, account in accounts.items():
        lines.append(
            f"{name}: {account['examples']:,} captions, {account['distinct']:,} distinct with their category, of "
            f"{account['categories']} categories"
        )
        lines += [f"  {len(ids):>9,}  with {why}, left out: {named(ids)}" for why, ids in account["left_out"].items()]
        if account["unknown_categories"]:
            unknown = named(account["unknown_categories"])
            lines.append(
                f"  {account['of_unknown_category']:>9,}  of categories that training lacks, counted wrong: {unknown}"
            )
    return "\n".join(lines)


def _write(out: Path, record: Mapping[str, Any]) -> None:
    write_text(out / RECORD, json.dumps(record, indent=1))
