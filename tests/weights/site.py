"""A server on this machine that serves one file well, or badly in a way that a test asks for."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[["Request"], None]


class Request(BaseHTTPRequestHandler):
    """One request; the site's script says what is done with it."""

    protocol_version = "HTTP/1.1"
    server: Server  # type: ignore[assignment]

    def do_GET(self) -> None:
        site = self.server.site
        with site.lock:
            site.asked.append(dict(self.headers.items()) | {"path": self.path})
            answer = site.script.pop(0) if len(site.script) > 1 else site.script[0]
        try:
            answer(self)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def send(self, status: int, headers: dict[str, object], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *arguments: object) -> None: ...


class Server(ThreadingHTTPServer):
    daemon_threads = True
    site: Site


@dataclass
class Site:
    """A running server: what it serves, what it does with each request, what it was asked."""

    content: bytes
    etag: str | None = '"one"'
    script: list[Answer] = field(default_factory=lambda: [ranged])
    """One answer per request; the last one for all that follow."""
    asked: list[dict[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    over: threading.Event = field(default_factory=threading.Event)
    """Set when the test is over, so that what stalls may end."""
    root: str = ""

    @property
    def url(self) -> str:
        return f"{self.root}/w.pth"

    def ranges(self) -> list[str | None]:
        return [request.get("Range") for request in self.asked]


@contextmanager
def running(content: bytes) -> Iterator[Site]:
    server = Server(("127.0.0.1", 0), Request)
    server.site = site = Site(content)
    site.root = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        site.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _tagged(request: Request) -> dict[str, object]:
    etag = request.server.site.etag
    return {"ETag": etag} if etag else {}


def _start(request: Request) -> int:
    found = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
    return int(found[1]) if found else 0


def whole(request: Request) -> None:
    """Serve the whole file, whatever range was asked for."""
    content = request.server.site.content
    request.send(200, {"Content-Length": len(content), **_tagged(request)}, content)


def ranged(request: Request, cut: int | None = None, honest: bool = True) -> None:
    """Serve ranges as the standard has it, but break off after ``cut`` bytes; dishonest: ``If-Range`` is not read."""
    site = request.server.site
    condition = request.headers.get("If-Range")
    start = _start(request) if not honest or condition in (None, site.etag) else 0
    length = len(site.content)
    if start >= length:
        request.send(416, {"Content-Range": f"bytes */{length}", "Content-Length": 0})
        return
    body = site.content[start:]
    headers = {"Content-Length": len(body), **_tagged(request)}
    if start:
        headers["Content-Range"] = f"bytes {start}-{length - 1}/{length}"
    request.send(206 if start else 200, headers, body if cut is None else body[:cut])
    if cut is not None:
        request.close_connection = True


def cut(count: int) -> Answer:
    """Promise the whole file and close after ``count`` bytes."""
    return lambda request: ranged(request, count)


def stall(count: int) -> Answer:
    """Send ``count`` bytes, then nothing, without closing."""

    def answer(request: Request) -> None:
        ranged(request, count)
        request.server.site.over.wait(20)

    return answer


def trickle(count: int, pause: float) -> Answer:
    """Send a byte at a time."""

    def answer(request: Request) -> None:
        content = request.server.site.content
        request.send(200, {"Content-Length": len(content), **_tagged(request)})
        for byte in content[:count]:
            request.wfile.write(bytes([byte]))
            request.wfile.flush()
            if request.server.site.over.wait(pause):
                break
        request.close_connection = True

    return answer


def status(code: int, **headers: object) -> Answer:
    """Answer with a status and no file."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request: request.send(code, {"Content-Length": 0, **named})


def redirect(to: str, code: int = 302) -> Answer:
    return status(code, Location=to)


def changed(content: bytes, etag: str | None, then: Answer = ranged) -> Answer:
    """Put another file in its place first."""

    def answer(request: Request) -> None:
        request.server.site.content, request.server.site.etag = content, etag
        then(request)

    return answer


def lengthless(body: bytes) -> Answer:
    """Send something without saying how long it is, and close."""

    def answer(request: Request) -> None:
        request.send(200, {"Connection": "close"}, body)
        request.close_connection = True

    return answer


def chunked(body: bytes, ends: bool = True) -> Answer:
    def answer(request: Request) -> None:
        request.send(200, {"Transfer-Encoding": "chunked"}, b"%x\r\n%s\r\n" % (len(body), body))
        request.wfile.write(b"0\r\n\r\n" if ends else b"ff\r\n")
        request.close_connection = True

    return answer


def misplaced(request: Request) -> None:
    """Answer a range with another one."""
    content = request.server.site.content
    request.send(206, {"Content-Length": len(content), "Content-Range": f"bytes 1-{len(content)}/*"}, content)


def packed(request: Request) -> None:
    request.send(200, {"Content-Length": 3, "Content-Encoding": "gzip"}, b"\x1f\x8b\x08")


def garbage(request: Request) -> None:
    request.wfile.write(b"\x00\x01 this is no HTTP\r\n\r\n")
    request.close_connection = True
