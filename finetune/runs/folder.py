"""Where each file of a run lies: the only place that spells these names."""

from dataclasses import dataclass
from pathlib import Path

from finetune.data.card import CARD_MARK
from metrics.common.ownership import Contents
from metrics.records.captions import RECORDS_MARK

# What is in the folder of a run before its training begins: of earlier versions, which wrote no mark, the files of
# `prepare` and what was made of these, or the recipe of a run that was begun.
PREPARED = Contents(
    {
        "recipe.json": ('"catalogue": "', '"recipe": {'),
        "references-*.jsonl": RECORDS_MARK,
        "items.parquet": '"role"',
        "catalogue.json": CARD_MARK,
        "catalogue.md": "by Lookbook ",
        "catalogue.html": "Lookbook catalogue card",
        "micro-batch.json": '"fits": ',
        ".lock": "",
    },
    record="recipe.json",
    beside=("baselines", "classifier", "vocabulary.json", "features", "purchases", "neighbours.parquet", "judgements"),
)


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run, or of one catalogue of a run that mixes several (captions, references and report alone)."""

    path: Path

    @property
    def recipe(self) -> Path:
        """The claim: the recipe of the run and the fingerprint of its data."""
        return self.path / "recipe.json"

    @property
    def training(self) -> Path:
        """The record of the finished training."""
        return self.path / "training.json"

    @property
    def trained_on(self) -> Path:
        """The items that the model was trained on."""
        return self.path / "trained-on.jsonl"

    @property
    def model(self) -> Path:
        """The trained adapter, or the whole model if no tower has LoRA."""
        return self.path / "model"

    @property
    def checkpoints(self) -> Path:
        """Checkpoints of the training."""
        return self.path / "checkpoints"

    @property
    def tensorboard(self) -> Path:
        """Logs for TensorBoard."""
        return self.path / "tensorboard"

    @property
    def micro_batch(self) -> Path:
        """The micro-batch size that was found to fit into memory."""
        return self.path / "micro-batch.json"

    @property
    def tracker(self) -> Path:
        """The id of the run at its tracker."""
        return self.path / "tracker.json"

    @property
    def evaluation(self) -> Path:
        """Captions and scores while training; runs begun by an earlier version have them in `judgements`."""
        earlier = self.path / "judgements"
        return earlier if earlier.is_dir() else self.path / "evaluation"

    @property
    def report(self) -> Path:
        """The folder of the report."""
        return self.path / "report"

    @property
    def report_json(self) -> Path:
        """The scores of the report."""
        return self.report / "report.json"

    @property
    def filled(self) -> Path:
        """The descriptions that the catalogue lacked, in a copy of its table."""
        return self.path / "filled"

    def captions(self, system: str) -> Path:
        """The captions of a system: `pretrained`, `fine-tuned`, `shuffled`, or a baseline (`sibling`, `nearest`)."""
        return self.path / "captions" / system / "captions.jsonl"

    def references(self, split: str) -> Path:
        """The items of a split with their reference captions."""
        return self.path / f"references-{split}.jsonl"
