"""What a number came from: versions, machine, code."""

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import torch

from metrics.common.version import installed_version

PACKAGES = ("torch", "transformers", "peft", "accelerate", "datasets", "tokenizers")


def versions() -> dict[str, str]:
    """Python and the packages that can change a result."""
    return {
        "python": platform.python_version(),
        "lookbook": installed_version(),
        **{name: version(name) for name in PACKAGES},
    }


def hardware() -> dict[str, str | int | None]:
    """Processor, cores and accelerator."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "cpu": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": gpu,
        "gpus": torch.cuda.device_count(),
    }


def _processor() -> str:
    listed = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.*)", listed.read_text(encoding="utf-8")) if listed.is_file() else []
    return names[0] if names else platform.processor() or platform.machine()


def git_hash() -> str | None:
    """The commit of the code that runs, `-dirty` where it was changed; None outside a checkout or without git."""
    folder = Path(__file__).parent
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError:
        return None
    return result.stdout.strip() or None
