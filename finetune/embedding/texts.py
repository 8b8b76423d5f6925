"""Which text of an item is encoded: its description, columns of its table, a caption, or description else caption."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from finetune.data.items import SOURCE
from metrics.common.errors import UserError
from metrics.common.files import atomic_writer, json_lines, one_line, sha256
from metrics.records.captions import read_captions

TEXTS = "texts.jsonl"
DESCRIPTION, COLUMNS = "description", "columns:"
Origin = Literal["description", "columns", "caption"]


@dataclass(frozen=True)
class Text:
    """What is encoded of an item, and where it is from."""

    text: str
    origin: Origin

    @property
    def digest(self) -> str:
        """Hash of the text."""
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class TextChoice:
    """`text`: `description` or `columns:A,B`; `captions`: a file whose captions are encoded instead, or with `fill`
    where there is no description."""

    text: str = DESCRIPTION
    captions: Path | None = None
    fill: bool = False

    def check(self) -> None:
        """Raise `UserError` if the choices contradict each other or name a file that is missing."""
        if self.text != DESCRIPTION and (not self.columns or self.captions):
            beside = " and no --captions beside it" if self.captions else ""
            raise UserError(f"--text {self.text}: expected description or columns:A,B,...{beside}")
        if self.fill and self.captions is None:
            raise UserError("--fill: needs --captions, the file that has the captions of items without a description")
        if self.captions and not self.captions.is_file():
            raise UserError(f"--captions {self.captions}: no such file")

    @property
    def columns(self) -> list[str]:
        """The columns that are joined."""
        named = self.text.removeprefix(COLUMNS) if self.text.startswith(COLUMNS) else ""
        return [name.strip() for name in named.split(",") if name.strip()]

    @property
    def called(self) -> str:
        """What a store says its texts are."""
        if self.captions is None:
            return self.text
        captions = f"captions:{sha256(self.captions)[:16]}"
        return f"description, else {captions}" if self.fill else captions


def texts_of(used: Any, items: Any, choice: TextChoice) -> dict[str, Text]:
    """The text of each item of `used`, empty if it has none, by id.

    Args:
        used: the rows of `items.parquet` that are encoded.
        items: all its rows, which captions may be of.
        choice: which text.

    Raises:
        UserError: when a column is not in the table, or captions are of another catalogue.
    """
    if choice.columns:
        return {key: Text(text, "columns") for key, text in zip(used["id"], _joined(used, choice.columns), strict=True)}
    if choice.captions is None:
        return _descriptions(used)
    captions = _captions(choice.captions, set(items["id"]))
    texts = {key: Text(captions.get(key, ""), "caption") for key in used["id"]}
    if choice.fill:
        texts |= {key: text for key, text in _descriptions(used).items() if text.text}
    return texts


def write_texts(path: Path, texts: Mapping[str, Text]) -> None:
    """Write a store's texts, a JSON object a line: `id`, `text` and `from` (description, columns or caption)."""
    with atomic_writer(path) as file:
        for key, one in texts.items():
            values = {"id": key, "text": one.text, "from": one.origin}
            file.write(one_line(json.dumps(values, ensure_ascii=False)) + "\n")


def read_texts(store: Path) -> dict[str, Text]:
    """The texts of a store by id; none if it was not made of texts. Raises `UserError` if they are damaged."""
    path = store / TEXTS
    if not path.is_file():
        return {}
    try:
        return {row["id"]: Text(row["text"], row["from"]) for _, row in json_lines(path)}
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: expected id, text and from in each line; embed the texts again") from error


def _joined(used: Any, columns: Sequence[str]) -> list[str]:
    """The cells of each row that are not empty, with commas between them."""
    known = [name.removeprefix(SOURCE) for name in used if name.startswith(SOURCE)]
    unknown = [name for name in columns if name not in known]
    if unknown:
        raise UserError(f"--text: no column {', '.join(unknown)} in the catalogue's table; it has {', '.join(known)}")
    rows = zip(*(used[SOURCE + name] for name in columns), strict=True)
    return [", ".join(cell.strip() for cell in row if isinstance(cell, str) and cell.strip()) for row in rows]


def _descriptions(used: Any) -> dict[str, Text]:
    cells = (
        (key, text.strip() if isinstance(text, str) else "")
        for key, text in zip(used["id"], used["description"], strict=True)
    )
    return {key: Text(text, "description") for key, text in cells}


def _captions(path: Path, known: set[str]) -> dict[str, str]:
    captions = {record.id: (record.caption or "").strip() for record in read_captions(path)}
    unknown = sorted(captions.keys() - known)
    if unknown:
        raise UserError(
            f"{path}: {len(unknown):,} of {len(captions):,} captions are of no item of the catalogue, for example "
            f"{unknown[0]}; give the captions of this catalogue"
        )
    return captions
