"""A photo or a sentence as a vector, by the encoder that a store names.

The encoder, and with it PyTorch, runs in a process of its own, since the process that searches imports faiss.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Literal

import numpy as np

from finetune.config.command_line import needs_train
from finetune.data.feature_cache import FeatureStore
from metrics.common.drafts import temporary_folder
from metrics.common.errors import UserError
from metrics.common.processes import child_environment, end_with_starter, python_module
from metrics.photos.reading import load_photo
from recommend.features.fusion import Rows

Kind = Literal["photo", "sentence"]


def encoded(store: FeatureStore, kind: Kind, query: str) -> Rows:
    """The vector (1, d) of a photo's file, or of a sentence.

    Raises:
        UserError: when the photo cannot be read, the sentence is empty or has no word that the encoder knows, or the
            encoder cannot be loaded, reads no such thing, or is not what it was when it made the store.
    """
    if kind == "sentence" and not query.strip():
        raise UserError("--sentence: expected words, found an empty text")
    if kind == "photo":
        load_photo(query)
    vector = _in_a_process(store, kind, query)
    if not vector.any():
        raise UserError(f"{query}: {store.about.encoder} makes zeros of it, as it knows no word of it; use other words")
    return vector


def _in_a_process(store: FeatureStore, kind: Kind, query: str) -> Rows:
    with temporary_folder() as folder:
        out = folder / "vector.npy"
        request = json.dumps({"store": str(store.path.resolve()), kind: query, "out": str(out)})
        command = python_module("recommend.items.query_encoding")
        done = subprocess.run(  # noqa: S603
            command, input=request, text=True, capture_output=True, env=child_environment(), check=False
        )
        errors = done.stderr.strip()
        if done.returncode == 2:
            raise UserError(errors.splitlines()[-1].removeprefix("error: "))
        if done.returncode:
            raise UserError(f"{store.about.encoder} failed with exit code {done.returncode}: {errors[-2000:]}")
        vector: Rows = np.load(out, allow_pickle=False)
    return vector


@needs_train
def main() -> None:
    """Encode what standard input asks for."""
    end_with_starter()
    from finetune.embedding.named import encoder_of  # noqa: PLC0415  # PyTorch

    request = json.load(sys.stdin)
    encoder = encoder_of(FeatureStore.open(Path(request["store"])))
    if "photo" in request:
        vector = encoder.encode_photos([load_photo(request["photo"])])
    else:
        vector = encoder.encode_texts([request["sentence"]])
    np.save(request["out"], vector, allow_pickle=False)


if __name__ == "__main__":
    main()
