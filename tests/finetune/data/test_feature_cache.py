"""Feature stores: what is written is read, aligned by id; what is damaged is refused; what was interrupted continues."""

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from feature_stores import write_store
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.data.feature_cache import FeatureStore
from finetune.data.feature_files import About, to_float32, to_stored
from finetune.data.feature_writer import FeatureWriter
from metrics.common.errors import UserError

ABOUT = About("some", "photo")
ROWS = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
IDS = ["a", "b/1", 'c"\u2028', "0104"]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return write_store(tmp_path / "store", IDS, ROWS)


@pytest.mark.parametrize("dtype", ["float16", "float32", "bfloat16"])
def test_rows_come_back_by_id(tmp_path: Path, dtype: str) -> None:
    store = FeatureStore.open(write_store(tmp_path / "new" / "store", IDS, ROWS, dtype=dtype))
    assert (store.ids, store.shape, len(store), store.about) == (IDS, (2, 3), 4, About("some", "photo"))
    assert np.array_equal(store.rows(), ROWS)
    assert np.array_equal(store.rows(store.places(["0104", "a", "0104"])), ROWS[[3, 0, 3]])
    assert np.array_equal(np.concatenate(list(store.batches(3))), ROWS)
    assert "a" in store and "b" not in store


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False, max_value=2.0**120, min_value=-(2.0**120))))
@settings(max_examples=50, deadline=None)
def test_bfloat16_is_the_nearest(values: list[float]) -> None:
    import torch

    rows = np.array(values, dtype=np.float32)
    expected = torch.from_numpy(rows).to(torch.bfloat16).float().numpy()
    assert np.array_equal(to_float32(to_stored(rows, "bfloat16"), "bfloat16"), expected)


def test_vectors_are_rows_of_one_dimension(tmp_path: Path, store: Path) -> None:
    vectors = FeatureStore.open(write_store(tmp_path / "flat", IDS, ROWS.reshape(4, 6))).vectors()
    assert np.array_equal(vectors, ROWS.reshape(4, 6))
    with pytest.raises(UserError, match=r"expected a vector an item, found rows of shape \(2, 3\)"):
        FeatureStore.open(store).vectors()


def test_unknown_ids_are_named(store: Path) -> None:
    with pytest.raises(UserError, match=r"no features of 2 of 3 ids \(x, y\)"):
        FeatureStore.open(store).places(["x", "a", "y"])


def cut_rows(store: Path) -> None:
    (store / "rows.bin").write_bytes((store / "rows.bin").read_bytes()[:-1])


def repeat_id(store: Path) -> None:
    (store / "ids.jsonl").write_text('"a"\n"b"\n"a"\n"c"\n')


def lose_id(store: Path) -> None:
    (store / "ids.jsonl").write_text('"a"\n')


def swap_ids(store: Path) -> None:
    first, second, *rest = (store / "ids.jsonl").read_text().splitlines(keepends=True)
    (store / "ids.jsonl").write_text("".join([second, first, *rest]))


def number_id(store: Path) -> None:
    (store / "ids.jsonl").write_text("1\n")


def spoil_shape(store: Path) -> None:
    values = json.loads((store / "features.json").read_text())
    (store / "features.json").write_text(json.dumps(values | {"shape": [2, -3]}))


def flatten_shape(store: Path) -> None:
    values = json.loads((store / "features.json").read_text())
    (store / "features.json").write_text(json.dumps(values | {"shape": 6}))


def empty(store: Path) -> None:
    values = json.loads((store / "features.json").read_text())
    (store / "features.json").write_text(json.dumps(values | {"rows": 0}))
    (store / "ids.jsonl").write_text("")
    (store / "rows.bin").write_bytes(b"")


def lose_encoder(store: Path) -> None:
    values = json.loads((store / "features.json").read_text())
    (store / "features.json").write_text(json.dumps(values | {"about": {}}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut_rows, "rows.bin: expected 48 bytes, found 47"),
        (repeat_id, "ids.jsonl:3: the id a is there twice"),
        (lose_id, "ids.jsonl: expected 4 ids, found 1"),
        (swap_ids, "ids.jsonl: the ids, or their order, were changed"),
        (number_id, "ids.jsonl:1: expected an id as a JSON string, found 1"),
        (spoil_shape, 'expected a "shape"'),
        (flatten_shape, 'expected a "shape"'),
        (empty, "expected some ids, found 0"),
        (lose_encoder, '"encoder" and "reads"'),
        (lambda store: (store / "rows.bin").unlink(), "expected 48 bytes, found 0"),
        (lambda store: (store / "features.json").unlink(), "expected a feature store, found no features.json"),
        (lambda store: (store / "features.json").write_text("{"), "expected a JSON object"),
    ],
)
def test_damaged_stores_are_refused(store: Path, damage: object, message: str) -> None:
    damage(store)  # type: ignore[operator]
    with pytest.raises(UserError, match=message):
        FeatureStore.open(store)


def as_earlier_version(store: Path) -> dict[str, Any]:
    """Take the hashes out that earlier versions did not write; return them."""
    values = json.loads((store / "features.json").read_text())
    taken = {name: values.pop(name) for name in ("ids_digest", "pieces")}
    (store / "features.json").write_text(json.dumps(values))
    return taken


def test_a_store_of_an_earlier_version_opens(store: Path) -> None:
    """It has no hash of its ids, nor of its rows."""
    digests = as_earlier_version(store)
    assert digests["ids_digest"] == sha256((store / "ids.jsonl").read_bytes()).hexdigest()
    assert digests["pieces"]["digests"] == [sha256((store / "rows.bin").read_bytes()).hexdigest()[:16]]
    opened = FeatureStore.open(store)
    assert opened.ids == IDS and np.array_equal(opened.rows(), ROWS)


def test_a_damaged_byte_is_found_when_its_piece_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of 2 bytes in pieces of 5 bytes: two rows a piece, one in the last."""
    monkeypatch.setattr("finetune.data.feature_files._PIECE", 5)
    ids = ["a", "b", "c", "d", "e"]
    path = write_store(tmp_path / "store", ids, [[1], [2], [3], [4], [5]])
    damaged = bytearray((path / "rows.bin").read_bytes())
    damaged[7] ^= 1  # of d
    (path / "rows.bin").write_bytes(damaged)
    store = FeatureStore.open(path, "make it again")
    assert store.rows([4, 0]).tolist() == [[5], [1]]
    for _ in range(2):
        with pytest.raises(
            UserError, match=r"rows.bin: among the rows of c to d something was changed .*; make it again"
        ):
            store.rows([2])
    with pytest.raises(UserError, match="among the rows of c to d"):
        store.check()
    values = json.loads((path / "features.json").read_text())
    (path / "features.json").write_text(json.dumps(values | {"pieces": {"rows": 2, "digests": ["x"]}}))
    with pytest.raises(UserError, match="pieces: expected a hash of every 2 of 5 rows, found 1; remove it"):
        FeatureStore.open(path)


def test_what_an_earlier_version_did_not_record_is_no_difference() -> None:
    earlier, now = About("some", "text", weights="a"), About("some", "text", weights="a", revision="c", processor="p")
    earlier.refuse_other(now, "store", "")
    now.refuse_other(earlier, "store", "")
    with pytest.raises(UserError, match="expected features with processor p, found q"):
        now.refuse_other(replace(now, processor="q"), "store", "")


@pytest.mark.parametrize(
    ("encoder", "shown"),
    [
        ("/home/me/runs/mine:queries", "mine:queries"),
        ("/venv/lib/demo_base/model:vision", "demo_base/model:vision"),
        ("/runs/shop/checkpoint-20", "shop/checkpoint-20"),
        ("/copies/fashion-clip/1a2b3c4", "fashion-clip/1a2b3c4"),
        ("/hub/models--a--fashion-clip/snapshots/1a2b3c", "fashion-clip"),
        ("/hub/models--a--blip2/snapshots/1a2b3c:queries", "blip2:queries"),
        ("a/fashion-clip + /home/me/mine", "a/fashion-clip + mine"),
    ],
)
def test_a_model_is_shown_by_a_name_that_tells_it(encoder: str, shown: str) -> None:
    assert About(encoder, "photo").encoder_shown == shown


def test_nan_is_refused_where_it_lies(store: Path) -> None:
    as_earlier_version(store)
    rows = ROWS.astype("<f2")
    rows[1, 0, 0] = np.nan
    (store / "rows.bin").write_bytes(rows.tobytes())
    opened = FeatureStore.open(store)
    assert np.array_equal(opened.rows([0, 2]), ROWS[[0, 2]])
    with pytest.raises(UserError, match="row of b/1 has NaN"):
        opened.rows()


def test_writer_refuses_what_is_no_feature(tmp_path: Path) -> None:
    with FeatureWriter(tmp_path / "store", ABOUT, (2,)) as writer:
        with pytest.raises(UserError, match="features of b are not finite in float16"):
            writer.append(["a", "b"], np.array([[1, 2], [1, 70_000]], dtype=np.float32))
        with pytest.raises(UserError, match=r"expected rows of shape \(1, 2\), found \(1, 3\)"):
            writer.append(["c"], np.ones((1, 3), np.float32))
        writer.append(["a", "d"], np.ones((2, 2), np.float32))
        with pytest.raises(UserError, match="the id d is there twice"):
            writer.append(["d"], np.ones((1, 2), np.float32))
    with (
        FeatureWriter(tmp_path / "empty", ABOUT, (2,)) as writer,
        pytest.raises(UserError, match="no item has features"),
    ):
        writer.finish()
    assert not (tmp_path / "store").exists() and not (tmp_path / "empty").exists()


@given(cut_row=st.integers(0, 48), cut_id=st.integers(0, 20))
@settings(max_examples=15, deadline=None)
def test_a_draft_cut_anywhere_is_continued(tmp_path_factory: pytest.TempPathFactory, cut_row: int, cut_id: int) -> None:
    path = tmp_path_factory.mktemp("cut") / "store"
    with FeatureWriter(path, ABOUT, (2, 3)) as writer:
        writer.append(IDS, ROWS)
    for name, cut in (("rows.bin", cut_row), ("ids.jsonl", cut_id)):
        file = writer.draft / name
        file.write_bytes(file.read_bytes()[: max(0, file.stat().st_size - cut)])
    with FeatureWriter(path, ABOUT, (2, 3)) as writer:
        kept = len(writer.ids)
        assert writer.ids == IDS[:kept]
        writer.append(IDS[kept:], ROWS[kept:])
        writer.finish()
    assert FeatureStore.open(path).ids == IDS
    assert np.array_equal(FeatureStore.open(path).rows(), ROWS)


def test_drafts_of_other_features_and_finished_stores_stay(tmp_path: Path, store: Path) -> None:
    with FeatureWriter(tmp_path / "new", ABOUT, (2,)) as writer:
        writer.append(["a"], np.ones((1, 2), np.float32))
    with (
        pytest.raises(UserError, match="expected features with encoder other, found some; remove"),
        FeatureWriter(tmp_path / "new", About("other", "photo"), (2,)),
    ):
        pass
    with pytest.raises(UserError, match="exists already"):
        FeatureWriter(store, ABOUT, (2, 3))
