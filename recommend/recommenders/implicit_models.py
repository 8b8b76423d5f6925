"""Models of the package `implicit` (MIT licence), called so that the same settings give the same numbers."""

import warnings
from importlib.util import find_spec
from typing import Any

import scipy.sparse
from threadpoolctl import threadpool_limits

from metrics.common.errors import UserError


def check_installed() -> None:
    """Raise `UserError` if `implicit` is not installed."""
    if find_spec("implicit") is None:
        raise UserError("expected the package implicit, which is missing; pip install 'lookbook-captions[recommend]'")


def fitted(kind: type[Any], matrix: scipy.sparse.csr_matrix, **settings: Any) -> Any:
    """A model of `implicit`, such as `CosineRecommender`, with its settings, fitted on a matrix (users, items).

    BLAS gets one thread, since `implicit` has its own. Raises `UserError` if what it learns stops being finite.
    """
    from implicit.recommender_base import ModelFitError  # noqa: PLC0415

    with threadpool_limits(1, "blas"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Method expects CSR input")  # of what it made itself
        model = kind(**settings)
        try:
            model.fit(matrix, show_progress=False)
        except ModelFitError as error:
            raise UserError(f"{kind.__name__}: {error}; lower the learning rate or raise the regularization") from error
    return model


def most_similar(matrix: scipy.sparse.csr_matrix, k: int) -> scipy.sparse.csr_matrix:
    """For each column of a binary matrix (n, d) the cosines of the k columns most similar to it, itself among them.

    They are (d, d), above 0. Which of equally similar ones are the last of the k is as `implicit` meets them, the same
    every time, whatever the number of threads.
    """
    check_installed()
    from implicit.nearest_neighbours import CosineRecommender  # noqa: PLC0415

    similarity = fitted(CosineRecommender, matrix, K=k).similarity
    similarity.eliminate_zeros()  # at the end of its lists of fewer
    return similarity
