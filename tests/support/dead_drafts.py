"""What a killed process leaves."""

import re
from pathlib import Path

from metrics.common import drafts


def dead_draft(path: Path) -> Path:
    """The draft of a folder at `path`, with a file in it, of a process of this machine that has ended."""
    own = drafts.draft_path(path)
    draft = own.with_name(re.sub(r"-\d+-\d+\.\d\d-", "-999999999-1000000000.00-", own.name))
    draft.mkdir(parents=True)
    (draft / "half").write_text("half")
    drafts._remove_dead_once.cache_clear()  # the next command would be another process
    return draft
