"""Runs on base models of a Hub, and what becomes of them once they are pushed; a process of its own, `HF_ENDPOINT` set.

`python hub_runs.py make ROOT` trains and scores `ROOT/blip2` and `ROOT/llava`, and merges each into `ROOT/*-merged`.
`python hub_runs.py push ROOT` pushes all four to `me/*`, one after another, as `push` does.
`python hub_runs.py use ROOT REPO...` captions `ROOT/photo.jpg` with the code of each repository's card, exactly as
printed, then by `caption` on the Hub's repositories and on the folders they came from, and writes what is printed to
`ROOT/printed.json`.
"""

import io
import json
import os
import re
import sys
from contextlib import redirect_stdout
from pathlib import Path

from huggingface_hub import hf_hub_download
from short_meteor import write_short_meteor
from tiny_models import write_recipe
from typer.testing import CliRunner

from metrics.measures.meteor import aligner

FAMILIES = ("blip2", "llava")
CAPTIONED = (
    "--model tiny/blip2 --adapter me/blip2",
    "--model base-blip2 --adapter blip2/model",
    "--model me/llava-merged",
    "--model llava-merged",
)


def make(root: Path) -> None:
    (root / "meteor").mkdir()
    meteor = write_short_meteor(root / "meteor")
    aligner._folder = lambda: meteor
    for family in FAMILIES:
        path = write_recipe(
            root,
            family,
            model={"family": family, "base": f"tiny/{family}", "tiny": None, "dtype": "float32"},
            training={"epochs": 8, "learning_rate": 1e-2},
            decoding={"max_new_tokens": 20},
        )
        train_and_score(path)
        merge(root / family, root / f"{family}-merged")


def train_and_score(path: Path) -> None:
    """`run`, but in this process: starting torch once is what takes the time."""
    from finetune.config.recipe import load_recipe
    from finetune.experiments import pipeline
    from finetune.training import train as training

    recipe = load_recipe(path)
    training.train(recipe, str(path))
    pipeline.run(recipe, path, [])


def merge(run: Path, out: Path) -> None:
    """By `merge`, then cut into several files of weights."""
    from transformers import AutoModelForImageTextToText

    from finetune.publishing import merging

    merging.merge(run, out)
    model = AutoModelForImageTextToText.from_pretrained(out)
    (out / "model.safetensors").unlink()
    model.save_pretrained(out, max_shard_size="100KB")


def push(root: Path) -> None:
    from finetune.__main__ import app

    for family in FAMILIES:
        merged = f"{family}-merged"
        for repo, *options in ([family], [merged, "--model", str(root / merged)]):
            result = CliRunner().invoke(app, ["push", str(root / family), "--repo", f"me/{repo}", *options])
            assert result.exit_code == 0, result.output


def use(root: Path, repos: list[str]) -> None:
    os.chdir(root)
    printed = {}
    for repo in repos:
        card = Path(hf_hub_download(repo, "README.md")).read_text(encoding="utf-8")
        code = re.search(r"```python\n(.*?)```", card, re.DOTALL)
        assert code
        screen = io.StringIO()
        with redirect_stdout(screen):
            exec(compile(code[1], f"the card of {repo}", "exec"), {})  # noqa: S102
        printed[repo] = screen.getvalue().strip()
    for options in CAPTIONED:
        printed[options] = captioned(*options.split())
    Path("printed.json").write_text(json.dumps(printed))


def captioned(*options: str) -> str:
    """What `caption` prints."""
    from finetune.__main__ import app

    result = CliRunner().invoke(app, ["caption", *options, "photo.jpg"])
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


if __name__ == "__main__":
    command, root, *repos = sys.argv[1:]
    if command == "use":
        use(Path(root), repos)
    else:
        {"make": make, "push": push}[command](Path(root))
