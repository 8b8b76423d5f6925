"""Pushing runs to the small Hub in a process of its own, since the client reads `HF_ENDPOINT` when it is imported."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hub_runs import FAMILIES
from hub_server import HubServer, hub_server
from places import ROOT
from tiny_models import write_tiny

SUPPORT = Path(__file__).parent
CARD, WEIGHTS = "README.md", "adapter_model.safetensors"


def environment(hub: HubServer, home: Path, **changes: str) -> dict[str, str]:
    """Of somebody who knows this Hub alone; xet's own server is not among what it speaks."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    own = {"HF_ENDPOINT": hub.url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": "hf_writes"}
    paths = os.pathsep.join([str(SUPPORT), str(ROOT)])
    return kept | own | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"} | changes


def make_runs(root: Path) -> Path:
    """A finished run of each family on a base model of a Hub, and its merged model."""
    with hub_server() as hub:
        for family in FAMILIES:
            base = write_tiny(root / f"base-{family}", family)
            (base / CARD).write_text("---\nlicense: cc-by-4.0\n---\n")
            hub.put_folder(f"tiny/{family}", base)
        in_a_process("make", root, hub, root / "home", LOOKBOOK_CACHE=str(root / "cache"))
    return root


def in_a_process(verb: str, root: Path, hub: HubServer, home: Path, *repos: str, **changes: str) -> None:
    """`python hub_runs.py VERB ROOT REPO...`, which must succeed."""
    done = subprocess.run(
        [sys.executable, str(SUPPORT / "hub_runs.py"), verb, str(root), *repos],
        env=environment(hub, home, **changes),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def command(run: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "finetune", "push", str(run), *options]


def push(hub: HubServer, run: Path, *options: str, **changes: str) -> subprocess.CompletedProcess[str]:
    changed = environment(hub, run.parent / f"pusher-{os.getpid()}", **changes)
    return subprocess.run(command(run, *options), env=changed, capture_output=True, text=True, check=False)


def pushed(hub: HubServer, run: Path, *options: str) -> str:
    done = push(hub, run, *options)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def refused(hub: HubServer, run: Path, *options: str, **changes: str) -> str:
    done = push(hub, run, *options, **changes)
    assert done.returncode == 2, done.stdout + done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    assert "hf_" not in done.stderr
    return done.stderr.partition("error: ")[2]


def report(run: Path) -> dict[str, Any]:
    return dict(json.loads((run / "report" / "report.json").read_text()))
