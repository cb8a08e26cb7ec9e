"""Charts that show nothing, for tests in which they have no part: drawing those of a whole report takes long."""

from __future__ import annotations

from collections.abc import Callable

from ganaudit.report.drawings import Drawings


class _Blank:
    def begin(self, specification: str) -> Callable[[], str]:
        assert specification
        return lambda: "<svg xmlns='http://www.w3.org/2000/svg'/>"


def blank() -> Drawings:
    return Drawings(None, _Blank())
