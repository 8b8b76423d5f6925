"""A small Hub on this machine: it speaks the upload and download protocol of the real one to the real client."""

import base64
import hashlib
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard

NAME = r"(?P<repo>[\w.-]+/[\w.-]+)"
Files = dict[str, bytes]


@dataclass
class Repo:
    """One repository: its commits in order, each with all its files."""

    private: bool = False
    commits: list[tuple[str, Files]] = field(default_factory=lambda: [("0" * 40, {".gitattributes": b""})])

    @property
    def files(self) -> Files:
        return self.commits[-1][1]

    def at(self, revision: str) -> tuple[str, Files] | None:
        if revision == "main":
            return self.commits[-1]
        return next((commit for commit in self.commits if commit[0] == revision), None)

    def add(self, files: Files) -> str:
        state = json.dumps([self.commits[-1][0], sorted((name, git_oid(body)) for name, body in files.items())])
        self.commits.append((hashlib.sha1(state.encode()).hexdigest(), files))  # noqa: S324
        return self.commits[-1][0]


@dataclass
class HubServer:
    """What the server keeps, and how it shall misbehave.

    `faults` maps a request ("POST /api/repos/create", by a pattern) to the statuses of its next answers. Uploads of
    weights are numbered from 1: `drop` is the one that is cut off in its middle, `stall` the one left hanging there.
    """

    url: str = ""
    tokens: dict[str, tuple[str, str]] = field(default_factory=lambda: {"hf_writes": ("me", "write")})
    repos: dict[str, Repo] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)
    faults: dict[str, list[int]] = field(default_factory=dict)
    stalled: threading.Event = field(default_factory=threading.Event)
    uploads: Iterator[int] = field(default_factory=lambda: count(1))
    drop: int | None = None
    stall: int | None = None

    def put_folder(self, repo: str, folder: Path) -> None:
        """Publish a folder as somebody else's repository."""
        self.repos[repo] = Repo()
        self.repos[repo].add({path.name: path.read_bytes() for path in folder.iterdir()})

    def fault(self, request: str) -> int | None:
        for pattern, statuses in self.faults.items():
            if statuses and re.match(pattern, request):
                return statuses.pop(0)
        return None


@contextmanager
def hub_server() -> Iterator[HubServer]:
    """Serve until the block ends."""
    hub = HubServer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def git_oid(body: bytes) -> str:
    """Git's name of a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()  # noqa: S324


def is_lfs(name: str) -> bool:
    return name.endswith(".safetensors")


def oid(name: str, body: bytes) -> str:
    return hashlib.sha256(body).hexdigest() if is_lfs(name) else git_oid(body)


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Quietly."""

    def do_GET(self) -> None:
        self._serve("GET")

    def do_HEAD(self) -> None:
        self._serve("HEAD")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_PUT(self) -> None:
        self._serve("PUT")

    def _serve(self, method: str) -> None:
        path = self.path.partition("?")[0]
        self.hub.requests.append(f"{method} {path}")
        fault = self.hub.fault(f"{method} {path}")
        for verb, pattern, action in ROUTES:
            found = re.fullmatch(pattern, path)
            if method in verb and found:
                if verb != "PUT":
                    self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if fault:
                    return self._say(fault, {"error": "out of order"})
                return action(self, **found.groupdict())
        return self._say(404, {"error": f"no such route: {method} {path}"})

    def _say(self, status: int, value: Any, **headers: str) -> None:
        self._send(status, json.dumps(value).encode(), {"Content-Type": "application/json"} | headers)

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _account(self) -> tuple[str, str] | None:
        return self.hub.tokens.get(self.headers.get("Authorization", "").removeprefix("Bearer "))

    def _may_write(self, repo: str) -> bool:
        account = self._account()
        if account is None:
            self._say(401, {"error": "Invalid credentials in Authorization header"})
        elif account != (repo.partition("/")[0], "write"):
            self._say(403, {"error": f"You don't have the rights to write to {repo}"})
        return account == (repo.partition("/")[0], "write")

    def _repo(self, name: str) -> Repo | None:
        """A repository that the caller may read."""
        repo = self.hub.repos.get(name)
        if repo is None or (repo.private and (self._account() or ("",))[0] != name.partition("/")[0]):
            self._say(401, {"error": "Repository not found"}, **{"X-Error-Code": "RepoNotFound"})
            return None
        return repo

    def whoami(self) -> None:
        account = self._account()
        if account is None:
            return self._say(401, {"error": "Invalid credentials in Authorization header"})
        return self._say(200, {"name": account[0], "auth": {"accessToken": {"role": account[1]}}})

    def create(self) -> None:
        asked = json.loads(self.body)
        name = f"{asked['organization']}/{asked['name']}"
        url = {"url": f"{self.hub.url}/{name}"}
        if not self._may_write(name):
            return None
        if name in self.hub.repos:
            return self._say(409, url | {"error": "You already created this model repo"})
        self.hub.repos[name] = Repo(private=asked.get("visibility") == "private")
        return self._say(200, url)

    def validate(self) -> None:
        self._say(200, {"errors": [], "warnings": []})

    def info(self, repo: str, revision: str | None = None) -> None:
        kept = self._repo(repo)
        if kept:
            commit = kept.at(revision or "main")
            if commit is None:
                return self._say(404, {"error": "no such revision"}, **{"X-Error-Code": "RevisionNotFound"})
            names = [{"rfilename": name} for name in commit[1]]
            card = ModelCard(commit[1].get("README.md", b"---\n{}\n---\n").decode()).data.to_dict()
            info = {"id": repo, "sha": commit[0], "private": kept.private, "siblings": names, "cardData": card}
            return self._say(200, info)
        return None

    def tree(self, repo: str, revision: str, folder: str | None = None) -> None:
        kept = self._repo(repo)
        found = kept and kept.at(revision)
        if found:
            inside = {name: body for name, body in found[1].items() if name.startswith(folder or "")}
            if not inside:
                return self._say(404, {"error": "no such folder"}, **{"X-Error-Code": "EntryNotFound"})
            rows = [{"type": "file", "path": n, "size": len(b), "oid": git_oid(b)} for n, b in inside.items()]
            return self._say(200, rows)
        return self._say(404, {"error": "no such revision"}) if kept else None

    def resolve(self, repo: str, revision: str, name: str) -> None:
        kept = self._repo(repo)
        if kept is None:
            return None
        commit = kept.at(revision)
        if commit is None:
            return self._say(404, {"error": "no such revision"}, **{"X-Error-Code": "RevisionNotFound"})
        tag = {"X-Repo-Commit": commit[0]}
        if name not in commit[1]:
            return self._say(404, {"error": "no such file"}, **tag, **{"X-Error-Code": "EntryNotFound"})
        return self._send(200, commit[1][name], tag | {"ETag": f'"{oid(name, commit[1][name])}"'})

    def preupload(self, repo: str) -> None:
        if self._may_write(repo):
            kept = self.hub.repos[repo].files
            self._say(200, {"files": [_upload_mode(asked["path"], kept) for asked in json.loads(self.body)["files"]]})

    def batch(self, repo: str) -> None:
        if self._may_write(repo):
            asked = json.loads(self.body)["objects"]
            self._say(200, {"transfer": "basic", "objects": [self._instruction(entry) for entry in asked]})

    def _instruction(self, entry: dict[str, Any]) -> dict[str, Any]:
        wanted = {"oid": entry["oid"], "size": entry["size"]}
        if entry["oid"] in self.hub.objects:
            return wanted
        return wanted | {"actions": {"upload": {"href": f"{self.hub.url}/storage/{entry['oid']}"}}}

    def store(self, name: str) -> None:
        size, number = int(self.headers["Content-Length"]), next(self.hub.uploads)
        if number in (self.hub.drop, self.hub.stall):
            self.rfile.read(size // 2)
            if number == self.hub.stall:
                self.hub.stalled.set()
                self.rfile.read(size)  # ends when the client is gone
            self.close_connection = True
            return self.connection.shutdown(socket.SHUT_RDWR)
        body = self.rfile.read(size)
        if hashlib.sha256(body).hexdigest() != name:
            return self._say(400, {"error": "content does not fit its name"})
        self.hub.objects[name] = body
        self.hub.stored.append(name)
        return self._say(200, {})

    def commit(self, repo: str) -> None:
        if not self._may_write(repo):
            return None
        kept = self.hub.repos[repo]
        files = dict(kept.files)
        for line in self.body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                if value["oid"] not in self.hub.objects:
                    return self._say(422, {"error": f"LFS object {value['oid']} was never uploaded"})
                files[value["path"]] = self.hub.objects[value["oid"]]
            elif entry["key"] == "deletedFile":
                del files[value["path"]]
        made = kept.add(files)
        return self._say(200, {"commitUrl": f"{self.hub.url}/{repo}/commit/{made}", "commitOid": made})


def _upload_mode(name: str, kept: Files) -> dict[str, Any]:
    remote = {"oid": oid(name, kept[name])} if name in kept else {}
    return {"path": name, "uploadMode": "lfs" if is_lfs(name) else "regular", "shouldIgnore": False} | remote


ROUTES: list[tuple[str, str, Callable[..., None]]] = [
    ("GET", r"/api/whoami-v2", _Handler.whoami),
    ("POST", r"/api/repos/create", _Handler.create),
    ("POST", r"/api/validate-yaml", _Handler.validate),
    ("GET", rf"/api/models/{NAME}(/revision/(?P<revision>[^/]+))?", _Handler.info),
    ("GET", rf"/api/models/{NAME}/tree/(?P<revision>[^/]+)(/(?P<folder>.+))?", _Handler.tree),
    ("GET HEAD", rf"/{NAME}/resolve/(?P<revision>[^/]+)/(?P<name>.+)", _Handler.resolve),
    ("POST", rf"/api/models/{NAME}/preupload/main", _Handler.preupload),
    ("POST", rf"/{NAME}\.git/info/lfs/objects/batch", _Handler.batch),
    ("PUT", r"/storage/(?P<name>\w+)", _Handler.store),
    ("POST", rf"/api/models/{NAME}/commit/main", _Handler.commit),
]
