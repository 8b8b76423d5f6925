"""Photos behind the URLs of a table, fetched into a folder that is a catalogue then."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from threading import Event
from typing import Any

import pandas as pd

from finetune.data.catalogues.tables import checked, read_values
from finetune.data.fetching.download import Downloads, Manners, split_url
from finetune.data.fetching.public_hosts import FetchError
from metrics.common.errors import UserError
from metrics.common.files import atomic_file, make_folder, read_json_object, write_text
from metrics.common.ownership import Contents, refuse_foreign
from metrics.common.screen import progress
from metrics.common.version import installed_version
from metrics.photos.reading import PhotoError, read_photo
from metrics.records.column_names import URLS, usual_columns
from metrics.records.spreadsheets import guarded

MARK = "fetch-images.json"  # makes the folder ours
TABLE, FAILED, PHOTOS = "metadata.csv", "failed.csv", "images"
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")
_CONTENTS = Contents({MARK: '"lookbook": '}, record=MARK)
_MOST_HOSTS = 8  # at once
_ENCODING = "save it as UTF-8, or name its encoding by --encoding, such as cp1252"


@dataclass(frozen=True)
class Fetched:
    """What came of it: the column of URLs, how many rows have a photo now, and URL (or row) to reason of the others."""

    column: str
    rows: int
    failed: Mapping[str, str]


def fetch_images(
    table: Path, out: Path, column: str | None = None, encoding: str | None = None, manners: Manners | None = None
) -> Fetched:
    """Fetch the photo of each row's URL into `out`/images, each URL once; photos that are there are not fetched again.

    `out`/metadata.csv has the rows whose photos are there, with `file_name` first, `out`/failed.csv the other URLs with
    the reasons.

    Raises:
        UserError: if the table cannot be read or has no column of URLs, `out` holds what somebody else wrote, or no
            photo at all could be fetched.
    """
    rows = checked(read_values(table, encoding=encoding, remedy=_ENCODING), table, [column] if column else [])
    column = column or _url_column(rows, table)
    _claim(out)
    make_folder(out / PHOTOS)
    urls = [url.strip() for url in rows[column]]
    names = {url: _name(url) for url in urls if url}
    failed = _fetch_all(names, out / PHOTOS, manners or Manners())
    is_there = [bool(url) and url not in failed for url in urls]
    failed |= {f"row {row + 1}": "has no URL" for row, url in enumerate(urls) if not url}
    photos = pd.Series([f"{PHOTOS}/{names[url]}" if there else "" for url, there in zip(urls, is_there, strict=True)])
    kept = rows.drop(columns="file_name", errors="ignore")
    kept.insert(0, "file_name", photos)
    reasons = pd.DataFrame([(guarded(url), guarded(why)) for url, why in failed.items()], columns=["url", "reason"])
    _write(out, {TABLE: kept[is_there], FAILED: reasons})
    if not any(is_there):
        url, reason = next(iter(failed.items()))
        raise UserError(f"{table}: no photo could be fetched; {url}: {reason}; all reasons are in {out / FAILED}")
    return Fetched(column, sum(is_there), failed)


def _url_column(rows: pd.DataFrame, table: Path) -> str:
    """The first column with a usual name that holds URLs."""
    for name in usual_columns(list(rows), URLS):
        if rows[name].str.strip().str.match(r"(?i)https?://").any():
            return name
    raise UserError(f"{table}: no column of URLs (http or https) found among {', '.join(rows)}; name it by --column")


def _name(url: str) -> str:
    """The name of a URL's photo, the same whenever it is fetched."""
    suffix = PurePosixPath(url.partition("?")[0].partition("#")[0]).suffix.lower()
    return hashlib.sha256(url.encode()).hexdigest()[:20] + (suffix if suffix in _SUFFIXES else ".jpg")


def _fetch_all(names: Mapping[str, str], folder: Path, manners: Manners) -> dict[str, str]:
    """Fetch what is missing, host by host, several hosts at once; URL to reason of what could not be fetched."""
    failed: dict[str, str] = {}
    by_host: dict[str, list[str]] = defaultdict(list)
    for url, name in names.items():
        if not (folder / name).is_file():
            try:
                by_host[split_url(url).netloc.lower()].append(url)
            except FetchError as error:
                failed[url] = str(error)
    stopped, missing = Event(), sum(map(len, by_host.values()))
    with (
        ThreadPoolExecutor(_MOST_HOSTS) as pool,
        progress(None, "fetching photos", total=missing, unit="photo", disable=not missing) as bar,
    ):
        try:
            work = [pool.submit(_of_host, urls, names, folder, manners, stopped, bar) for urls in by_host.values()]
            for done in as_completed(work):
                failed |= done.result()
        finally:
            stopped.set()  # interrupted: what is fetched stays
    return failed


def _of_host(
    urls: Sequence[str], names: Mapping[str, str], folder: Path, manners: Manners, stopped: Event, bar: Any
) -> dict[str, str]:
    failed = {}
    downloads = Downloads(manners, stopped)
    for url in _until(stopped, urls):
        try:
            _store(downloads.fetch(url), folder / names[url])
        except FetchError as error:
            failed[url] = str(error)
        bar.update()
    downloads.close()
    return failed


def _until(stopped: Event, urls: Sequence[str]) -> Iterator[str]:
    for url in urls:
        if stopped.is_set():
            return
        yield url


def _store(content: bytes, path: Path) -> None:
    """Write a photo. Raises `FetchError` if it is none."""
    try:
        read_photo(content)
    except PhotoError as error:
        raise FetchError(str(error)) from error
    with atomic_file(path) as draft:
        draft.write_bytes(content)


def _claim(out: Path) -> None:
    """Make `out` ours. Raises `UserError` if it holds anything of somebody else's, or a table changed since."""
    mark = out / MARK
    refuse_foreign(out, _CONTENTS)
    written = _written(mark)
    for path in (out / TABLE, out / FAILED):
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() not in written:
            raise UserError(
                f"{path}: was changed since fetch-images wrote it; move it elsewhere, or give another --out"
            )
    make_folder(out)
    _write_mark(mark, written)


def _written(mark: Path) -> list[str]:
    """The hashes of all that was written here."""
    hashes = read_json_object(mark, "remove it with its folder").get("written") if mark.is_file() else []
    return [one for one in hashes if isinstance(one, str)] if isinstance(hashes, list) else []


def _write(out: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """Write the tables; the mark first, so that an interruption leaves no table that it does not know."""
    texts = {name: table.to_csv(index=False, lineterminator="\n") for name, table in tables.items()}
    hashes = [hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest() for text in texts.values()]
    _write_mark(out / MARK, [*_written(out / MARK), *hashes])
    for name, text in texts.items():
        write_text(out / name, text)


def _write_mark(mark: Path, written: Sequence[str]) -> None:
    write_text(mark, json.dumps({"lookbook": installed_version(), "written": list(dict.fromkeys(written))}, indent=1))
