"""Where things lie in the repository."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
SUPPORT = Path(__file__).parent
RECIPES = ROOT / "recipes"
STANZA = ROOT / "finetune" / "assets" / "demo-stanza"
DEMO_BASE = ROOT / "finetune" / "assets" / "demo-base"
