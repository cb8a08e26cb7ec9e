"""How long work says that it goes on, without knowing who listens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

__all__ = ["Progress", "Silent", "Task"]


class Task(Protocol):
    """One piece of work with a known amount of steps."""

    def advance(self, steps: int) -> None:
        """Say that ``steps`` more steps are done."""

    def note(self, text: str) -> None:
        """Show a short text beside the bar, such as a loss."""


class Progress(Protocol):
    """Somebody who shows how far work has come."""

    def task(self, label: str, total: int, unit: str = "samples") -> AbstractContextManager[Task]:
        """Open a task of ``total`` steps of ``unit``; it closes with the ``with`` block."""


class _SilentTask:
    def advance(self, steps: int) -> None: ...

    def note(self, text: str) -> None: ...


class Silent:
    """A listener that shows nothing."""

    @contextmanager
    def task(self, label: str, total: int, unit: str = "samples") -> Iterator[Task]:
        """Open a task that is shown nowhere."""
        del label, total, unit
        yield _SilentTask()
