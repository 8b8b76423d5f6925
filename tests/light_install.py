"""What must hold where only the base install is there. `make light` runs this; the file's name keeps pytest from it."""

import subprocess
import sys


def test_training_says_which_extra_it_misses() -> None:
    command = [sys.executable, "-m", "finetune", "train", "recipes/demo.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install '.[train]'" in done.stderr
    assert "Traceback" not in done.stderr
