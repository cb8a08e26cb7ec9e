"""Opens an HTTPS address the way a download of weights needs it: few redirects, no other schemes, honest errors.

A request that may succeed when it is made again raises Interrupted; everything else raises WeightsError.
"""

from __future__ import annotations

import http.client
import ipaddress
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any
from urllib.parse import urlsplit

import ganaudit
from ganaudit.document.errors import WeightsError

__all__ = ["Interrupted", "check_url", "network_may_fail", "opened"]

_AGAIN = (408, 425, 429, 500, 502, 503, 504)
"""Statuses that another try may mend."""


class Interrupted(Exception):  # noqa: N818 - not an error yet: the next try may go well
    """The network or the server failed in a way that another try may mend."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait
        """Seconds that the server asks for."""


def check_url(url: str, origin: str | None = None) -> None:
    """Raise WeightsError unless ``url`` is https, or http on this machine itself.

    A redirect (``origin`` is where it began) may lead to this machine only when it began there.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise WeightsError(f"url {url!r}: {error}") from None
    del port  # reading it is the check
    if parts.username or parts.password:
        raise WeightsError(f"url of {host}: holds a user name or a password, which would end up in logs; leave it out")
    if not host:
        raise WeightsError(f"url {url!r}: names no host; give a whole https:// address")
    local = parts.scheme == "http" and _is_loopback(host) and (origin is None or _is_loopback(_host(origin)))
    if parts.scheme != "https" and not local:
        redirected = f" (redirected from {origin})" if origin else ""
        raise WeightsError(f"url {url!r}{redirected}: only https is read, and http from this machine itself")


@contextmanager
def opened(url: str, headers: dict[str, str], *, timeout: float, redirects: int) -> Iterator[http.client.HTTPResponse]:
    """Yield the response to a GET of ``url``.

    Raises WeightsError for a refusal or a forbidden redirect, Interrupted where another try may help, and
    urllib's HTTPError for status 416, which the caller understands.
    """
    check_url(url)
    agent = {"User-Agent": f"ganaudit/{ganaudit.__version__}", "Accept-Encoding": "identity"}
    request = urllib.request.Request(url, headers={**agent, **headers})  # noqa: S310 - the scheme is checked above
    with network_may_fail(url):
        response = _opener(url, redirects).open(request, timeout=timeout)
    with response:
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise WeightsError(f"{url}: the server packs what it sends although it was asked not to; use another URL")
        yield response


@contextmanager
def network_may_fail(url: str) -> Iterator[None]:
    """Turn every error of the network into Interrupted or WeightsError."""
    try:
        yield
    except urllib.error.HTTPError as error:
        if error.code == 416:
            raise
        with error:
            told = f"the server answered {error.code} {error.reason}"
            if error.code not in _AGAIN:
                raise WeightsError(f"{url}: {told}") from None
            raise Interrupted(told, _seconds(error.headers.get("Retry-After"))) from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise WeightsError(f"{url}: the server's certificate cannot be trusted: {reason.verify_message}") from None
        if isinstance(reason, TimeoutError):
            raise Interrupted("the server sent nothing for too long") from None
        raise Interrupted(f"the connection failed: {reason or type(reason).__name__}") from None


class _Redirects(urllib.request.HTTPRedirectHandler):
    def __init__(self, origin: str, most: int) -> None:
        self._origin = origin
        setattr(self, "max_redirections", most)  # noqa: B010 - a class variable upstream, read through the instance

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        check_url(newurl, self._origin)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(url: str, redirects: int) -> urllib.request.OpenerDirector:
    """Return an opener that knows http and https and nothing else; this machine is never asked through a proxy."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler({} if _is_loopback(_host(url)) else None),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        _Redirects(url, redirects),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isascii() and text.isdigit() else None
