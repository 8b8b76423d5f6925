"""What the Hub says when it gives nothing comes whole, in one message, with what to do."""

from typing import Any

import httpx
import pytest
from huggingface_hub.errors import GatedRepoError

from finetune.models import adapter_files, loading
from metrics.common.errors import UserError
from metrics.encoders import pretrained

SAID = (
    "403 Client Error. (Request ID: Root=1-2)\n\nCannot access gated repo for url https://huggingface.co/shop/closed.\n"
    "Access to model shop/closed is restricted and you are not in the authorized list."
)


def refuse(*_: Any, **__: Any) -> None:
    request = httpx.Request("GET", "https://huggingface.co/shop/closed")
    raise GatedRepoError(SAID, response=httpx.Response(403, request=request))


def test_a_gated_model_is_explained_in_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "hf_hub_download", refuse)
    monkeypatch.setattr(adapter_files, "snapshot_download", refuse)
    attempts = (lambda: loading.read_config("shop/closed"), lambda: adapter_files.adapter_folder("shop/closed"))
    for attempt in attempts:
        with pytest.raises(UserError) as caught:
            attempt()
        message = str(caught.value)
        assert "you are not in the authorized list." in message
        assert message.endswith("ask for access on its page, then log in by `hf auth login`, or set HF_TOKEN")
        assert "\n" not in message


def test_a_library_s_reason_comes_whole() -> None:
    expected = pytest.raises(UserError, match="cannot load it as a model: one two three")
    with expected, pretrained.loading("here", "a model", "another"):
        raise OSError("one\n\n two\nthree")
