"""Tables on the screen, which are as wide as they need even if the terminal is not."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.style import StyleType
from rich.table import Table
from rich.text import Text

from metrics.common.formatting import printable

_UNBOUNDED = 10_000


class WideTable(Table):
    """Columns aligned left, then columns aligned right; text is made printable, neither wrapped nor read as markup.

    The row of headings is left out if all of them are empty.
    """

    def __init__(self, left: Sequence[str], right: Sequence[str] = (), title: str = "", caption: str = "") -> None:
        super().__init__(
            title=_text(title) if title else None,
            caption=_text(caption) if caption else None,
            title_justify="left",
            caption_justify="left",
            box=SIMPLE_HEAD,
            show_header=any((*left, *right)),
            pad_edge=False,
            collapse_padding=True,
        )
        for heading in left:
            self.add_column(_text(heading), no_wrap=True)
        for heading in right:
            self.add_column(_text(heading), justify="right", no_wrap=True)

    def add_row(self, *cells: RenderableType | None, style: StyleType | None = None, end_section: bool = False) -> None:
        """Add a row of text (`str`, or `Text` with a style), a cell for each column."""
        texts = [_text(cell) if isinstance(cell, str) else cell for cell in cells]
        super().add_row(*texts, style=style, end_section=end_section)


def _text(text: str) -> Text:
    return Text(printable(text))


def print_tables(*parts: WideTable | str) -> None:
    """Print tables and lines of text, one below the other."""
    console = Console()
    unbounded = console.options.update(width=_UNBOUNDED)
    widths = [console.measure(part, options=unbounded).maximum for part in parts if isinstance(part, WideTable)]
    console = Console(width=max([console.width, *widths]))
    for part in parts:
        if isinstance(part, WideTable):
            console.print(part)
        else:
            console.print(_text(part), soft_wrap=True)
