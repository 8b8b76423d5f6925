"""Names of a run's files."""

from finetune.models import adapter_files

TRAINING_FILE = "training.json"
TRAINED_ON = "trained-on.jsonl"
MODEL_FOLDER = adapter_files.MODEL_FOLDER
CHECKPOINTS = "checkpoints"
