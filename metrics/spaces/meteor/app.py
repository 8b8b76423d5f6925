"""The Space's page."""

from pathlib import Path

import evaluate

from metrics.spaces.module import launch

launch(evaluate.load(str(Path(__file__).with_name("meteor.py"))))
