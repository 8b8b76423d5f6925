"""Methods that map vectors to fewer dimensions, each fitted on some rows and applied to all.

PCA and kernel PCA keep what varies most in a catalogue; Isomap, UMAP and t-SNE keep who is near to whom. Sources:
Pearson 1901; Schölkopf et al. 1998, by the approximation of Williams and Seeger, Using the Nyström Method to Speed Up
Kernel Machines, 2001; Tenenbaum et al. 2000; McInnes et al. 2018; van der Maaten and Hinton 2008.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from metrics.common.errors import UserError
from recommend.features.fusion import Rows

Floats = NDArray[np.float64]
Method = Literal["pca", "kernel-pca", "isomap", "umap", "tsne"]
Kernel = Literal["rbf", "cosine", "poly", "sigmoid"]
SEED = 42
EXACT_KERNEL = 2000  # rows up to which kernel PCA uses the whole kernel matrix
LANDMARKS = 1000  # of the Nystroem approximation above
NEIGHBOURS = 10  # of Isomap's graph
UMAP_NEIGHBOURS = 15
FIT_ON: dict[Method, int] = {"pca": 50_000, "kernel-pca": 20_000, "isomap": 2000, "umap": 10_000, "tsne": 10_000}
EXACT_TSNE = 1000  # rows of t-SNE in other than two dimensions
_PAIRS = 1000  # rows whose distances give the width of the RBF kernel


@dataclass(frozen=True)
class Fitted:
    """A method fitted on m rows.

    Attributes:
        method: what was done, with every setting, as tables and stores say it.
        transform: maps rows (n, d) to (n, r); None if the method cannot map new rows.
        embedded: (m, r) where the method puts the rows that it was fitted on; None if `transform` tells.
        variance: the share of the variance that each dimension explains, the largest first; None if it has none.
    """

    method: str
    transform: Callable[[Rows], Rows] | None
    embedded: Rows | None = None
    variance: Floats | None = None


def rows_to_fit(method: Method, dimensions: int | None) -> int:
    """How many rows a method is fitted on at most."""
    return EXACT_TSNE if method == "tsne" and dimensions != 2 else FIT_ON[method]


def fit(
    method: Method,
    rows: Rows,
    dimensions: int | None,
    variance: float | None = None,
    kernel: Kernel = "rbf",
    gamma: float | None = None,
) -> Fitted:
    """Fit a method on rows (m, d); of `dimensions` and `variance` (the share to be explained) one is given.

    Raises `UserError` if there are too few rows or numbers, if the method explains no variance, or takes no gamma.
    """
    if gamma is not None and (method != "kernel-pca" or kernel == "cosine"):
        raise UserError(f"--gamma: {'a cosine kernel' if method == 'kernel-pca' else method} takes none; leave it out")
    if method == "pca":
        return _pca(rows, dimensions, variance)
    if method == "kernel-pca":
        return _kernel_pca(rows, dimensions, variance, kernel, gamma)
    if dimensions is None:
        raise UserError(f"--variance: {method} explains no variance; give --dimensions, or take pca or kernel-pca")
    if dimensions + 2 > len(rows):
        raise UserError(f"--dimensions {dimensions}: {method} needs at least {dimensions + 2} items, found {len(rows)}")
    return {"isomap": _isomap, "umap": _umap, "tsne": _tsne}[method](rows, dimensions)


def _pca(rows: Rows, dimensions: int | None, variance: float | None) -> Fitted:
    model, shares, count = _components(rows, dimensions, variance)
    return Fitted(f"PCA {count}", _first(model.transform, count), variance=shares)


def _kernel_pca(
    rows: Any, dimensions: int | None, variance: float | None, kernel: Kernel, gamma: float | None
) -> Fitted:
    """PCA of the Nystroem features; with every row a landmark, these span the whole kernel, and it is exact."""
    from sklearn.kernel_approximation import Nystroem  # noqa: PLC0415

    if kernel == "rbf" and gamma is None:
        gamma = _gamma(rows)
    rows = rows.astype(np.float64)  # the inverse root of the kernel enlarges what is rounded
    exact = len(rows) <= EXACT_KERNEL
    landmarks = len(rows) if exact else LANDMARKS
    features = Nystroem(kernel=kernel, gamma=gamma, n_components=landmarks, random_state=SEED).fit(rows)
    model, shares, count = _components(features.transform(rows), dimensions, variance)
    width = f", gamma {gamma:.3g}" if gamma is not None else ""
    how = "exact" if exact else f"Nystroem with {landmarks:,} landmarks"
    transform = _first(lambda new: model.transform(features.transform(new.astype(np.float64))), count)
    return Fitted(f"kernel PCA {count}, {kernel} kernel{width}, {how}", transform, variance=shares)


def _components(rows: Any, dimensions: int | None, variance: float | None) -> tuple[Any, Floats, int]:
    """A PCA with all components, the share of the variance of each, and how many of them are wanted."""
    from sklearn.decomposition import PCA  # noqa: PLC0415

    most = min(len(rows) - 1, rows.shape[1])
    if dimensions is not None and not 1 <= dimensions <= most:
        raise UserError(f"--dimensions {dimensions}: expected 1 to {most}, which {len(rows):,} items allow")
    with np.errstate(invalid="ignore"):  # a variance of 0, which is refused below
        model = PCA(svd_solver="covariance_eigh").fit(rows)
    shares = np.asarray(model.explained_variance_ratio_[:most], dtype=np.float64)
    if not np.isfinite(shares).all():
        raise UserError("all vectors are equal: they have no variance to explain; check the store")
    if dimensions is None:
        reached = np.cumsum(shares) >= (variance or 0) - 1e-9
        dimensions = int(np.argmax(reached)) + 1 if reached.any() else most
    return model, shares, dimensions


def _first(transform: Callable[[Rows], Any], count: int) -> Callable[[Rows], Rows]:
    return lambda rows: np.asarray(transform(rows)[:, :count], dtype=np.float32)


def _gamma(rows: Rows) -> float:
    """One over the median squared distance of two rows: the usual width of an RBF kernel."""
    some = rows[np.random.default_rng(SEED).permutation(len(rows))[:_PAIRS]].astype(np.float64)
    squares = (some**2).sum(axis=1)
    distances = (squares[:, None] + squares - 2 * some @ some.T)[np.triu_indices(len(some), 1)]
    median = float(np.median(distances))
    if median <= 0:
        raise UserError("most vectors are equal: an RBF kernel has no width for them; check the store, or give --gamma")
    return 1 / median


def _isomap(rows: Rows, dimensions: int) -> Fitted:
    from sklearn.manifold import Isomap  # noqa: PLC0415

    neighbours = min(NEIGHBOURS, len(rows) - 1)
    # `auto` may take ARPACK, which starts from random numbers; the sample is small enough for the dense solver.
    model = Isomap(n_neighbors=neighbours, n_components=dimensions, eigen_solver="dense")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            embedded = model.fit_transform(rows)
        except ValueError as error:  # geodesic distances need not be those of points: some eigenvalues are negative
            raise UserError(
                f"--dimensions {dimensions}: isomap finds fewer among {len(rows):,} items; lower it ({error})"
            ) from error
    parts = any("connected components" in str(one.message) for one in told)
    joined = ", its graph joined from several parts" if parts else ""
    method = f"Isomap {dimensions}, {neighbours} neighbours{joined}"
    return Fitted(method, _first(model.transform, dimensions), embedded.astype(np.float32))


def _umap(rows: Rows, dimensions: int) -> Fitted:
    # The limits put back the number of OpenMP's threads, PyTorch's too, which numba sets to the number of cores.
    with threadpool_limits(user_api="openmp"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numba's, and that a seed means one thread
        from umap import UMAP  # noqa: PLC0415

        neighbours = min(UMAP_NEIGHBOURS, len(rows) - 1)
        model = UMAP(neighbours, n_components=dimensions, metric="cosine", random_state=SEED, n_jobs=1)
        embedded = model.fit_transform(rows)
    method = f"UMAP {dimensions}, {neighbours} neighbours"
    return Fitted(method, _first(model.transform, dimensions), np.asarray(embedded, dtype=np.float32))


def _tsne(rows: Rows, dimensions: int) -> Fitted:
    perplexity = min(30, (len(rows) - 1) // 3)
    if perplexity < 1:
        raise UserError(f"--method tsne: needs at least 4 items, found {len(rows)}")
    if dimensions != 2:
        return _exact_tsne(rows, dimensions, perplexity)
    from openTSNE import TSNE  # noqa: PLC0415

    embedding = TSNE(n_components=2, perplexity=perplexity, random_state=SEED, n_jobs=1).fit(rows)
    embedded = np.asarray(embedding, dtype=np.float32)
    return Fitted(f"t-SNE 2, perplexity {perplexity}", _first(embedding.transform, 2), embedded)


def _exact_tsne(rows: Rows, dimensions: int, perplexity: int) -> Fitted:
    """openTSNE hangs or ends the interpreter above two dimensions; scikit-learn's exact method maps no new rows."""
    from sklearn.manifold import TSNE  # noqa: PLC0415

    model = TSNE(n_components=dimensions, perplexity=perplexity, method="exact", init="random", random_state=SEED)
    embedded = np.asarray(model.fit_transform(rows), dtype=np.float32)
    return Fitted(f"t-SNE {dimensions}, perplexity {perplexity}, exact, without a transform", None, embedded)
