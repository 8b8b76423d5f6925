"""Scores while training: captions for a fixed sample of the validation split, scored by `metrics`."""

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

from finetune.config.recipe import CaptionEvaluation, Recipe
from finetune.models.families.base import Captioner
from finetune.models.generation import Generated, generate
from finetune.training.caption_evaluation_page import SCORES, captions_file, write_page
from metrics.common.errors import UserError
from metrics.common.files import make_folder, write_text
from metrics.common.images import to_rgb
from metrics.measures.base import Measure
from metrics.records.captions import CaptionRecord, write_records
from metrics.records.systems import CaptionSet
from metrics.scoring.registry import choose_measures
from metrics.scoring.signature import signature
from metrics.scoring.suite import run_measures
from metrics.text.corpus import Corpus
from metrics.text.java import find_java

JUDGEMENTS = "judgements"
SHOWN = 16


@dataclass(frozen=True)
class Judgement:
    """What the model wrote after `step` optimizer steps: captions, their scores, photos of the first `SHOWN`."""

    step: int
    records: Sequence[CaptionRecord]
    scores: Mapping[str, float]
    photos: Sequence[Image]


def check_evaluation(evaluation: CaptionEvaluation) -> None:
    """Raise `UserError` where captions are to be scored by what cannot run here; Java is tried on one process alone."""
    if evaluation.captions:
        chosen_measures(evaluation)
        if PartialState().is_main_process:
            find_java()


def chosen_measures(evaluation: CaptionEvaluation) -> list[Measure]:
    """The measures that the recipe names. Raises `UserError` where one of them needs a model or is not installed."""
    try:
        return choose_measures(evaluation.measures)
    except UserError as error:
        hint = "; while training only measures that need no model of their own can judge"
        raise UserError(f"evaluation.measures: {str(error).removeprefix('--measure ')}{hint}") from None


def best_metric(evaluation: CaptionEvaluation | None) -> str:
    """The name in the training's log of what the best checkpoint is chosen by, the loss where nothing else is told."""
    return f"eval_{evaluation.best.lower()}" if evaluation else "eval_loss"


def judge_of(recipe: Recipe, captioner: Captioner, validation: Any) -> "Judge | None":
    """The judge that the recipe asks for; None where no captions are to be written."""
    return Judge(captioner, recipe, validation) if recipe.evaluation.captions else None


class Judge:
    """Captions a sample of the validation split as the recipe decodes, and scores it.

    The sample is drawn by the training seed alone. CIDEr's document frequencies come from the references of the whole
    split, whatever the size of the sample, as those of a slice come from the whole test set; all other measures look
    at the sample only. Each process captions its share; the first one scores, and all return the same numbers.
    """

    def __init__(self, captioner: Captioner, recipe: Recipe, validation: Any) -> None:
        self.captioner, self.prompt, self.decoding = captioner, captioner.prompt_of(recipe.prompt), recipe.decoding
        self.evaluation, self.validation, self.folder = recipe.evaluation, validation, recipe.output / JUDGEMENTS
        wanted = min(recipe.evaluation.captions, len(validation))
        self.places = sorted(random.Random(recipe.training.seed).sample(range(len(validation)), wanted))  # noqa: S311
        self.last: Judgement | None = None
        _noted(self.folder / SCORES, 0)

    def judge(self, step: int) -> dict[str, float]:
        """Each measure's value (0..1, CIDEr 0..10) by its name; the captions go to the run's folder.

        The model must be in evaluation mode. Raises `UserError` where a measure fails.
        """
        captions = self._captions()
        found: list[Any] = [None]
        if PartialState().is_main_process:
            found = [self._keep(step, captions)]
        return dict(broadcast_object_list(found)[0])

    def _captions(self) -> dict[int, Generated]:
        """Captions by place in the split; a process with fewer photos repeats one, so that all take as many steps."""
        state, size = PartialState(), self.decoding.batch_size
        share = self.places[state.process_index :: state.num_processes]
        even = share + self.places[: -(-len(self.places) // state.num_processes) - len(share)]
        batches = [even[start : start + size] for start in range(0, len(even), size)]
        written = [(place, caption) for batch in batches for place, caption in self._batch(batch)]
        return dict(gather_object(written[: len(share)]))

    def _batch(self, places: list[int]) -> list[tuple[int, Generated]]:
        images = [to_rgb(self.validation[place]["image"]) for place in places]
        captions = generate(self.captioner, images, [self.prompt] * len(images), self.decoding)
        return list(zip(places, captions, strict=True))

    def _keep(self, step: int, captions: Mapping[int, Generated]) -> dict[str, float]:
        references = self._records()
        sample = [references[place] for place in self.places]
        records = [
            replace(item, caption=one.caption, logprob=one.logprob, tokens=one.tokens, finished=one.finished)
            for item, one in zip(sample, (captions[place] for place in self.places), strict=True)
        ]
        scores, signatures = self._score(records, sample, references)
        make_folder(self.folder)
        write_records(captions_file(self.folder, step), records)
        _note(self.folder / SCORES, step, scores, signatures)
        photos = [to_rgb(self.validation[place]["image"]) for place in self.places[:SHOWN]]
        write_page(self.folder, photos)
        self.last = Judgement(step, records, scores, photos)
        return scores

    def _records(self) -> list[CaptionRecord]:
        kept = [name for name in ("id", "product_id", "file", "caption") if name in self.validation.column_names]
        return [
            CaptionRecord(
                row["id"],
                product_id=row["product_id"],
                image=row.get("file"),
                references=(row["caption"],),
                split="validation",
            )
            for row in self.validation.select_columns(kept)
        ]

    def _score(
        self, records: Sequence[CaptionRecord], sample: Sequence[CaptionRecord], whole: Sequence[CaptionRecord]
    ) -> tuple[dict[str, float], dict[str, str]]:
        system = CaptionSet("judged", {record.id: record for record in records})
        everything, sampled = np.array(self.places), np.arange(len(sample))
        scores, signatures = {}, {}
        for items, places, wide in ((whole, everything, True), (sample, sampled, False)):
            able = [one for one in chosen_measures(self.evaluation) if one.needs_whole_corpus == wide]
            for measure, (found,) in run_measures(able, Corpus([system], items)) if able else []:
                for name in set(found.statistics) & set(self.evaluation.measures):
                    scores[name] = found.statistics[name].value(places)
                    signatures[name] = signature(name, measure.tokenizer, found.signature, items, places)
        return {name: scores[name] for name in self.evaluation.measures}, signatures


def _note(path: Path, step: int, scores: Mapping[str, float], signatures: Mapping[str, str]) -> None:
    """Add a step's scores; those of later steps, which a resumed run comes to again, go."""
    steps = _noted(path, step) | {str(step): scores}
    write_text(path, json.dumps({"signatures": signatures, "steps": steps}, indent=1))


def _noted(path: Path, before: int) -> dict[str, Any]:
    """Scores of the steps before one. Raises `UserError` where the file is damaged."""
    try:
        noted = json.loads(path.read_text(encoding="utf-8"))["steps"] if path.is_file() else {}
        return {key: values for key, values in noted.items() if int(key) < before}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: damaged ({error}); remove it: its page then begins with what follows") from None
