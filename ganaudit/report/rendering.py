"""What every page shares: templates that escape all they are given, packaged files, and their digests."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from ganaudit.report import words

__all__ = ["address", "content_hash", "environment", "packaged"]


def packaged(name: str) -> str:
    """Return a text file of the templates' folder."""
    return (resources.files("ganaudit.report") / "templates" / name).read_text(encoding="utf-8")


def content_hash(text: str) -> str:
    """Return what a content policy names ``text`` by: its sha256 in base64."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def address(png: bytes) -> Markup:
    """Return a picture as a data address."""
    return Markup("data:image/png;base64,") + base64.b64encode(png).decode()


def environment(longest: int) -> jinja2.Environment:
    """Return templates that escape every string, spell out what is invisible and cut it at ``longest`` characters.

    Each call returns another, for a page to add filters and globals of its own.
    """

    def finish(value: Any) -> Any:
        # Every string of the document passes here before it is escaped; Markup is our own.
        return words.plain(value, longest) if isinstance(value, str) and not isinstance(value, Markup) else value

    made = jinja2.Environment(
        loader=jinja2.PackageLoader("ganaudit.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=finish,
    )
    made.filters.update(
        number=words.number,
        short=words.short,
        count=words.count,
        span=words.span,
        direction=words.direction,
        duration=words.duration,
        flatten=words.flatten,
        brief=words.brief,
    )
    return made
