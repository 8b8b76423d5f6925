"""What a pretrained model encodes, by its configuration; no weights are loaded."""

from pathlib import Path

from transformers import CONFIG_MAPPING, MODEL_MAPPING, PreTrainedConfig
from transformers.utils import cached_file

from finetune.models.encoders.base import Reads
from finetune.models.loading import split_revision
from metrics.encoders.load import ARCHITECTURES
from metrics.encoders.pretrained import loading

_OWNER = "sentence-transformers"
_EXPECTED = (
    "a Hub id or a folder of a CLIP, SigLIP, vision model of transformers or model of sentence-transformers; "
    "efficientnet-lite0, resnet50, random-resnet50, fashion-clip, tfidf, timm:NAME or open_clip:NAME"
)


def split_name(name: str) -> tuple[str, str | None]:
    """The folder or Hub id and the revision of a name; without an owner it is of sentence-transformers."""
    if Path(name).exists():
        return name, None
    return split_revision(name if "/" in name else f"{_OWNER}/{name}")


def kind_of(source: str, revision: str | None) -> Reads:
    """What a model reads. Raises `UserError` if there is none, or none that we know."""
    with loading(source, "an encoder", _EXPECTED):
        if _has_modules(source, revision):
            return "text"
        config, _ = PreTrainedConfig.get_config_dict(source, revision=revision)
        model_type = str(config.get("model_type"))
        if model_type in ARCHITECTURES:
            return "both"
        if model_type not in CONFIG_MAPPING or CONFIG_MAPPING[model_type] not in MODEL_MAPPING:
            raise ValueError(f"its model_type is {model_type!r}")
        model = MODEL_MAPPING[CONFIG_MAPPING[model_type]]
        return "photo" if model.main_input_name == "pixel_values" else "text"


def _has_modules(source: str, revision: str | None) -> bool:
    """Whether it is a model of sentence-transformers."""
    quietly = {"_raise_exceptions_for_missing_entries": False}
    return cached_file(source, "modules.json", revision=revision, **quietly) is not None
