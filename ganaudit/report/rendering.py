"""What every page shares: templates that escape all they are given, packaged files, and their digests."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from types import CodeType
from typing import Any, ClassVar

import jinja2
from jinja2.bccache import Bucket
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


class _Compiled(jinja2.BytecodeCache):
    """Templates that this process has compiled: what differs between environments is no part of their code."""

    _code: ClassVar[dict[str, CodeType]] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Take the code of a template from what was compiled before."""
        bucket.code = self._code.get(f"{bucket.key} {bucket.checksum}")

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep the code of a template."""
        assert bucket.code is not None
        self._code[f"{bucket.key} {bucket.checksum}"] = bucket.code


def environment(longest: int) -> jinja2.Environment:
    """Return templates that escape every string, spell out what is invisible and cut it at ``longest`` characters.

    Each call returns another, for a page to add filters and globals of its own.
    """

    def finish(value: Any) -> Any:
        # Every string of the document passes here before it is escaped; Markup is our own.
        return words.plain(value, longest) if isinstance(value, str) and not isinstance(value, Markup) else value

    made = jinja2.Environment(
        loader=jinja2.PackageLoader("ganaudit.report", "templates"),
        bytecode_cache=_Compiled(),
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
