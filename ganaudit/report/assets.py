"""Where a page keeps its pictures, style and script: in itself, or in files beside it."""

from __future__ import annotations

import hashlib
from typing import Protocol

from markupsafe import Markup

from ganaudit.report.rendering import address, content_hash, packaged

__all__ = ["Assets", "Beside", "Inside"]


class Assets(Protocol):
    """What a page needs to show pictures and to look like one."""

    policy: str
    """The content policy of the page."""
    style: Markup | None
    """The style sheet to stand in the page; None where it is a file."""
    script: Markup | None
    """The script, likewise."""

    layout: str
    """What the verb ``report`` has to be told to write such a page."""

    def picture(self, png: bytes) -> Markup:
        """Return where the page finds this picture."""


class Inside:
    """All in one file: pictures as data addresses, style and script named by their digests."""

    layout = ""

    def __init__(self) -> None:
        style, script = packaged("report.css"), packaged("report.js")
        self.policy = (
            f"default-src 'none'; img-src data:; style-src 'sha256-{content_hash(style)}'; "
            f"script-src 'sha256-{content_hash(script)}'; base-uri 'none'; form-action 'none'"
        )
        self.style: Markup | None = Markup(style)  # noqa: S704  our own style sheet, from the package
        self.script: Markup | None = Markup(script)  # noqa: S704  our own script, from the package

    def picture(self, png: bytes) -> Markup:
        """Return the picture as a data address."""
        return address(png)


class Beside:
    """Files beside the page, for hosts whose policy allows nothing inside it."""

    layout = "--layout dir "

    def __init__(self) -> None:
        self.policy = (
            "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; base-uri 'none'; "
            "form-action 'none'"
        )
        self.style: Markup | None = None
        self.script: Markup | None = None
        self.files: dict[str, bytes] = {
            "style.css": packaged("report.css").encode(),
            "script.js": packaged("report.js").encode(),
        }

    def picture(self, png: bytes) -> Markup:
        """Return the name of the picture's file, which its content decides."""
        name = f"images/{hashlib.sha256(png).hexdigest()[:32]}.png"
        self.files[name] = png
        return Markup(name)  # noqa: S704  hexadecimal digits
