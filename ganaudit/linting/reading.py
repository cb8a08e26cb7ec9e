"""Reads a file into a sheet: audit documents, TOML of ours, and JSON, JSON lines or tables of others' numbers."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from ganaudit.document.errors import SourceError
from ganaudit.linting.claim import Oddity, Sheet, Written
from ganaudit.linting.configurations import read_toml
from ganaudit.linting.documents import is_document, read_document
from ganaudit.linting.rows import Reader

__all__ = ["MOST_BYTES", "MOST_ROWS", "read_sheet"]

MOST_BYTES = 64 * 1024 * 1024
MOST_ROWS = 100_000
_DELIMITERS = ",;\t|"
_BOMS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_ASKED = (
    "asked for is an audit document, a TOML file of ganaudit, or claimed metrics as JSON, JSON lines or a table with a "
    "header (columns metric, value, n, ... or a column for each metric)"
)


def read_sheet(path: Path) -> Sheet:
    """Return what a file, or ``document.json`` in a folder, states.

    Raises SourceError when it is missing, too large, no text, of no known form, or holds no number that is known;
    DocumentError and ConfigError for documents, policies and plans that cannot be read.
    """
    file = path / "document.json" if path.is_dir() else path
    text = _text(file)
    if not text.strip():
        raise SourceError(f"{file}: the file is empty; {_ASKED}")
    if file.suffix.lower() == ".toml":
        return read_toml(file, text)
    if file.suffix.lower() in (".yaml", ".yml"):
        raise SourceError(f"{file}: YAML is not read; {_ASKED}")
    if text.lstrip()[0] in "{[":
        return _read_json(file, text)
    return _read_table(file, text)


def _text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise SourceError(f"{file}: cannot be read: {error.strerror or error}") from None
    if len(content) > MOST_BYTES:
        raise SourceError(f"{file}: larger than {MOST_BYTES // 2**20} MiB, the most that is read; lint a part of it")
    encoding = next((name for bom, name in _BOMS.items() if content.startswith(bom)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise SourceError(f"{file}: byte {error.start} is no {encoding} text; save the file as UTF-8") from None
    if "\0" in text:
        raise SourceError(f"{file}: holds NUL characters, so it is no text; {_ASKED}")
    return text


class _Doubled:
    """Keeps the keys that a JSON object holds twice, of which readers keep only the last."""

    def __init__(self) -> None:
        self.oddities: list[Oddity] = []

    def __call__(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            for key in sorted({key for key in keys if keys.count(key) > 1}):
                values = ", ".join(str(value) for name, value in pairs if name == key)
                told = f"the key stands {keys.count(key)} times in one object, with {values[:80]}; the last was read"
                self.oddities.append(Oddity("said-twice", "", key, told))
        return found


def _parse(text: str, doubled: _Doubled) -> Any:
    return json.loads(text, parse_float=_written, parse_constant=_written, parse_int=_whole, object_pairs_hook=doubled)


def _written(token: str) -> Written:
    return Written(float(token), token)


def _whole(token: str) -> int | Written:
    # Python refuses integers of some thousand digits, which a float still holds, as infinity.
    return int(token) if len(token) < 300 else Written(float(token), token)


def _read_json(file: Path, text: str) -> Sheet:
    doubled = _Doubled()
    try:
        data = _parse(text, doubled)
    except RecursionError:
        raise SourceError(f"{file}: its JSON is nested too deep to be read") from None
    except ValueError as error:
        data = _lines(file, text, error, doubled)
    if is_document(data):
        return read_document(file, data, doubled.oddities)
    reader = Reader()
    if isinstance(data, list) and len(data) > MOST_ROWS:
        raise SourceError(f"{file}: {len(data)} rows; at most {MOST_ROWS} are read; lint a part of it")
    reader.read(data)
    return _sheet(file, reader, doubled.oddities)


def _lines(file: Path, text: str, whole: ValueError, doubled: _Doubled) -> list[Any]:
    """Read JSON lines; where the first line is not JSON by itself, the error of the whole file is told."""
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            rows.append(_parse(line, doubled))
        except (ValueError, RecursionError) as error:
            told = whole if not rows else error
            where = "" if not rows else f"line {number}: "
            raise SourceError(f"{file}: {where}not JSON: {told}") from None
    return rows


def _read_table(file: Path, text: str) -> Sheet:
    lines = text.lstrip("\n\r").splitlines()
    delimiter = max(_DELIMITERS, key=lines[0].count)
    if lines[0].count(delimiter) == 0:
        raise SourceError(f"{file}: its first line has no columns and it is no JSON; {_ASKED}")
    try:
        rows = list(csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise SourceError(f"{file}: not a table: {error}") from None
    if len(rows) - 1 > MOST_ROWS:
        raise SourceError(f"{file}: {len(rows) - 1} rows; at most {MOST_ROWS} are read; lint a part of it")
    header = [name.strip() for name in rows[0]]
    doubled = sorted({name for name in header if name and header.count(name) > 1})
    if doubled:
        raise SourceError(f"{file}: the header names {', '.join(doubled)} twice; allowed: each column once")
    reader = Reader(commas=delimiter != ",")
    for number, cells in enumerate(rows[1:], start=2):
        if len(cells) > len(header):
            found = f"row {number} has {len(cells)} cells under {len(header)} columns"
            raise SourceError(f"{file}: {found}; quote cells that hold {delimiter!r}")
        reader.read({name: cell for name, cell in zip(header, cells, strict=False) if name}, f"row {number}")
    return _sheet(file, reader, [])


def _sheet(file: Path, reader: Reader, oddities: list[Oddity]) -> Sheet:
    if not reader.claims:
        met = [f"{oddity.name!r}: {oddity.told}" for oddity in reader.oddities]
        named = f" (found {'; '.join(met[:5])})" if met else ""
        raise SourceError(f"{file}: states no number of a metric that is known{named}; {_ASKED}")
    return Sheet("claims", claims=tuple(reader.claims), oddities=(*oddities, *reader.oddities))
