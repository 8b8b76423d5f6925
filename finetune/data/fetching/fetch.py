"""Photos behind the URLs of a table, fetched into a folder that is a catalogue then."""

import hashlib
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from threading import Event
from typing import Any

import pandas as pd

from finetune.data.catalogues.tables import checked, read_values
from finetune.data.fetching.download import Downloads, Manners, split_url
from finetune.data.fetching.public_hosts import FetchError
from finetune.data.fetching.written import FAILED, PHOTOS, TABLE, claim, source_of, write_tables
from metrics.common.errors import UserError
from metrics.common.files import atomic_file
from metrics.common.screen import progress
from metrics.photos.reading import PhotoError, read_photo
from metrics.records.column_names import URLS, usual_columns
from metrics.records.spreadsheets import guarded

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")
_MOST_HOSTS = 8  # at once
_ENCODING = "save it as UTF-8, or name its encoding by --encoding, such as cp1252"


@dataclass(frozen=True)
class Fetched:
    """What came of it: the column of URLs, how many rows have a photo now, and URL (or row) to reason of the others."""

    column: str
    rows: int
    failed: Mapping[str, str]


def fetch_images(
    table: Path,
    out: Path,
    column: str | None = None,
    encoding: str | None = None,
    manners: Manners | None = None,
    overwrite: bool = False,
) -> Fetched:
    """Fetch the photo of each row's URL into `out`/images, each URL once; photos that are there are not fetched again.

    `out`/metadata.csv has the rows whose photos are there, with `file_name` first, that of no other row: a URL's second
    row has a link to the photo. `out`/failed.csv has the other URLs with the reasons; it alone is written if no photo
    is there.

    Raises:
        UserError: if the table cannot be read or has no column of URLs, `out` holds what somebody else wrote or, unless
            `overwrite`, the rows of another table, or no photo at all could be fetched.
    """
    rows = checked(read_values(table, encoding=encoding, remedy=_ENCODING), table, [column] if column else [])
    column = column or _url_column(rows, table)
    source = source_of(table)
    claim(out, table, overwrite)
    urls = [url.strip() for url in rows[column]]
    names = {url: _name(url) for url in urls if url}
    failed = _fetch_all(names, out / PHOTOS, manners or Manners())
    is_there = [bool(url) and url not in failed for url in urls]
    failed |= {f"row {row + 1}": "has no URL" for row, url in enumerate(urls) if not url}
    reasons = pd.DataFrame([(guarded(url), guarded(why)) for url, why in failed.items()], columns=["url", "reason"])
    if not any(is_there):
        write_tables(out, {FAILED: reasons})
        url, reason = next(iter(failed.items()))
        raise UserError(f"{table}: no photo could be fetched; {url}: {reason}; all reasons are in {out / FAILED}")
    kept = rows[is_there].drop(columns="file_name", errors="ignore")
    files = _file_of_each(names[url] for url, there in zip(urls, is_there, strict=True) if there)
    kept.insert(0, "file_name", [f"{PHOTOS}/{_linked(out / PHOTOS, *names)}" for names in files])
    write_tables(out, {TABLE: kept, FAILED: reasons}, source)
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


def _file_of_each(photos: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The photo of each row, and the name of the row's own file: photo.jpg, photo-2.jpg and so on."""
    counts: Counter[str] = Counter()
    for photo in photos:
        counts[photo] += 1
        stem, _, suffix = photo.rpartition(".")
        yield photo, photo if counts[photo] == 1 else f"{stem}-{counts[photo]}.{suffix}"


def _linked(folder: Path, photo: str, name: str) -> str:
    """Give a photo a further name, unless that is there; a copy where links cannot be made."""
    if not (folder / name).is_file():
        try:
            os.link(folder / photo, folder / name)
        except OSError:
            with atomic_file(folder / name) as draft:
                shutil.copyfile(folder / photo, draft)
    return name


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
