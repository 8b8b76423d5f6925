"""Regular expressions of somebody's adapter are tried with a limit before PEFT runs them without one."""

from typing import Any

import pytest

from finetune.models import adapter_patterns
from finetune.models.adapter_patterns import refuse_slow_patterns
from metrics.common.errors import UserError

NAMES = ["language_model.layers.0.q_proj", "a" * 60 + "!"]


@pytest.mark.parametrize(
    "config",
    [{"target_modules": "(a+)+$"}, {"rank_pattern": {"(a+)+": 3}}, {"modules_to_save": ["(a+)+b"]}],
    ids=lambda config: next(iter(config)),
)
def test_a_pattern_that_never_ends_is_refused(config: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter_patterns, "_SECONDS", 0.3)
    with pytest.raises(UserError, match=r"^adapter x: its patterns take more than 0\.3 s to match"):
        refuse_slow_patterns(config, NAMES, "adapter x")


def test_what_is_no_pattern_is_said() -> None:
    with pytest.raises(UserError, match=r"adapter x: no regular expression: .*unterminated subpattern"):
        refuse_slow_patterns({"exclude_modules": "("}, NAMES, "adapter x")


@pytest.mark.parametrize(
    "config",
    [{}, {"target_modules": ["(a+)+$"]}, {"target_modules": r".*\.(q_proj|v_proj)", "alpha_pattern": {"q": 1}}],
)
def test_names_and_usual_patterns_are_not(config: dict[str, Any]) -> None:
    refuse_slow_patterns(config, NAMES, "adapter x")
