"""Secrets of the environment reach no message, page or record."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from metrics.common.errors import UserError, user_errors
from metrics.common.secrets import secret_in, without_secrets
from metrics.common.templates import template_environment
from metrics.records.run import RunRecord

SECRET = "5ec2e7-of-the-shop"
NAMES = ("SHOP_PASSWORD", "HF_TOKEN", "aws_secret_access_key", "CLIENT_SECRET")


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(request.param, SECRET)
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "parallelism")  # no secret, as its name does not end in one
    monkeypatch.setenv("SHORT_KEY", "true")
    return str(request.param)


def test_messages_name_the_variable(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKBOOK_DEBUG", "1")
    with pytest.raises(SystemExit), user_errors():
        raise UserError(f"https://me:{SECRET}@example.org: refused; true parallelism")
    said = capsys.readouterr().err
    assert f"error: https://me:${name}@example.org: refused; true parallelism" in said
    assert SECRET not in said


def test_pages_and_records_name_the_variable(name: str, tmp_path: Path) -> None:
    environment = template_environment("metrics")
    page = environment.from_string("{{ text }} {{ bold }} {{ number }}")
    shown = page.render(text=f"<{SECRET}>", bold=Markup(f"<b>{SECRET}</b>"), number=3)  # noqa: S704
    assert shown == f"&lt;${name}&gt; <b>${name}</b> 3"
    RunRecord(system=f"runs of {SECRET}", decoding={"beams": 1, "list": [SECRET]}).write(tmp_path / "run.json")
    written = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert (written["system"], written["decoding"]) == (f"runs of ${name}", {"beams": 1, "list": [f"${name}"]})


leaves = st.text("ab:/ .", max_size=6).map(lambda text: f"{text}{SECRET}{text}") | st.integers() | st.none()
plain = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text("kl", min_size=1), inner))


@given(plain, st.sampled_from(NAMES))
def test_nothing_else_changes(value: object, name: str) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(name, SECRET)
        shown = without_secrets(value)
        assert secret_in(json.dumps(shown)) is None
    assert json.loads(json.dumps(shown).replace(f"${name}", SECRET)) == value
