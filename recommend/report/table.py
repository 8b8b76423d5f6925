"""Which columns of a catalogue's table the report compares and colours by."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recommend.common.columns import check_columns, known_categories
from recommend.evaluation.request import attributes_of, known_attributes

PRECISION, MAPS, METHODS = "Attribute precision", "Maps", "Methods of search"


@dataclass(frozen=True)
class Columns:
    """Columns by name: attributes that are compared, and those that colour the maps; empty where none is known."""

    attributes: Sequence[str]
    colours: Sequence[str]

    @property
    def left_out(self) -> str:
        """Which parts of the report need columns that are not known, and what to do; empty if there are none."""
        parts = [] if self.attributes else [PRECISION, METHODS]
        parts += [] if self.colours else [MAPS]
        if not parts:
            return ""
        return f"{', '.join(parts)}: not H&M’s or fashion-product’s columns; name yours by --attribute COLUMN"


def chosen_columns(table: Path, attributes: Sequence[str], colours: Sequence[str]) -> Columns:
    """The named columns, else those of H&M or of the fashion-product data set; maps else take the attributes.

    Raises `UserError` if there is no table, or if it lacks a named column.
    """
    check_columns(table, [*attributes, *colours])
    compared = attributes_of(table, attributes) if attributes else known_attributes(table)
    return Columns(compared, tuple(colours) or known_categories(table) or compared)
