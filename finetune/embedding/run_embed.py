"""The work of the command `embed`: from a recipe or a folder to a store, from parts to a store."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np

from finetune.config.recipe import Recipe
from finetune.data.feature_cache import FeatureStore
from finetune.data.feature_files import Dtype, remove_store
from finetune.data.feature_writer import refuse_existing
from finetune.data.mixture import prepare_all, prepare_one
from finetune.data.photo_check import note_unusable
from finetune.data.preparation import Prepared, prepare
from finetune.embedding.embed import about_of, embed
from finetune.embedding.items import Work, described, photos_of
from finetune.embedding.join import check_parts, join_shards
from finetune.embedding.named import encoder_of, named_encoder
from finetune.embedding.pca import check_dimensions, reduce_store, reduced_about
from finetune.embedding.request import EmbedRequest
from finetune.embedding.shard import Shard
from finetune.embedding.texts import TEXTS
from finetune.models.encoders.base import LEARNT, Encoder
from finetune.runs.place import folder_section
from finetune.runs.processes import distributed
from metrics.common.errors import UserError
from metrics.common.formatting import printable


def run(request: EmbedRequest, recipe: Recipe | None) -> None:
    """Embed the catalogue of `recipe`, or that of the folder, and say what was done."""
    state = distributed()
    with state.main_process_first():
        parts = _parts(request, recipe)
    if state.is_main_process:
        for prepared in parts.values():
            note_unusable(prepared.account.bad_images)
    encoder = named_encoder(request.encoder, resolution=request.resolution, pooling=request.pooling)
    reads_text = encoder.reads == "text" or (encoder.reads == "both" and request.chooses_text)
    if request.chooses_text and not reads_text:
        raise UserError(f"--text and --captions: encoder {request.encoder} reads photos; leave them out")
    work = described(parts, request.choice) if reads_text else photos_of(parts)
    encoder.fit(work.texts)
    ids = list(work.sources)
    unknown = [ids[place] for place in encoder.without_row(work.texts)]
    work.leave_out(unknown, f"no word in the text that {encoder.name} knows")
    about = about_of(encoder, work, ", ".join(parts), _folder(parts), request.choice.called if reads_text else None)
    out = request.out
    if request.pca:
        check_dimensions(request.pca, len(work.sources), encoder.shape)
        if out.exists():
            about = reduced_about(about, request.pca)
        else:
            out = unreduced(out)
    shard, dtype = Shard.parse(request.shard), cast(Dtype, request.dtype or "float16")
    store = embed(encoder, work, about, out, shard, dtype, request.batch_size)
    if state.is_main_process:
        print(summary(_reduced(store, encoder, request), encoder, work))


def join_parts(request: EmbedRequest) -> None:
    """Join the parts that `--shard` wrote, and say what was done."""
    if not distributed().is_main_process:
        return
    if request.pca is None:
        print(_line(join_shards(request.places, request.out)))
        return
    _remove_left(request.out)
    refuse_existing(request.out)
    store = _joined(request.places, unreduced(request.out), request.pca)
    print(_line(_reduced(store, encoder_of(store), request)))


def unreduced(out: Path) -> Path:
    """Where the rows are that `--pca` reduces, until it has."""
    return out.with_name(f".{out.name}.unreduced")


def _joined(paths: Sequence[Path], whole: Path, dimensions: int) -> FeatureStore:
    """The store `whole` of all parts, which a killed join may have written already."""
    stores = [FeatureStore.open(path) for path in paths]
    check_dimensions(dimensions, sum(map(len, stores)), stores[0].shape)
    if not whole.exists():
        return join_shards(paths, whole)
    check_parts(stores)
    left, remedy = FeatureStore.open(whole), f"remove {whole}, which a killed join left, or give another --out"
    stores[0].about.refuse_other(left.about, str(whole), remedy)
    left.refuse_other_dtype(stores[0].dtype, remedy)
    if set(left.ids) != {key for store in stores for key in store.ids}:
        raise UserError(f"{whole}: expected the items of these parts, found others; {remedy}")
    return left


def _reduced(store: FeatureStore, encoder: Encoder, request: EmbedRequest) -> FeatureStore:
    if request.pca and store.path != request.out:
        store = reduce_store(store, encoder, request.pca, request.out)
    _remove_left(request.out)
    return store


def _remove_left(out: Path) -> None:
    """Remove the rows that the store `out` was reduced from, also those that a run left which was killed after that."""
    left = unreduced(out)
    if not (out.exists() and left.exists()):
        return
    reduced, whole = FeatureStore.open(out), FeatureStore.open(left)
    if whole.ids == reduced.ids and reduced_about(whole.about, reduced.shape[0]) == reduced.about:
        remove_store(left, TEXTS, LEARNT)


def summary(store: FeatureStore, encoder: Encoder, work: Work) -> str:
    """What is in the store, and what was left out."""
    left_out = [printable(f"  {count:>9,}  left out: {reason}") for reason, count in (+work.left_out).items()]
    too_long = encoder.too_long(work.texts)
    cut = [f"  {too_long:>9,}  texts of which the encoder reads only the beginning"] if too_long else []
    zeros = _zeros(store)
    nothing = (
        [f"  {len(zeros):>9,}  rows of zeros, such as {zeros[0]}: nothing the encoder knows is in them"]
        if zeros
        else []
    )
    notes = [f"  note: {store.about.note}"] if store.about.note else []
    return "\n".join([_line(store), *left_out, *cut, *nothing, *notes])


def _line(store: FeatureStore) -> str:
    about = store.about
    side = f" at {about.resolution} px" if about.resolution else ""
    what = about.text or "photos"
    shape = " x ".join(map(str, store.shape))
    return f"{store.path}: {len(store):,} rows of {shape} ({store.dtype}) by {about.encoder}{side}, of {what}"


def _zeros(store: FeatureStore) -> list[str]:
    rows = np.concatenate([batch.reshape(len(batch), -1).any(axis=1) for batch in store.batches()])
    return [store.ids[place] for place in np.flatnonzero(~rows)]


def _parts(request: EmbedRequest, recipe: Recipe | None) -> Mapping[str, Prepared]:
    """The catalogues that are embedded, by name."""
    if recipe is None:
        prepared = prepare(folder_section(request.places[0], request.change), divided=False)
        return {prepared.account.name: prepared}
    if request.catalogue is not None or len(recipe.catalogues) == 1:
        prepared = prepare_one(recipe.catalogues, recipe.training.seed, request.catalogue)
        return {request.catalogue or prepared.account.name: prepared}
    if request.captions:
        raise UserError("--captions: are of one catalogue; name it with --catalogue")
    return prepare_all(recipe.catalogues, recipe.training.seed).parts


def _folder(parts: Mapping[str, Prepared]) -> str | None:
    """The folder of the photos of a single catalogue."""
    return next(iter(parts.values())).account.folder if len(parts) == 1 else None
