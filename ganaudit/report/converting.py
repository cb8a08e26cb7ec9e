"""Vega-Lite to SVG text: in this process, or in one beside it that works while this one goes on.

The converter holds a whole JavaScript engine: a third of a second to start, and two thirds of the time of a report.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from importlib import resources, util
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Protocol

__all__ = ["Aside", "Converter", "Here"]

_PROGRAM = "converter.py"


class Converter(Protocol):
    """Turns specifications into SVG text."""

    def begin(self, specification: str) -> Callable[[], str]:
        """Take a specification as one line of JSON; what is returned waits for its SVG.

        It raises ValueError, with a message, when the specification cannot be drawn.
        """


class Here:
    """Converts in this process, when the SVG is asked for."""

    def begin(self, specification: str) -> Callable[[], str]:
        """As ``Converter.begin``."""
        return lambda: _converted(specification)


class Aside:
    """Converts in a process of its own, in the order asked; ends with the ``with`` block.

    Where no process can be started, or it ends too early, what is left is converted here: the SVG is the same.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._threads: list[threading.Thread] = []
        self._tried = False
        self._to_write: SimpleQueue[_Answer | None] = SimpleQueue()
        self._to_read: SimpleQueue[_Answer | None] = SimpleQueue()

    def __enter__(self) -> Aside:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is None:
            return
        self._to_write.put(None)
        self._process.kill()  # it holds nothing that anybody waits for
        self._process.wait()
        for thread in self._threads:
            thread.join()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):  # what was on its way to a process that is gone
                assert pipe is not None
                pipe.close()

    def start(self) -> None:
        """Start the process, which takes its time to be ready; asking again does nothing."""
        if self._tried:
            return
        self._tried = True
        self._process = _started()
        if self._process is not None:
            # Two, so that the process has the next specification at hand and does not wait for its answers to be
            # fetched: this one is busy with the page meanwhile.
            works = (self._write, self._read)
            self._threads = [threading.Thread(target=work, args=(self._process,), daemon=True) for work in works]
            for thread in self._threads:
                thread.start()

    def begin(self, specification: str) -> Callable[[], str]:
        """As ``Converter.begin``."""
        self.start()
        if self._process is None:
            return Here().begin(specification)
        answer = _Answer(specification)
        self._to_write.put(answer)
        return answer.svg

    def _write(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        for answer in iter(self._to_write.get, None):
            self._to_read.put(answer)
            try:
                process.stdin.write(answer.specification.encode() + b"\n")
                process.stdin.flush()
            except OSError:
                continue  # it has ended: the reader finds that out for every answer
        self._to_read.put(None)

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for answer in iter(self._to_read.get, None):
            answer.settle(process.stdout.readline())


class _Answer:
    """What the process says to one specification."""

    def __init__(self, specification: str) -> None:
        self.specification = specification
        self._line = b""
        self._there = threading.Event()

    def settle(self, line: bytes) -> None:
        self._line = line
        self._there.set()

    def svg(self) -> str:
        """Wait for the SVG; raises ValueError as ``Converter.begin`` says."""
        self._there.wait()
        try:
            told = json.loads(self._line)
        except ValueError:  # the process ended before it had written a whole line
            return _converted(self.specification)
        if "error" in told:
            raise ValueError(told["error"])
        return str(told["svg"])


def _started() -> subprocess.Popen[bytes] | None:
    """Return the process, or None where none can be started."""
    program = resources.files("ganaudit.report") / _PROGRAM
    found = util.find_spec("vl_convert")
    if not sys.executable or not isinstance(program, Path) or found is None or found.origin is None:
        return None
    # Isolated, and without the set-up of site-packages: it starts in a fiftieth of a second and reads no file of the
    # folder it stands in.
    command = [sys.executable, "-I", "-S", str(program), str(Path(found.origin).parents[1])]
    pipe, none = subprocess.PIPE, subprocess.DEVNULL
    try:
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=none)  # noqa: S603  our own program
    except OSError:
        return None


def _converted(specification: str) -> str:
    import vl_convert  # half a second for its first chart: not for drawings that are kept

    drawn: str = vl_convert.vegalite_to_svg(specification, allowed_base_urls=[])
    return drawn
