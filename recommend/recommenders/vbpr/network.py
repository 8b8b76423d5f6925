"""The parameters of VBPR and its loss.

The score of an article i for a customer u, up to what is the same for all articles, is

    gamma_u . gamma_i + theta_u . p(f_i) + beta_i + beta' . f_i

with p(f) = normalise(W f + b), or W f; each part but the first is there if the settings have it.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from recommend.recommenders.vbpr.settings import VBPRSettings

_AT_ONCE = 65_536  # customers whose rows are put together at once


class Network(nn.Module):
    """Factors with sparse gradients; features (I, d) are constant, None for plain BPR."""

    def __init__(self, customers: int, articles: int, features: Tensor | None, settings: VBPRSettings) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(settings.seed)
        self.settings = settings
        self.gamma_customers = _factors(customers, settings.factors, settings.deviation, random)
        self.gamma_articles = _factors(articles, settings.factors, settings.deviation, random)
        self.article_bias = nn.Embedding(articles, 1, sparse=True) if settings.article_bias else None
        if self.article_bias is not None:
            nn.init.zeros_(self.article_bias.weight)
        self.register_buffer("features", features, persistent=False)
        self.theta_customers, self.projection, self.feature_bias = None, None, None
        if features is not None:
            width = features.shape[1]
            self.theta_customers = _factors(customers, settings.feature_factors, settings.deviation, random)
            self.projection = _linear(width, settings.feature_factors, settings.normalised, random)
            self.feature_bias = _linear(width, 1, False, random) if settings.feature_bias else None

    def loss(self, customers: Tensor, bought: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
        """The mean of -log sigmoid(score of what was bought - score of the other), and the regularisation."""
        gamma = self.gamma_customers(customers)
        gamma_articles = self.gamma_articles(torch.cat([bought, others])).view(2, *gamma.shape)
        difference = (gamma * (gamma_articles[0] - gamma_articles[1])).sum(1)
        squares = gamma.square().sum() + gamma_articles.square().sum()
        if self.article_bias is not None:
            biases = self.article_bias(torch.cat([bought, others])).view(2, -1)
            difference = difference + biases[0] - biases[1]
            squares = squares + biases.square().sum()
        if self.theta_customers is not None:
            theta = self.theta_customers(customers)
            difference = difference + self._of_features(theta, bought, others)
            squares = squares + theta.square().sum()
        return functional.softplus(-difference).mean(), self.settings.regularization / 2 * squares / len(customers)

    def _of_features(self, theta: Tensor, bought: Tensor, others: Tensor) -> Tensor:
        features: Any = self.features
        projected = self.projected(features[torch.cat([bought, others])]).view(2, *theta.shape)
        difference = (theta * (projected[0] - projected[1])).sum(1)
        if self.feature_bias is not None:
            difference = difference + self.feature_bias(features[bought] - features[others])[:, 0]
        return difference

    def projected(self, features: Tensor) -> Tensor:
        """p(f) of features (n, d): (n, feature factors)."""
        assert self.projection is not None  # noqa: S101  # there are features, so there is one
        projected: Tensor = self.projection(features)
        return functional.normalize(projected) if self.settings.normalised else projected

    @torch.no_grad()
    def customer_rows(self, places: NDArray[np.int64], trained: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Rows (m, r) of the customers at `places`, whose products with `article_rows` are the scores.

        Those not `trained` (m,) have no factors: zeros, and what multiplies the biases.
        """
        rows = np.empty((len(places), self._row_width), dtype=np.float32)
        for start in range(0, len(places), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            rows[part] = self._customer_rows(places[part], trained[part])
        return rows

    def _customer_rows(self, places: NDArray[np.int64], trained: NDArray[np.bool_]) -> NDArray[np.float32]:
        device = self.gamma_customers.weight.device
        wanted, mask = (torch.from_numpy(one).to(device) for one in (places, trained[:, None]))
        parts = [self.gamma_customers(wanted) * mask]
        if self.theta_customers is not None:
            parts.append(self.theta_customers(wanted) * mask)
        if self._has_bias:
            parts.append(torch.ones(len(wanted), 1, device=device))
        return np.asarray(torch.cat(parts, dim=1).cpu().numpy())

    @property
    def _row_width(self) -> int:
        features = self.settings.feature_factors if self.theta_customers is not None else 0
        return self.settings.factors + features + int(self._has_bias)

    @torch.no_grad()
    def article_rows(self, trained: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Rows (I, r) of all articles; those not `trained` (I,) have only what their features give them."""
        gamma = self.gamma_articles.weight
        mask = torch.from_numpy(trained).to(gamma.device)[:, None]
        parts, bias = [gamma * mask], torch.zeros(len(gamma), 1, device=gamma.device)
        if self.article_bias is not None:
            bias = bias + self.article_bias.weight * mask
        if self.theta_customers is not None:
            features: Any = self.features
            parts.append(torch.cat([self.projected(part) for part in features.split(8192)]))
            bias = bias + self.feature_bias(features) if self.feature_bias is not None else bias
        return np.asarray(torch.cat([*parts, bias] if self._has_bias else parts, dim=1).cpu().numpy())

    @property
    def _has_bias(self) -> bool:
        return self.article_bias is not None or self.feature_bias is not None


def _factors(count: int, width: int, deviation: float | None, random: torch.Generator) -> nn.Embedding:
    factors: nn.Embedding = nn.utils.skip_init(  # type: ignore[no-untyped-call]
        nn.Embedding, count, width, sparse=True
    )
    if deviation is None:
        nn.init.xavier_uniform_(factors.weight, generator=random)
    else:
        nn.init.normal_(factors.weight, std=deviation, generator=random)
    return factors


def _linear(inputs: int, outputs: int, offset: bool, random: torch.Generator) -> nn.Linear:
    linear: nn.Linear = nn.utils.skip_init(  # type: ignore[no-untyped-call]
        nn.Linear, inputs, outputs, bias=offset
    )
    nn.init.xavier_uniform_(linear.weight, generator=random)
    if offset:
        nn.init.zeros_(linear.bias)
    return linear
