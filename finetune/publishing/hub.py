"""Sending a run to the Hub: one commit, tried again if the Hub fails, continued if it was interrupted."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatch
from json import JSONDecodeError
from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import HFValidationError, HTTPError, OfflineModeIsEnabled
from huggingface_hub.utils import validate_repo_id

from finetune.publishing.contents import (
    ADAPTER,
    CARD,
    MARK,
    RECIPE,
    RECORD,
    Content,
    left_out,
    publication,
    read_trained,
)
from finetune.publishing.model_card import write_card
from metrics.common.errors import UserError
from metrics.common.files import write_text
from metrics.common.formatting import printable
from metrics.common.ownership import refuse_other

WAITS = (1, 2, 4)
TRANSIENT = (408, 425, 429, 500, 502, 503, 504)
HARMLESS = (".gitattributes", ".gitignore", "LICENSE", "LICENSE.md", CARD)
REPLACED = ("*.safetensors", "*.safetensors.index.json", ADAPTER, "config.json", "generation_config.json", MARK)
TOKENS = "https://huggingface.co/settings/tokens"
CARD_FILE = "model-card.md"
Result = TypeVar("Result")


def push(run: Path, repo: str, *, private: bool = False, model: Path | None = None, dry_run: bool = False) -> None:
    """Publish a finished, scored run as the model `repo` ("owner/name"), in one commit.

    `model` is a folder that `merge` made of this very run, instead of the run's own model. If nothing has changed since
    the last time, nothing is committed; weights that arrived in an interrupted push are not sent again. `dry_run`
    writes the card to `RUN/model-card.md`, lists the files and sends nothing.
    Raises `UserError` if the run lacks something, the token or the repository's name is refused, the repository
    contains anything else, or the Hub cannot be reached.
    """
    _check_name(repo)
    trained = read_trained(run, model)
    hub = None if dry_run else Hub(repo)
    card = write_card(trained, repo)
    files = publication(trained, card)
    for name in left_out(trained):
        print(printable(f"left out: {name}"))
    if hub:
        message = f"{trained.kind} trained by Lookbook {trained.record.versions['lookbook']}"
        print(hub.publish(files, private, message))
    else:
        refuse_other(run / CARD_FILE, "by Lookbook", "model card that Lookbook wrote", "name to it")
        write_text(run / CARD_FILE, card)
        print(_listed(files), f"{run / CARD_FILE}: the card; nothing was sent", sep="\n")


def _check_name(repo: str) -> None:
    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        reason = str(error).partition(" Use `repo_type`")[0]  # an option that push does not have
        raise UserError(f"--repo {repo}: not a valid name of a repository: {reason}") from error
    if "/" not in repo:
        raise UserError(f"--repo {repo}: expected owner/name, for example {repo} under your own name: YOU/{repo}")


def _listed(files: Mapping[str, Content]) -> str:
    sizes = {name: len(file) if isinstance(file, bytes) else file.stat().st_size for name, file in files.items()}
    return "\n".join(f"{size:>15,} bytes  {name}" for name, size in sizes.items())


class Hub:
    """A model's repository on the Hub, and our account there. Raises `UserError` at once if the token is refused."""

    def __init__(self, repo: str) -> None:
        self._repo = repo
        self._api = HfApi(token=get_token())
        if self._api.token is None:
            raise UserError(f"the Hub needs a token, and there is none. {self._token_help()}")
        account = self._try(self._api.whoami)
        token = account.get("auth", {}).get("accessToken") or {}
        if token.get("role") == "read":
            raise UserError(f"the token of {account['name']} may only read. {self._token_help()}")

    def publish(self, files: Mapping[str, Content], private: bool, message: str) -> str:
        """Upload and commit, and return the outcome in one line. Weights that only an earlier push had are removed.

        Weights are sent before the commit and recognised by their content, so that none is sent twice, whatever
        interrupts; the commit takes all or nothing.
        """
        repository = self._prepared(private)
        stale = [name for name in _names(repository) if name not in files and _is_replaced(name)]
        operations = [
            *[CommitOperationAdd(name, content) for name, content in files.items()],
            *[CommitOperationDelete(name) for name in stale],
        ]
        commit = self._try(lambda: self._api.create_commit(self._repo, operations, commit_message=message))
        url = f"{self._api.endpoint}/{self._repo}"
        return f"{url}: nothing has changed" if commit.oid == repository.sha else f"{url}: commit {commit.oid[:12]}"

    def _prepared(self, private: bool) -> Any:
        """The repository, created if it is missing. Raises `UserError` if there is one that is not a run's."""
        self._try(lambda: self._api.create_repo(self._repo, private=private, exist_ok=True))
        repository = self._try(lambda: self._api.model_info(self._repo))
        if private and not repository.private:
            raise UserError(f"{self._repo} exists already and is public; make it private in its settings first")
        others = [name for name in _names(repository) if name not in HARMLESS]
        if others and not {RECIPE, RECORD} <= set(others):
            raise UserError(
                f"{self._repo} exists already and contains what no push wrote ({', '.join(others[:3])}); nothing was "
                "sent. Choose another --repo"
            )
        return repository

    def _try(self, action: Callable[[], Result], waits: Sequence[int] = WAITS) -> Result:
        """Do it, again if the Hub or the connection failed. Raises `UserError` if it refused or fails every time."""
        try:
            return action()
        except (HTTPError, OSError, RuntimeError, ValueError) as error:
            cause = _cause(error)
            if not _is_of_the_hub(cause):
                raise cause from cause.__cause__
            if not waits or not _is_transient(cause):
                raise self._explained(cause) from error
            print(f"the Hub: {_message(cause)}; trying again in {waits[0]} s")
        time.sleep(waits[0])
        return self._try(action, waits[1:])

    def _explained(self, error: BaseException) -> UserError:
        status, message = _status(error), _message(error)
        if status in (401, 403):
            return UserError(f"the Hub refused the token ({status}: {message}). {self._token_help()}")
        failed = "cannot be reached" if _is_transient(error) else f"did not accept {self._repo}"
        return UserError(
            f"{self._api.endpoint} {failed}: {message}. Nothing is lost: start the same command again, and what has "
            "arrived is not sent again"
        )

    def _token_help(self) -> str:
        owner = self._repo.partition("/")[0]
        return (
            f"Make one at {TOKENS}: of type Write, or fine-grained with write access to the repositories of {owner}; "
            "give it as HF_TOKEN in the environment (which precedes a login), or by `hf auth login`"
        )


def _names(info: Any) -> list[str]:
    return [file.rfilename for file in info.siblings or ()]


def _is_replaced(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in REPLACED)


def _cause(error: BaseException) -> BaseException:
    """The failure inside the client's error of an upload: that of the connection, or what was raised first."""
    chain: list[BaseException] = [error]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    return next((link for link in chain if _status(link) or _is_transient(link)), chain[-1])


def _is_of_the_hub(error: BaseException) -> bool:
    """Whether the Hub or the connection failed, not a file of ours or the program.

    huggingface_hub and hf_xet raise bare RuntimeErrors for uploads that failed and bare ValueErrors for answers that
    they cannot read.
    """
    if isinstance(error, OSError) and error.filename is not None:
        return False
    return isinstance(error, (HTTPError, OSError)) or type(error) in (RuntimeError, ValueError, JSONDecodeError)


def _status(error: BaseException) -> int | None:
    status: int | None = getattr(getattr(error, "response", None), "status_code", None)
    return status


def _is_transient(error: BaseException) -> bool:
    if _status(error) is not None:
        return _status(error) in TRANSIENT
    lost = isinstance(error, (HTTPError, ConnectionError, TimeoutError))
    return lost and not isinstance(error, OfflineModeIsEnabled)


def _message(error: BaseException) -> str:
    """The message on one line, without the signatures of storage addresses."""
    return re.sub(r"\?[^\s'\"]+", "", " ".join(str(error).split())) or type(error).__name__
