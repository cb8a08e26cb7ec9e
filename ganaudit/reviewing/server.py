"""A page on this machine alone: HTTP on 127.0.0.1, behind a token in the address, for one reviewer's browser.

What it defends against: other pages in the same browser (Origin, Sec-Fetch-Site, no frames), names that are made to
lead here (Host), a report that was tampered with (a sandbox without an origin), guesses (a token of 256 random bits).
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
import sys
import webbrowser
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from ganaudit.document.errors import ConfigError, GanauditError
from ganaudit.report.rendering import content_hash, packaged
from ganaudit.reviewing.desk import Answer, Desk

__all__ = ["MOST_BODY", "ReviewServer", "show"]

MOST_BODY = 256 * 1024
"""Bytes of a form: a comment has at most 20 000 characters, and a form spells one in up to 12 bytes."""
_DRAINED = 4 * 1024 * 1024
_DRAIN_SECONDS = 1.0
_MOST_FIELDS = 20
_SECONDS = 20
_LOOPBACK = "127.0.0.1"
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,200}")
_MEDIA = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp", ".wav": "audio/wav"}
_ALWAYS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_FILE_POLICY = "sandbox; default-src 'none'; frame-ancestors 'none'"


class ReviewServer(ThreadingHTTPServer):
    """Serves the page of one audit; ``address`` holds the token that every request must bring.

    Raises ConfigError when the port cannot be had.
    """

    daemon_threads = True

    def __init__(self, desk: Desk, port: int = 0, say: Callable[[str], None] | None = None) -> None:
        self.desk = desk
        self.say = say
        self.token = secrets.token_urlsafe(32)
        try:
            super().__init__((_LOOPBACK, port), _Handler)
        except OSError as error:
            reason = "is in use by another program" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
            raise ConfigError(f"--port {port}: {reason}; leave --port out, and a free one is taken") from None
        self.hosts = {f"{name}:{self.server_port}" for name in (_LOOPBACK, "localhost")}

    @property
    def address(self) -> str:
        """Where the page is, with its token."""
        return f"http://{_LOOPBACK}:{self.server_port}/{self.token}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that went away."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _RefusedError(Exception):
    def __init__(self, status: int, words: str) -> None:
        self.status, self.words = status, words
        super().__init__(words)


class _Handler(BaseHTTPRequestHandler):
    """Answers one request: first who asks, then what for."""

    server: ReviewServer
    server_version = "ganaudit"
    sys_version = ""
    timeout = _SECONDS

    def do_GET(self) -> None:
        self._answered(self._get)

    def do_HEAD(self) -> None:
        self._answered(self._get)

    def do_POST(self) -> None:
        self._answered(self._post)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet: the line would hold the token."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what is no request of ours in plain words."""
        self._send(code, "text/plain; charset=utf-8", f"{message or 'refused'}\n".encode(), _FILE_POLICY)

    def _answered(self, answer: Callable[[str], None]) -> None:
        try:
            answer(self._asked())
        except _RefusedError as refused:
            self.send_error(refused.status, refused.words)
        except GanauditError as error:
            self.send_error(500, str(error))
        except (ConnectionError, TimeoutError):
            raise  # the browser went away, there is nobody to answer
        except Exception as error:  # whoever asked must not wait for an answer that never comes
            self.send_error(500, f"internal: {type(error).__name__}: {error}")

    def _asked(self) -> str:
        """Return the path behind the token; raises _RefusedError when the request is not from this page's user."""
        hosts = self.headers.get_all("Host") or []
        if len(hosts) != 1 or hosts[0].lower() not in self.server.hosts:
            raise _RefusedError(421, "this address is not served here")
        path = urlsplit(self.path).path
        token, _, rest = path.removeprefix("/").partition("/")
        # In constant time: how long the answer takes must not tell how much of a guess was right.
        if not secrets.compare_digest(token.encode("latin-1", "replace"), self.server.token.encode()):
            raise _RefusedError(403, "the address lacks the token; use the one that ganaudit review open has printed")
        return rest

    def _get(self, path: str) -> None:
        if path == "":
            query = parse_qs(urlsplit(self.path).query, max_num_fields=_MOST_FIELDS)
            done, reviewer, role = (query.get(name, [""])[0] for name in ("done", "reviewer", "role"))
            self._send_page(200, self.server.desk.page(done, reviewer, role))
        elif path in ("report.css", "review.css"):
            self._send(200, "text/css; charset=utf-8", packaged(path).encode(), _FILE_POLICY)
        elif path == "report.html":
            self._send(200, "text/html; charset=utf-8", self._file("report.html"), _report_policy(), "SAMEORIGIN")
        elif path == "review.json":
            self._send(200, "application/json", self._file("review.json"), _FILE_POLICY)
        else:
            name = path.removeprefix("samples/")
            suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122  a name out of an address, no path
            if name == path or not _NAME.fullmatch(name) or suffix not in _MEDIA:
                raise _RefusedError(404, "there is nothing at this address")
            self._send(200, _MEDIA[suffix], self._file("samples", name), _FILE_POLICY)

    def _file(self, *parts: str) -> bytes:
        """Return a file below the audit's folder; a link or anything else that is no plain file is not there."""
        try:
            handle = os.open(self.server.desk.folder.joinpath(*parts), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(handle, "rb") as file:
                if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    return file.read()
        except OSError:
            pass
        raise _RefusedError(404, "there is nothing at this address")

    def _post(self, path: str) -> None:
        actions = {"comment": self.server.desk.comment, "sign": self.server.desk.sign}
        body = self._body()
        if not self._is_own_page():
            raise _RefusedError(403, "the form was sent from another page")
        if path not in actions:
            raise _RefusedError(404 if path else 405, "nothing is sent to this address")
        try:
            form = parse_qs(
                body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, strict_parsing=True
            )
        except ValueError:
            raise _RefusedError(400, "this is not what the page's form sends") from None
        self._send_answer(actions[path](form))

    def _is_own_page(self) -> bool:
        """Return whether the form is on our own page.

        Under no-referrer browsers send the Origin of a form as null, and say in Sec-Fetch-Site where it is from. A
        sandboxed page, such as a report that was tampered with, has the same null, but is of another site.
        """
        origin, site = self.headers.get("Origin"), self.headers.get("Sec-Fetch-Site")
        own = f"http://{self.headers['Host'].lower()}"
        if site is not None:
            return site == "same-origin" and origin in (None, "null", own)
        return origin == own

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if self.headers.get("Transfer-Encoding") or not (length.isascii() and length.isdigit()):
            raise _RefusedError(411, "a form must say its length")
        if int(length) > MOST_BODY:
            self._drain(min(int(length), _DRAINED))
            raise _RefusedError(413, f"a form has at most {MOST_BODY} bytes")
        if self.headers.get_content_type() != "application/x-www-form-urlencoded":
            raise _RefusedError(415, "a form is sent as application/x-www-form-urlencoded")
        return self.rfile.read(int(length))

    def _drain(self, count: int) -> None:
        """Take what is still being sent, for a moment: else the answer is lost to a client that writes on."""
        self.connection.settimeout(_DRAIN_SECONDS)
        with contextlib.suppress(OSError):
            self.rfile.read(count)

    def _send_answer(self, answer: Answer) -> None:
        if answer.status != 303:
            self._send_page(answer.status, answer.page)
            return
        if self.server.say is not None:
            self.server.say(f"written: {answer.done} by {answer.given.reviewer}")
        query = urlencode({"done": answer.done, "reviewer": answer.given.reviewer, "role": answer.given.role})
        location = f"/{self.server.token}/?{query}"
        self._send(303, "text/plain; charset=utf-8", b"", _FILE_POLICY, location=location)

    def _send_page(self, status: int, page: str) -> None:
        self._send(status, "text/html; charset=utf-8", page.encode("utf-8", "replace"), _PAGE_POLICY)

    def _send(
        self, status: int, media: str, content: bytes, policy: str, frames: str = "DENY", location: str = ""
    ) -> None:
        self.send_response(status)
        headers = {
            **_ALWAYS,
            "Content-Type": media,
            "Content-Length": str(len(content)),
            "Content-Security-Policy": policy,
            "X-Frame-Options": frames,
            **({"Location": location} if location else {}),
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _report_policy() -> str:
    """Return what a browser may do with report.html: run the report's own script, in a place without an origin."""
    script = content_hash(packaged("report.js"))
    return (
        f"sandbox allow-scripts; default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{script}'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    )


def show(address: str) -> None:
    """Open the address in the user's browser where there is a screen; a browser in the terminal would take it over."""
    if sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        webbrowser.open(address)
