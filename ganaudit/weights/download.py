"""Brings a file from a URL, going on where an earlier call ended.

What has come so far lies in ``FILE.part``; beside it ``FILE.part.json`` says from where and of which version, so that
a file that has changed on the server is noticed. Whether the bytes are the right ones is for the caller to find out.
"""

from __future__ import annotations

import json
import os
import re
import time
import urllib.error
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from typing import NoReturn

from ganaudit.document.errors import WeightsError
from ganaudit.progress import Progress
from ganaudit.weights.files import check_room, disk_may_fill, size_words
from ganaudit.weights.transport import Interrupted, network_may_fail, opened

__all__ = ["Patience", "discard", "download"]

_CHUNK = 2**18
_STEP = 10**6
"""Bytes per step of the progress bar."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server is waited for, and how often it is asked again."""

    stall: float = 30.0
    """Seconds in which at least ``slowest`` bytes must come."""
    slowest: int = 4096
    tries: int = 5
    """Tries in a row that bring nothing new; each that brings something starts the count again."""
    pause: float = 1.0
    """Seconds before the second try; they double with each further one."""
    longest_pause: float = 30.0
    redirects: int = 5
    sleep: Callable[[float], None] = time.sleep


@dataclass(slots=True)
class _Goal:
    url: str
    part: Path
    size: int | None
    """The size the file must have, where it is known."""
    most: int
    patience: Patience
    progress: Progress
    resumed: bool = False
    """Whether any try went on from bytes that an earlier one had brought."""

    @property
    def note(self) -> Path:
        return self.part.with_name(self.part.name + ".json")

    def length(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def validator(self) -> str | None:
        """Return what the server called the version that the part is of; None where it did not, or from elsewhere."""
        try:
            told = json.loads(self.note.read_text(encoding="utf-8"))
            return str(told["validator"]) if told["url"] == self.url and told["validator"] else None
        except (OSError, ValueError, LookupError, TypeError):
            return None


def download(
    url: str, part: Path, *, size: int | None, most: int, patience: Patience, progress: Progress, label: str
) -> bool:
    """Bring the file at ``url`` to ``part``; return whether any of it was there before or came in a later try.

    ``size`` is the size it must have, ``most`` the most bytes that are taken. Raises WeightsError when the server
    refuses, has a file of another size, sends too much, or fails ``patience.tries`` times in a row, and when the disk
    is full. What has come so far is kept then, as it is after an interruption.
    """
    goal = _Goal(url, part, size, most, patience, progress)
    failures, best = 0, goal.length()
    while True:
        try:
            _attempt(goal, label if failures == 0 else f"{label} (try {failures + 1})")
            return goal.resumed
        except Interrupted as problem:
            failures = 1 if goal.length() > best else failures + 1
            best = max(best, goal.length())
            if failures >= patience.tries:
                raise WeightsError(
                    f"{url}: {problem}; gave up after {failures} tries in a row without a new byte, "
                    f"{size_words(goal.length())} are kept in {part}, the same command goes on from there"
                ) from None
            pause = min(patience.pause * 2 ** (failures - 1), patience.longest_pause)
            patience.sleep(min(max(pause, problem.wait or 0.0), patience.longest_pause))


def discard(part: Path) -> None:
    """Delete what has come so far."""
    part.unlink(missing_ok=True)
    part.with_name(part.name + ".json").unlink(missing_ok=True)


def _attempt(goal: _Goal, label: str) -> None:
    start = goal.length()
    if goal.size is not None and start == goal.size:
        goal.resumed = True
        return
    if start > (goal.most if goal.size is None else goal.size):
        _restart(goal, "what was there is longer than the file")
    validator = goal.validator() if start else None
    headers = {"Range": f"bytes={start}-"} if start else {}
    headers |= {"If-Range": validator} if validator else {}
    patience = goal.patience
    try:
        with opened(goal.url, headers, timeout=patience.stall, redirects=patience.redirects) as response:
            start = _position(goal, response, start, validator)
            total = _total(response, start)
            _check_size(goal, total, start)
            if start == 0:
                _begin(goal, response)
            _receive(goal, response, start, total, label)
    except urllib.error.HTTPError as error:  # 416: nothing lies beyond the bytes that are there
        with error:
            found = re.fullmatch(r"bytes \*/(\d+)", error.headers.get("Content-Range") or "")
        if found is None or int(found[1]) != start:
            _restart(goal, "the file is shorter than what was there")
        goal.resumed = True


def _position(goal: _Goal, response: HTTPResponse, start: int, validator: str | None) -> int:
    """Return the position from which the response goes on; 0 where it is the whole file again."""
    if response.status == 200:
        return 0
    if response.status != 206:
        raise WeightsError(f"{goal.url}: the server answered {response.status} {response.reason}")
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range") or "")
    if found is None or int(found[1]) != start or start == 0:
        _restart(goal, "the server sent another part than it was asked for")
    # A server may know ranges and not If-Range.
    if validator is not None and (_version(response) or validator) != validator:
        _restart(goal, "the file on the server has changed")
    goal.resumed = True
    return start


def _begin(goal: _Goal, response: HTTPResponse) -> None:
    discard(goal.part)
    with disk_may_fill(goal.part.parent, 0, f"weights from {goal.url}"):
        note = {"url": goal.url, "validator": _version(response)}
        goal.note.write_text(json.dumps(note), encoding="utf-8")


def _version(response: HTTPResponse) -> str | None:
    """Return the strong ETag of a response: only that one promises equal bytes."""
    told = response.headers.get("ETag")
    return told if told and not told.startswith("W/") else None


def _restart(goal: _Goal, why: str) -> NoReturn:
    discard(goal.part)
    raise Interrupted(f"{why}; starting anew")


def _total(response: HTTPResponse, start: int) -> int | None:
    length = response.headers.get("Content-Length")
    return start + int(length) if length is not None and length.isascii() and length.isdigit() else None


def _check_size(goal: _Goal, total: int | None, start: int) -> None:
    if total is not None and goal.size is not None and total != goal.size:
        if start:
            discard(goal.part)
        raise WeightsError(
            f"{goal.url}: the server has a file of {size_words(total)}; expected {size_words(goal.size)}; "
            "it is not the right file"
        )
    if total is not None and total > goal.most:
        _too_much(goal)
    need = (goal.size or total or 0) - start
    check_room(goal.part.parent, max(need, 0), f"weights from {goal.url}")


def _too_much(goal: _Goal) -> NoReturn:
    discard(goal.part)
    allowed = size_words(goal.most if goal.size is None else goal.size)
    raise WeightsError(
        f"{goal.url}: the server sends more than {allowed}; it is not the right file, nothing of it was kept"
    )


def _receive(goal: _Goal, response: HTTPResponse, start: int, total: int | None, label: str) -> None:
    end = total or goal.size
    most = goal.most if goal.size is None else goal.size
    position = start
    what = f"weights from {goal.url}"
    with (
        goal.progress.task(label, -(-(end or most) // _STEP), "MB") as task,
        disk_may_fill(goal.part.parent, (end or most) - start, what),
        goal.part.open("ab" if start else "wb") as file,
    ):
        task.advance(start // _STEP)
        try:
            for chunk in _chunks(response, goal):
                if position + len(chunk) > most:
                    break
                file.write(chunk)
                task.advance((position + len(chunk)) // _STEP - position // _STEP)
                position += len(chunk)
            else:
                chunk = b""
        finally:
            file.flush()
            os.fsync(file.fileno())
    if chunk:
        _too_much(goal)
    if end is not None and position < end:
        raise Interrupted(f"the server ended after {position} of {end} bytes")


def _chunks(response: HTTPResponse, goal: _Goal) -> Iterator[bytes]:
    """Yield what comes; raises Interrupted when less than ``slowest`` bytes come within ``stall`` seconds."""
    patience = goal.patience
    since, came = time.monotonic(), 0
    while True:
        with network_may_fail(goal.url):
            chunk = response.read1(_CHUNK)
        if not chunk:
            return
        yield chunk
        came += len(chunk)
        if came >= patience.slowest:
            since, came = time.monotonic(), 0
        elif time.monotonic() - since > patience.stall:
            raise Interrupted(f"the server sent only {came} bytes in {patience.stall:g} s")
