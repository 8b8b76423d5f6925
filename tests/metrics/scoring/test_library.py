"""`from metrics import ...`: the example that its docstring shows, names that are there, and nothing heavy behind them."""

import doctest
import subprocess
import sys
from pathlib import Path

import pytest

import metrics


@pytest.mark.java
def test_the_docstrings_example_runs() -> None:
    tested = doctest.testmod(metrics, optionflags=doctest.ELLIPSIS)
    # BLEU-1: all 5 words are in references of 7, so exp(1 - 7/5); alone exp(1 - 3/2) and exp(1 - 4/3).
    assert (tested.attempted, tested.failed) == (5, 0)


def test_every_name_is_there_and_no_other() -> None:
    for name in metrics.__all__:
        assert getattr(metrics, name).__module__.startswith("metrics.")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = metrics.nothing
    assert (Path(metrics.__file__).parent / "py.typed").is_file()


def test_one_name_may_stand_for_a_list_of_names() -> None:
    assert [one.names for one in metrics.choose_measures("cider")] == [("CIDEr",)]


def test_names_are_no_measures() -> None:
    dress = metrics.CaptionRecord("1", "a red dress", references=("a long red dress",))
    with pytest.raises(
        metrics.UserError, match=r"expected measures, such as choose_measures\(\['CIDEr'\]\), found 'CIDEr'"
    ):
        metrics.score_captions([dress], measures=["CIDEr"])  # type: ignore[list-item]


@pytest.mark.processes
@pytest.mark.java
def test_scoring_from_python_imports_nothing_heavy() -> None:
    heavy = ["torch", "transformers", "stanza", "evaluate", "datasets", "pandas", "scipy", "jgo"]
    examples = doctest.DocTestParser().get_examples(metrics.__doc__ or "")
    code = (
        "import sys, metrics\n"
        "lazy = 'numpy' not in sys.modules\n"
        f"{''.join(example.source for example in examples)}"
        f"print(lazy, [name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "True []"
