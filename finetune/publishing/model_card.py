"""The model card: the page of a run on the Hub, every figure from its record and its reports."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from finetune.config.overrides import flat
from finetune.models.families import FAMILIES
from finetune.publishing.contents import Trained, public
from finetune.publishing.licences import CATALOGUES, CatalogueTerms, base_licence
from finetune.runs.folder import RunFolder
from metrics.common.files import read_json_object
from metrics.common.formatting import duration
from metrics.common.templates import render
from metrics.records.json_reader import JsonReader
from metrics.records.run import TrainingRecord

TASK = "image-text-to-text"  # the pipeline of transformers 5 that loads these models
OWN_LICENCE = "other"
# Measures by the names that the Hub lists metrics under; the names of the paper and the signatures say which variant.
HUB_METRICS = {
    "METEOR": "meteor",
    "ROUGE-L": "rouge",
    "CIDEr": "cider",
    "SPICE": "spice",
    "MAP": "precision",
    "MAR": "recall",
    "Attr-F1": "f1",
    "Acc": "accuracy",
    "CLIPScore": "clip_score",
    "RefCLIPScore": "clip_score",
} | dict.fromkeys(("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4"), "bleu")


@dataclass(frozen=True)
class Scored:
    """One catalogue of a run: its section of the recipe, its report, and the systems of the report by kind."""

    section: Mapping[str, Any]
    report: Mapping[str, Any]
    systems: Mapping[str, Mapping[str, Any]]

    @property
    def name(self) -> str:
        """Its name in the recipe."""
        return str(self.section.get("name") or self.section["catalogue"])

    @property
    def data(self) -> CatalogueTerms:
        """What is known of the catalogue's source and terms."""
        return CATALOGUES[self.section["catalogue"]]

    @property
    def title(self) -> str:
        """The catalogue's full name."""
        if self.section["catalogue"] != "folder":
            return self.data.name
        name = self.section.get("dataset") or self.section.get("name") or self.section["folder"]
        return f'the catalogue "{name}"'

    @property
    def trained(self) -> Mapping[str, Any]:
        """The system that is published."""
        return self.systems["finetuned"]

    @property
    def slices(self) -> dict[str, int]:
        """Slices that have items, with their number."""
        return {name: count for name, count in self.report["slices"].items() if count}

    def cider(self, kind: str, part: str) -> float | None:
        """CIDEr of a system on a slice; None if it was not measured."""
        if kind not in self.systems or not self.report["slices"].get(part) or "CIDEr" not in self.report["measures"]:
            return None
        return float(self.systems[kind]["scores"][part]["CIDEr"]["value"])


def write_card(trained: Trained, repo: str) -> str:
    """The card of a run as published under `repo` ("owner/name"), its metadata checked by huggingface_hub.

    Raises `UserError` if the run was not scored.
    """
    scored = read_scored(trained)
    recipe = public(trained.recipe)
    family, (base, revision) = recipe["model"]["family"], _base(recipe["model"])
    is_local = _is_folder(trained.recipe["model"])
    licence, note = (None, "a folder, no model of the Hub") if is_local else base_licence(family, base, revision)
    view = {
        "repo": repo,
        "kind": trained.kind,
        "recipe": recipe,
        "record": public(trained.record.to_json()),
        "base": base,
        "base_is_local": is_local,
        "licence": licence,
        "licence_note": note,
        "parts": list(_parts(trained.recipe["model"])),
        "scored": scored,
        "usage": usage(trained, repo, scored[0].trained["run"]),
        "mark": trained.mark,
        "start": _start(trained.record),
        "figures": _figures(trained),
        "settings": list(_settings(trained)),
        "share": _trained_share(trained.record.parameters),
    }
    text = render("model_card.md.j2", view, "finetune", {"link": _link})
    metadata = _metadata(trained, repo, scored, None if is_local else base, licence)
    card = ModelCard(f"---\n{metadata.to_yaml()}\n---\n\n{text}")
    return str(card)


def _base(model: Mapping[str, Any]) -> tuple[str, str | None]:
    """Name and revision of the base, which a recipe may also write `owner/name@revision`."""
    name, _, revision = str(model["base"]).partition("@")
    return name, model.get("revision") or revision or None


def _is_folder(model: Mapping[str, Any]) -> bool:
    """Whether the base is a folder, not a model of the Hub."""
    base = str(model["base"])
    return model.get("tiny") is not None or base.count("/") != 1 or base.startswith((".", "~")) or Path(base).exists()


def _parts(model: Mapping[str, Any]) -> Iterator[tuple[str, str | None, str]]:
    """The published models in a base that was put together on the spot: name, licence, and what to add to it."""
    for source in filter(None, map((model.get("tiny") or {}).get, ("encoder", "decoder"))):
        part = {"base": source}
        name, revision = _base(public(part))
        if _is_folder(part) and name not in FAMILIES[model["family"]].licences:
            yield name, None, "a folder, no model of the Hub"
        else:
            yield name, *base_licence(model["family"], name, revision)


def read_scored(trained: Trained) -> list[Scored]:
    """The reports of a run, one for each catalogue. Raises `UserError` if one is missing or of another run."""
    data = public(trained.recipe["data"])
    if isinstance(data, dict):
        return [_scored(data, RunFolder(trained.run).report_json)]
    folders = [RunFolder(trained.run / (section.get("name") or section["catalogue"])) for section in data]
    return [_scored(section, folder.report_json) for section, folder in zip(data, folders, strict=True)]


def _scored(section: Mapping[str, Any], path: Path) -> Scored:
    missing = "a model card shows scores: `lookbook run RECIPE` captions and scores what is trained"
    report = JsonReader(read_json_object(path, missing), str(path), missing)
    systems: dict[str, JsonReader] = {}
    for system in report.each("systems"):
        systems.setdefault(system.text("kind") or "", system)
    if "finetuned" not in systems:
        raise report.error("scores no fine-tuned system")
    _refuse_without(report, "slices", "measures")
    _refuse_without(systems["finetuned"], "run")
    for system in systems.values():
        _refuse_without(system.inside("scores"), *[part for part, items in report.mapping("slices").items() if items])
    return Scored(section, report.values, {kind: system.values for kind, system in systems.items()})


def _refuse_without(reader: JsonReader, *keys: str) -> None:
    absent = [key for key in keys if not reader.values.get(key)]
    if absent:
        raise reader.error(f"expected {', '.join(absent)} in it, found none")


def usage(trained: Trained, repo: str, run: Mapping[str, Any]) -> str:
    """A program that captions `photo.jpg` as the scored captions were written (`run`: their `run.json`)."""
    model = public(trained.recipe)["model"]
    is_adapter = trained.kind == "adapter"
    source, revision = _base(model) if is_adapter else (repo, None)
    dtype = model["dtype"] if is_adapter else _saved_dtype(trained.folder) or model["dtype"]
    family = FAMILIES[model["family"]]
    view = {
        "repo": repo,
        "source": source,
        "is_adapter": is_adapter,
        "revision": revision,
        "dtype": dtype,
        "setup": family.in_float32 if dtype != "float32" else (),
        "stop_token": family.stop_token,
        "registered_by": family.registered_by,
        "prompt": run["prompt"],
        "decoding": run["decoding"],
    }
    return render("usage.py.j2", view, "finetune", {"python": _string}).strip()


def _saved_dtype(folder: Path) -> str | None:
    """The number format that a whole model was saved in."""
    config = read_json_object(folder / "config.json", "a whole model needs it; train or merge again")
    dtype: str | None = config.get("dtype")
    return dtype


def _metadata(
    trained: Trained, repo: str, scored: Sequence[Scored], base: str | None, licence: str | None
) -> ModelCardData:
    results = [result for part in scored for result in _results(part)]
    free = licence and all(part.section["catalogue"] == "demo" for part in scored)
    return ModelCardData(
        base_model=base,
        base_model_relation=base and ("adapter" if trained.kind == "adapter" else "finetune"),
        datasets=[part.section["dataset"] for part in scored if part.section.get("dataset")] or None,
        library_name="peft" if trained.kind == "adapter" else "transformers",
        pipeline_tag=TASK,
        language=trained.recipe.get("language", "en"),
        license=licence if free else OWN_LICENCE,
        license_name=None if free else "see-terms-below",
        tags=["image-captioning", "fashion", "lookbook", trained.recipe["model"]["family"]],
        metrics=list(dict.fromkeys(result.metric_type for result in results)),
        model_name=repo.partition("/")[2],
        eval_results=results,
    )


def _results(scored: Scored) -> list[EvalResult]:
    """Every measure on every slice, x100 as papers print it, with interval and signature: one block a catalogue."""
    return [
        EvalResult(
            task_type=TASK,
            task_name="Image captioning",
            dataset_type=re.sub(r"[^a-z0-9]+", "-", scored.title.lower()).strip("-"),
            dataset_name=scored.title,
            dataset_config=scored.name,
            dataset_split="test",
            metric_type=HUB_METRICS.get(measure, measure.lower()),
            metric_name=measure if part == "all" else f"{measure}, {part} captions",
            metric_config=part,
            metric_value=_x100(score["value"]),
            metric_args={
                "signature": score["signature"],
                "interval_95": [_x100(bound) for bound in score["interval"]],
                "scale": 100,
            },
        )
        for part in scored.slices
        for measure, score in scored.trained["scores"][part].items()
    ]


def _x100(value: float) -> float:
    return round(100 * value, 2)


def _figures(trained: Trained) -> list[tuple[str, str]]:
    """How it was trained, a row each."""
    record = trained.record
    hardware, versions, history = record.hardware, record.versions, record.loss_history
    last, losses = history[-1], [entry["eval_loss"] for entry in history if "eval_loss" in entry]
    best_by = trained.recipe.get("evaluation", {}).get("best", "loss")
    weights = f"weights kept of step {record.best_step or last['step']}, best by validation {best_by}"
    device = f"{hardware['gpus']} x {hardware['gpu']}" if hardware["gpu"] else hardware["cpu"]
    return [
        *[(f"Time ({what.removesuffix('_s').replace('_', ' ')})", duration(s)) for what, s in record.times.items()],
        ("Optimizer steps", f"{last['step']:,} ({last['epoch']:.1f} epochs); {weights}"),
        ("Lowest validation loss", f"{min(losses):.4f} nats a token" if losses else "not measured"),
        ("Hardware", f"{device}, {record.processes} process(es)"),
        ("Versions", ", ".join(f"{name} {number}" for name, number in versions.items())),
        ("Code", f"Lookbook {versions['lookbook']}, commit {record.git or 'unknown'}; seed {record.seed}"),
    ]


def _settings(trained: Trained) -> Iterator[tuple[str, str]]:
    """The recipe's settings of optimisation, a dotted key and its value each; the micro-batch that was found to fit."""
    recipe = public(trained.recipe)
    micro_batch = trained.record.micro_batch_size
    used = {"micro_batch_size": micro_batch} if micro_batch else {}
    sections = {name: recipe.get(name, {}) for name in ("augmentation", "training", "labels", "evaluation")}
    for key, value in flat(sections | {"training": sections["training"] | used}):
        yield key, ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _start(record: TrainingRecord) -> dict[str, Any] | None:
    """The adapter that a run began from, named after its run's folder if it was in one on this disk."""
    start = record.init_from
    if not start:
        return None
    name = public(start["adapter"])
    adapter = public(str(Path(start["adapter"]).parent)) if name == "model" else name
    return {"adapter": adapter, "sha256": start["sha256"], "known": start.get("is_known")}


def _trained_share(parameters: Mapping[str, Mapping[str, int]]) -> float:
    total = sum(tower["total"] for tower in parameters.values())
    return sum(tower["trainable"] for tower in parameters.values()) / total


def _string(text: str) -> str:
    """A Python string literal, in double quotes."""
    return json.dumps(text, ensure_ascii=False)


def _link(source: str) -> str:
    return f"<{source}>" if source.startswith("https://") else source
