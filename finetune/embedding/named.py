"""Encoders by name, those of fine-tuned captioners among them, and the encoder that made a store."""

from finetune.data.feature_cache import FeatureStore
from finetune.embedding.pca import PCA, Projected
from finetune.models.encoders import load_encoder
from finetune.models.encoders.base import STRETCHED, Encoder
from metrics.common.errors import NO_SAFETENSORS, UserError

FEATURES = ("queries", "vision")  # of a captioner


def named_encoder(name: str, resolution: int | None = None, pooling: str | None = None) -> Encoder:
    """As `load_encoder`; also `MODEL:queries` and `MODEL:vision` of a captioner: a run, a folder or a Hub id.

    Raises `UserError` as `load_encoder` and `load_system` do.
    """
    if name.rpartition(":")[2] not in FEATURES:
        return load_encoder(name, resolution=resolution, pooling=pooling or "pooled")
    if resolution is not None:
        raise UserError(f"--resolution {resolution}: a captioner has one of its own; leave it out")
    from finetune.embedding.captioner import CaptionerEncoder  # noqa: PLC0415  # imports PyTorch

    return CaptionerEncoder(name, pooling)


def encoder_of(store: FeatureStore) -> Encoder:
    """The encoder that made a store, for queries.

    Raises `UserError` if `join-features` or `reduce` made the store, or the encoder cannot be loaded or is another now.
    """
    about = store.about
    if about.reads == "both":
        raise UserError(
            f"{store.path}: its vectors are joined of two stores ({about.encoder}); for a query that is no item give "
            "these two stores"
        )
    if ";" in about.pooling:
        raise UserError(
            f"{store.path}: is reduced ({about.pooling.partition('; ')[2]}), which is not"
            " repeated for a new photo or sentence; search it by --id, or search the store that it was reduced from"
        )
    name, pinned = about.encoder, about.revision and ":" not in about.encoder and "@" not in about.encoder
    chosen = name == "efficientnet-lite0" or (about.processor or "").startswith(STRETCHED)
    resolution = about.resolution if chosen else None
    pooling = about.pooling.partition(",")[0]
    try:
        encoder = named_encoder(f"{name}@{about.revision}" if pinned else name, resolution, pooling)
    except UserError as error:
        if not pinned or NO_SAFETENSORS not in str(error):
            raise
        encoder = named_encoder(name, resolution, pooling)  # `main`, see `load_dual_encoder`; its weights are compared
    encoder.restore(store.path)
    if encoder.about().weights != about.weights:
        raise UserError(f"{store.path}: the weights of encoder {name} have changed since; embed the catalogue again")
    return Projected.of(encoder, store.path) if (store.path / PCA).is_file() else encoder
