"""Encoders of photos and texts, all with the contract of `base.Encoder`; `load_encoder` loads one by its name."""

from finetune.models.encoders.base import Encoder
from metrics.common.errors import UserError

# Names that people use, and the Hub ids that they mean.
KNOWN = {
    "resnet50": "microsoft/resnet-50",
    "fashion-clip": "patrickjohncyh/fashion-clip",
}


def load_encoder(
    name: str, device: str | None = None, *, resolution: int | None = None, pooling: str = "pooled"
) -> Encoder:
    """Load an encoder: the same name, resolution and pooling give the same encoder.

    Args:
        name: `efficientnet-lite0`, `resnet50`, `random-resnet50` (a control), `fashion-clip`, `tfidf`; a Hub id
            (`owner/name[@revision]`) or a folder of a CLIP, SigLIP, DINOv2 or other vision model of transformers or of
            a model of sentence-transformers, whose names without an owner are theirs; `timm:NAME`, `open_clip:NAME`.
        device: torch's name of it; default: this process's accelerator, else the CPU.
        resolution: pixels of a side, of `efficientnet-lite0` (a multiple of 32) and of a ResNet, for which photos are
            then stretched to squares; the others decide that themselves.
        pooling: `pooled`, a vector a photo, or `grid`, one for each place in it.

    Raises:
        UserError: when there is no such encoder, or it has no such resolution or pooling.
        ModuleNotFoundError: when a package is missing; commands name its extra.
    """
    device = device or _default_device(name)
    if name == "efficientnet-lite0":
        from finetune.models.encoders.efficientnet import EfficientNetLite0  # noqa: PLC0415

        return EfficientNetLite0(device, resolution, pooling)
    if name == "random-resnet50":
        from finetune.models.encoders.vision import VisionEncoder  # noqa: PLC0415

        return VisionEncoder.random(device, pooling, resolution)
    encoder = _of_vectors(name, device) or _pretrained(KNOWN.get(name, name), device, pooling, resolution)
    if resolution not in (None, encoder.side):
        raise UserError(f"--resolution {resolution}: encoder {name} has one of its own; leave it out")
    if pooling != encoder.about().pooling:
        raise UserError(f"--pooling {pooling}: encoder {name} gives a vector an item; leave it out")
    return encoder


def _default_device(name: str) -> str:
    """Where an encoder runs unless told otherwise; PyTorch is not imported for one that does not use it."""
    if name == "tfidf":
        return "cpu"
    from finetune.models.loading import default_device  # noqa: PLC0415

    return default_device()


def _of_vectors(name: str, device: str) -> Encoder | None:
    """An encoder whose name says what it is."""
    if name == "tfidf":
        from finetune.models.encoders.tfidf import TfidfEncoder  # noqa: PLC0415

        return TfidfEncoder()
    if name.startswith("timm:"):
        from finetune.models.encoders.optional import TimmEncoder  # noqa: PLC0415

        return TimmEncoder(name, device)
    if name.startswith("open_clip:"):
        from finetune.models.encoders.optional import OpenClipEncoder  # noqa: PLC0415

        return OpenClipEncoder(name, device)
    return None


def _pretrained(name: str, device: str, pooling: str, resolution: int | None) -> Encoder:
    """A model whose configuration says what it is."""
    from finetune.models.encoders.kinds import kind_of, split_name  # noqa: PLC0415

    source, revision = split_name(name)
    kind = kind_of(source, revision)
    if kind == "photo":
        from finetune.models.encoders.vision import VisionEncoder  # noqa: PLC0415

        return VisionEncoder.load(source, device, pooling, revision, resolution)
    if kind == "text":
        from finetune.models.encoders.sentences import SentenceEncoder  # noqa: PLC0415

        return SentenceEncoder(source, device, revision)
    from finetune.models.encoders.dual import DualTowers  # noqa: PLC0415

    return DualTowers(name, device)
