"""The Space's page."""

from pathlib import Path

import evaluate

from metrics.spaces.module import launch

here = Path(__file__).parent
launch(evaluate.load(str(here / "clip_score.py"), images=str(here / "photos")))
