"""Encoders by name, those of fine-tuned captioners among them, and the encoder that made a store."""

from finetune.data.feature_cache import FeatureStore
from finetune.models.encoders import load_encoder
from finetune.models.encoders.base import Encoder


def named_encoder(name: str, resolution: int | None = None, pooling: str | None = None) -> Encoder:
    """As `load_encoder`, and `RUN:queries` and `RUN:vision` of a captioner. Raises `UserError` as it does."""
    return load_encoder(name, resolution=resolution, pooling=pooling or "pooled")


def encoder_of(store: FeatureStore) -> Encoder:
    """The encoder that made a store, for queries. Raises `UserError` if it cannot be loaded, or is another now."""
    about = store.about
    name = f"{about.encoder}@{about.revision}" if about.revision and "@" not in about.encoder else about.encoder
    resolution = about.resolution if about.encoder == "efficientnet-lite0" else None
    encoder = named_encoder(name, resolution, about.pooling)
    encoder.restore(store.path)
    return encoder
