"""From purchases and features to the rows that rank: everything of VBPR that needs PyTorch."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import scipy.sparse
import torch

from recommend.recommenders.base import Floats
from recommend.recommenders.vbpr.checkpoint import Checkpoint, Epoch, identity
from recommend.recommenders.vbpr.network import Network
from recommend.recommenders.vbpr.sampling import Sampler
from recommend.recommenders.vbpr.settings import VBPRSettings
from recommend.recommenders.vbpr.training import Training
from recommend.recommenders.vbpr.validation import Validation


def train(
    settings: VBPRSettings,
    history: scipy.sparse.csr_matrix,
    features: Floats | None,
    validation: Validation | None,
    folder: Path | None,
) -> tuple[Floats, Floats, list[Epoch]]:
    """Train on a graphics card if there is one; rows of customers (U, r) and articles (I, r), and the epochs.

    Raises `UserError` if there is nothing to draw, or `folder` holds another training.
    """
    customers, articles = history.shape
    sampler = Sampler(history, settings)
    given = None if features is None else torch.from_numpy(features)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = Network(customers, articles, given, settings).to(device)
    active, sold = np.diff(history.indptr) > 0, np.bincount(history.indices, minlength=articles) > 0

    def score(network: Network) -> float:
        assert validation is not None  # noqa: S101  # it is called with one alone
        places = validation.relevant.customers
        return validation.ndcg(network.customer_rows(places, active[places]), network.article_rows(sold))

    checkpoint = None if folder is None else Checkpoint(folder, _identity(settings, history, features, validation))
    training = Training(network, sampler, settings, score if validation else None, checkpoint)
    torch.sparse.check_sparse_tensor_invariants.disable()  # type: ignore[no-untyped-call]  # or PyTorch warns
    epochs = training.run()
    del training  # and the state of its optimizers, as large as the factors
    return network.customer_rows(np.arange(customers), active), network.article_rows(sold), epochs


def _identity(
    settings: VBPRSettings,
    history: scipy.sparse.csr_matrix,
    features: Floats | None,
    validation: Validation | None,
) -> str:
    arrays = [history.indptr, history.indices]
    if features is not None:
        arrays.append(features)
    if validation is not None:
        arrays += [validation.relevant.customers, validation.relevant.owners, validation.relevant.articles]
    return identity(asdict(settings), arrays)
