"""Merged models, loaded by an earlier transformers without Lookbook, write what `lookbook caption` writes here.

`python tests/compat/compare.py PACKAGES [FAMILY...]`, which is `make compat`: PACKAGES is a folder with that
transformers and what must be as old; all else is of this environment.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

SUPPORT = Path(__file__).resolve().parents[1] / "support"
sys.path.insert(0, str(SUPPORT))

from tiny import finetune  # noqa: E402
from tiny_models import write_recipe  # noqa: E402

PHOTOS = 20
BEAMS = (1, 3)
FAMILIES: dict[str, dict[str, Any]] = {"blip2": {}, "llava": {"image": "pad"}, "llava-crop": {"image": "crop"}}


def main(packages: Path, families: list[str]) -> int:
    """Print a line for each family and number of beams; 1 if a caption differs."""
    equal = True
    with TemporaryDirectory() as folder:
        for family in families or FAMILIES:
            for beams in BEAMS:
                ours, theirs, version = compared(Path(folder), packages, family, beams)
                same = sum(one == other for one, other in zip(ours, theirs, strict=True))
                print(
                    f"{family}, {beams} beam(s): {same} of {len(ours)} captions of transformers {version} are equal "
                    f"({len(set(ours))} distinct), such as {ours[0]!r}"
                )
                equal &= same == len(ours) == PHOTOS
    return not equal


def compared(root: Path, packages: Path, family: str, beams: int) -> tuple[list[str], list[str], str]:
    """Captions of the same photos by the run here and by its merged model there, and there the version."""
    name = f"{family}-{beams}"
    tiny = {"image_size": 32, "hidden_size": 64, "layers": 1, "queries": 4, "vocabulary": 400, "dropout": 0}
    model = {"family": family.partition("-")[0], "base": str(root / f"base-{family}"), "tiny": tiny} | FAMILIES[family]
    path = write_recipe(
        root,
        name,
        model=model,
        training={"epochs": 8, "learning_rate": 1e-2},
        decoding={"max_new_tokens": 20, "beams": beams, "repetition_penalty": 1.1},
    )
    run, whole, out = root / name, root / f"{name}-whole", root / f"{name}-captions" / "captions.jsonl"
    photos = root / "photos"
    if not photos.exists():
        photos.mkdir()
        for place, photo in enumerate(sorted((root / "demo").rglob("*.jpg"))[:PHOTOS]):
            (photos / f"{place:02d}.jpg").write_bytes(photo.read_bytes())
    done(finetune("train", path))
    done(finetune("merge", run, "--out", whole))
    done(finetune("caption", "--model", run, "--data", photos, "--out", out))
    lines = sorted(map(json.loads, out.read_text(encoding="utf-8").splitlines()), key=lambda line: line["id"])
    prompt = json.loads((out.parent / "run.json").read_text(encoding="utf-8"))["prompt"]
    environment = os.environ | {"PYTHONPATH": str(packages.resolve()), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, str(Path(__file__).with_name("plain.py")), str(whole), str(photos), prompt]
    there = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if there.returncode:
        raise SystemExit(f"{name}: the merged model does not load there:\n{there.stderr[-3000:]}")
    answer = json.loads(there.stdout.splitlines()[-1])
    return [line["caption"] for line in lines], answer["captions"], answer["transformers"]


def done(result: Any) -> None:
    """A command of ours that must have succeeded."""
    if result.exit_code:
        raise SystemExit(result.output)


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), sys.argv[2:]))
