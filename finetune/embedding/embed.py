"""Encoding the photos or texts of many items into a store: batched, shared by processes, resumed when interrupted."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from accelerate import PartialState

from finetune.data.feature_cache import FeatureStore
from finetune.data.feature_files import About, Dtype
from finetune.data.feature_writer import FeatureWriter
from finetune.embedding.encoding import default_batch, encoded
from finetune.embedding.items import Work
from finetune.embedding.parts import Parts
from finetune.embedding.shard import Shard
from finetune.embedding.texts import TEXTS, Text, write_texts
from finetune.models.encoders.base import Encoder
from metrics.common.errors import UserError
from metrics.common.screen import progress


def about_of(encoder: Encoder, work: Work, catalogue: str, folder: str | None, text: str | None) -> About:
    """What the features of `work` by `encoder` are; `text` says which texts they are of, None for photos."""
    return replace(
        encoder.about(),
        reads="photo" if text is None else "text",
        resolution=encoder.side if text is None else None,
        text=text,
        catalogue=catalogue,
        folder=folder,
        source=work.digest,
        items=len(work.sources),
    )


def embed(
    encoder: Encoder,
    work: Work,
    about: About,
    out: Path,
    shard: Shard | None = None,
    dtype: Dtype = "float16",
    batch_size: int | None = None,
) -> FeatureStore:
    """Write the store `out` of a shard of the work; if it is there already, it is only read.

    Each process of `accelerate launch` encodes its share into a part in a hidden folder beside `out`; the first joins
    them. Parts of a killed run are kept, and continued by any number of processes. All processes return the store.
    A batch has `default_batch` items by default.
    Raises `UserError` if `out`, or what an interrupted run left, holds something else, or if the share is empty.
    """
    state, ids = PartialState(), (shard or Shard()).of(work.sources)
    if shard and not ids:
        raise UserError(
            f"--shard {shard.number}/{shard.count}: no item is left for it, since there are {len(work.sources):,}; "
            "leave this share out, and join the others"
        )
    parts = Parts(out, about, encoder.shape, dtype)
    with parts.locked() if state.is_main_process else nullcontext():
        state.wait_for_everyone()  # the first may have waited for another run, which has made the store
        there = _is_there(out, about, ids, dtype)
        if not there:
            _encode_missing(encoder, work, ids, parts, batch_size)
            state.wait_for_everyone()
        if state.is_main_process and not there:
            parts.join(lambda folder, kept: _write_beside(encoder, work, folder, kept))
        if state.is_main_process:
            parts.remove()
        state.wait_for_everyone()
    return FeatureStore.open(out)


def _is_there(out: Path, about: About, ids: Sequence[str], dtype: Dtype) -> bool:
    """Whether `out` holds these features; all processes look before any writes."""
    there = out.exists()
    if there:
        store = FeatureStore.open(out)
        about.refuse_other(store.about, str(out), "give another --out, or remove it")
        store.refuse_other_dtype(dtype, "give another --out, or remove it")
        if set(store.ids) != set(ids):
            raise UserError(f"{out}: has features of other items of the catalogue; give another --out, or remove it")
    PartialState().wait_for_everyone()
    return there


def _encode_missing(encoder: Encoder, work: Work, ids: Sequence[str], parts: Parts, batch_size: int | None) -> None:
    """Encode this process's share of the items that no part has yet, into a new part."""
    state = PartialState()
    done, number = parts.recover(ids)
    missing = [key for key in ids if key not in done]
    share = missing[state.process_index :: state.num_processes]
    if not share:
        return
    size = batch_size or default_batch(state.device.type, work.of_photos)
    size *= 1 if work.of_photos else 16  # texts are batched by length, of which these are few
    with (
        FeatureWriter(parts.path(number + state.process_index), parts.about, parts.shape, parts.dtype) as writer,
        progress(
            None, "encoding", total=len(share), unit="item", disable=not state.is_main_process, leave=False
        ) as bar,
    ):
        for keys, rows in encoded(encoder, {key: work.sources[key] for key in share}, size):
            writer.append(keys, rows)
            bar.update(len(keys))
        writer.finish()


def _write_beside(encoder: Encoder, work: Work, folder: Path, ids: Sequence[str]) -> None:
    encoder.save(folder)
    texts = {key: source for key in ids if isinstance(source := work.sources[key], Text)}
    if texts:
        write_texts(folder / TEXTS, texts)
