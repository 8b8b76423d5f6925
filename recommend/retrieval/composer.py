"""The model: photos and texts in one space, in which a text is the difference of two photos. Imports PyTorch."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from recommend.retrieval.losses import Losses, infonce, soft_targets
from recommend.retrieval.recipe import Loss, Model

_STEEPEST = 100.0  # CLIP's bound on its scale


class Composer(nn.Module):
    """Each side is an encoder and a projection of one layer; the encoder is absent where its features are stored.

    Features of photos are standardised by `photo_mean` and `photo_scale` first, those of the training photos.
    """

    photo_mean: Tensor
    photo_scale: Tensor

    def __init__(
        self,
        widths: tuple[int, int],
        model: Model,
        loss: Loss,
        photo_encoder: nn.Module | None = None,
        text_encoder: nn.Module | None = None,
    ) -> None:
        """`widths` are those of the features of a photo and of a text."""
        super().__init__()
        self.loss = loss
        self.photo_encoder, self.text_encoder = photo_encoder, text_encoder
        self.photo_projection = nn.Linear(widths[0], model.dimensions)
        self.text_projection = nn.Linear(widths[1], model.dimensions)
        self.dropout = nn.Dropout(model.dropout)
        self.log_scale = nn.Parameter(torch.tensor(-math.log(loss.temperature)), loss.name == "infonce")
        self.register_buffer("photo_mean", torch.zeros(widths[0]))
        self.register_buffer("photo_scale", torch.ones(widths[0]))

    def photos(self, inputs: Tensor) -> Tensor:
        """Vectors (n, dimensions) of features (n, width), or of pixels for the encoder."""
        features = self.photo_encoder(inputs) if self.photo_encoder else inputs
        projected: Tensor = self.photo_projection(self.dropout((features - self.photo_mean) / self.photo_scale))
        return projected

    def texts(self, inputs: Any) -> Tensor:
        """Vectors (n, dimensions) of features (n, width), or of tokens for the encoder."""
        features = self.text_encoder(inputs) if self.text_encoder else inputs
        projected: Tensor = self.text_projection(self.dropout(features))
        return projected

    def forward(self, targets: Tensor, references: Tensor, texts: Any) -> dict[str, Tensor]:
        """The loss of a batch of pairs, for Trainer."""
        return {"loss": self.losses(targets, references, texts).value}

    def losses(self, targets: Tensor, references: Tensor, texts: Any) -> Losses:
        """The loss of a batch of pairs, and its excess over what its labels allow."""
        vectors = (self.photos(targets), self.photos(references), self.texts(texts))
        if self.loss.name == "soft-targets":
            return soft_targets(*vectors, self.loss.temperature)
        scale = self.log_scale.exp().clamp(max=_STEEPEST)
        return infonce(*vectors, scale, self.loss.negatives)
