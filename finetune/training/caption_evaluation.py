"""Scores while training: captions of a fixed sample of the validation split, scored by `metrics`."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather_object
from PIL.Image import Image

from finetune.config.recipe import CaptionEvaluation, Decoding
from finetune.models.families.base import Captioner
from finetune.models.generation import Generated, generate
from finetune.training.caption_evaluation_page import SCORES, captions_file, write_page
from metrics.common.errors import UserError
from metrics.common.files import make_folder, read_json_object, write_text
from metrics.measures.base import Measure
from metrics.photos.colours import to_rgb
from metrics.records.caption_sets import CaptionSet
from metrics.records.captions import CaptionRecord, write_records
from metrics.scoring.registry import choose_measures
from metrics.scoring.signature import signature
from metrics.scoring.suite import run_measures
from metrics.text.corpus import Corpus
from metrics.text.java import find_java

SHOWN = 16


@dataclass(frozen=True)
class EvaluatedCaptions:
    """What the model wrote after `step` optimizer steps: captions, their scores, photos of the first `SHOWN`."""

    step: int
    records: Sequence[CaptionRecord]
    scores: Mapping[str, float]
    photos: Sequence[Image]


def check_evaluation(evaluation: CaptionEvaluation) -> None:
    """Raise `UserError` if captions are to be scored by measures that cannot run here; only one process tries Java."""
    if evaluation.captions:
        chosen_measures(evaluation)
        if PartialState().is_main_process:
            find_java()


def chosen_measures(evaluation: CaptionEvaluation) -> list[Measure]:
    """The measures that the recipe names. Raises `UserError` if one of them needs a model or is not installed."""
    try:
        return choose_measures(evaluation.measures)
    except UserError as error:
        hint = "; while training, only measures that need no model of their own can be used"
        raise UserError(f"evaluation.measures: {str(error).removeprefix('--measure ')}{hint}") from error


def best_metric(evaluation: CaptionEvaluation | None) -> str:
    """The name in the training's log of the value that the best checkpoint is chosen by; the loss by default."""
    return f"eval_{evaluation.best.lower()}" if evaluation else "eval_loss"


def as_printed(logs: Mapping[str, float], measures: Sequence[str]) -> dict[str, float]:
    """The training's log with its measures' own names and x100, as reports and cards print them."""
    names = {f"eval_{name.lower()}": f"eval_{name}" for name in measures}
    return {names.get(key, key): 100 * value if key in names else value for key, value in logs.items()}


class CaptionEvaluator:
    """Captions a sample of the validation split as the recipe decodes, and scores the captions.

    The sample is drawn by `seed` alone. CIDEr's document frequencies come from the references of the whole split,
    whatever the size of the sample, as those of a slice come from the whole test set; all other measures use the sample
    only. Each process captions its share; the first one scores, and all return the same numbers.
    """

    def __init__(
        self,
        captioner: Captioner,
        prompt: str,
        evaluation: CaptionEvaluation,
        decoding: Decoding,
        validation: Any,
        folder: Path,
        seed: int,
    ) -> None:
        self.captioner, self.prompt, self.decoding = captioner, prompt, decoding
        self.evaluation, self.validation, self.folder = evaluation, validation, folder
        sample_size = min(evaluation.captions, len(validation))
        self.rows = sorted(random.Random(seed).sample(range(len(validation)), sample_size))  # noqa: S311
        self.last: EvaluatedCaptions | None = None
        _read_scores(self.folder / SCORES, 0)

    def evaluate(self, step: int) -> dict[str, float]:
        """Each measure's value (0..1, CIDEr 0..10) by its name; the captions are kept in the run's folder.

        The model must be in evaluation mode. Raises `UserError` if a measure fails.
        """
        captions = self._captions()
        scores: list[Any] = [None]
        if PartialState().is_main_process:
            scores = [self._score_and_keep(step, captions)]
        return dict(broadcast_object_list(scores)[0])

    def _captions(self) -> dict[int, Generated]:
        """Captions by row of the split; a process with fewer photos repeats one, so that all take the same steps."""
        state, size = PartialState(), self.decoding.batch_size
        share = self.rows[state.process_index :: state.num_processes]
        even = share + self.rows[: -(-len(self.rows) // state.num_processes) - len(share)]
        batches = [even[start : start + size] for start in range(0, len(even), size)]
        captions = [(row, caption) for batch in batches for row, caption in self._batch(batch)]
        return dict(gather_object(captions[: len(share)]))

    def _batch(self, rows: list[int]) -> list[tuple[int, Generated]]:
        images = [to_rgb(self.validation[row]["image"]) for row in rows]
        captions = generate(self.captioner, images, [self.prompt] * len(images), self.decoding)
        return list(zip(rows, captions, strict=True))

    def _score_and_keep(self, step: int, captions: Mapping[int, Generated]) -> dict[str, float]:
        references = self._references()
        sample = [references[row] for row in self.rows]
        records = [
            replace(item, caption=one.caption, logprob=one.logprob, tokens=one.tokens, finished=one.finished)
            for item, one in zip(sample, (captions[row] for row in self.rows), strict=True)
        ]
        scores, signatures = self._score(records, sample, references)
        make_folder(self.folder)
        write_records(captions_file(self.folder, step), records)
        _add_scores(self.folder / SCORES, step, scores, signatures)
        photos = [to_rgb(self.validation[row]["image"]) for row in self.rows[:SHOWN]]
        write_page(self.folder, photos)
        self.last = EvaluatedCaptions(step, records, scores, photos)
        return scores

    def _references(self) -> list[CaptionRecord]:
        columns = [name for name in ("id", "product_id", "file", "caption") if name in self.validation.column_names]
        return [
            CaptionRecord(
                row["id"],
                product_id=row["product_id"],
                image=row.get("file"),
                references=(row["caption"],),
                split="validation",
            )
            for row in self.validation.select_columns(columns)
        ]

    def _score(
        self, records: Sequence[CaptionRecord], sample: Sequence[CaptionRecord], split: Sequence[CaptionRecord]
    ) -> tuple[dict[str, float], dict[str, str]]:
        system = CaptionSet("evaluated", {record.id: record for record in records})
        in_split, in_sample = np.array(self.rows), np.arange(len(sample))
        counts = [len(item.references) for item in sample]
        scores, signatures = {}, {}
        for items, rows, of_split in ((split, in_split, True), (sample, in_sample, False)):
            measures = [one for one in chosen_measures(self.evaluation) if one.needs_whole_corpus == of_split]
            for measure, (measured,) in run_measures(measures, Corpus([system], items)) if measures else []:
                for name in set(measured.statistics) & set(self.evaluation.measures):
                    one = measured.statistics[name]
                    scores[name] = one.value(rows)
                    signatures[name] = signature(
                        name, measure.tokenizer, measured.signature, counts, one.per_item[rows]
                    )
        return {name: scores[name] for name in self.evaluation.measures}, signatures


def _add_scores(path: Path, step: int, scores: Mapping[str, float], signatures: Mapping[str, str]) -> None:
    """Add a step's scores; those of later steps, which a resumed run comes to again, are removed."""
    steps = _read_scores(path, step) | {str(step): scores}
    write_text(path, json.dumps({"signatures": signatures, "steps": steps}, indent=1))


def _read_scores(path: Path, before: int) -> dict[str, Any]:
    """Scores of the steps before one. Raises `UserError` if the file is damaged."""
    if not path.is_file():
        return {}
    remedy = "remove it: its page then begins with the next evaluation"
    record = read_json_object(path, remedy)
    try:
        return {key: {**values} for key, values in record["steps"].items() if int(key) < before}
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise UserError(f"{path}: damaged: expected scores by step under 'steps' ({error}); {remedy}") from error
