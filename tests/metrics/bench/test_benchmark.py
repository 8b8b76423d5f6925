"""The benchmark: made-up captions as it says they are, real runs of both sides, and values that differ."""

from pathlib import Path

import pytest
from places import SUPPORT

from metrics import UserError
from metrics.bench.runner import Contest, Values, bench
from metrics.bench.synthetic import made_up_captions
from metrics.bench.workloads import our_scores, pycocoevalcap_scores, write_pairs


def right(folder: Path) -> Values:
    assert (folder / "inputs").read_text() == "7"
    return {"a": [1.0, 0.5], "b": [0.25]}


def wrong(folder: Path) -> Values:
    return {"a": [1.0, 0.5], "b": [0.25000000000000006]}


def failing(folder: Path) -> Values:
    raise RuntimeError(f"nothing in {folder.name}")


def inputs(folder: Path, pairs: int) -> str:
    return f"{(folder / 'inputs').write_text(str(pairs))} character"


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sides run in processes of their own, which must find this file."""
    monkeypatch.setenv("PYTHONPATH", f"{Path(__file__).parent}:{SUPPORT}")


def test_captions_are_as_they_are_said_to_be() -> None:
    records = made_up_captions(2000)
    references = [record["references"][0] for record in records]
    assert len(set(references)) == 820
    assert 23 < sum(len(text.split()) for text in references) / 2000 < 26
    assert 0.35 < sum(record["caption"] == record["references"][0] for record in records) / 2000 < 0.45
    assert records == made_up_captions(2000)


@pytest.mark.processes
def test_values_that_differ_by_a_bit_are_named() -> None:
    [outcome] = bench([Contest("made up", (7, 8), inputs, wrong, right)])
    assert (outcome.different, outcome.inputs) == (["b"], "1 character")
    assert outcome.theirs.seconds > 0
    assert outcome.theirs.cpu_seconds > 0


@pytest.mark.processes
def test_a_side_that_fails_is_quoted() -> None:
    with pytest.raises(UserError, match=r"(?s)made up: ours failed with exit code 1: .*RuntimeError: nothing in"):
        list(bench([Contest("made up", (7, 8), inputs, failing, right)]))


@pytest.mark.processes
@pytest.mark.slow
@pytest.mark.java
def test_lookbook_and_the_official_scorers_give_the_same() -> None:
    [outcome] = bench([Contest("all but SPICE", (60, 0), write_pairs, our_scores, pycocoevalcap_scores)])
    assert set(outcome.theirs.values) == {f"BLEU-{n}" for n in (1, 2, 3, 4)} | {"METEOR", "ROUGE-L", "CIDEr"}
    assert {len(values) for values in outcome.ours.values.values()} == {61}
    assert outcome.different == []
