"""Downloads against a server that truncates, corrupts, stalls, lies about ranges, redirects and sends too much."""

import contextlib
import errno
import hashlib
import os
import shutil
import socket
import threading
import time
from dataclasses import replace

import pytest

from ganaudit.document.errors import ConfigError, WeightsError
from ganaudit.progress import Silent
from ganaudit.weights import download as download_module
from ganaudit.weights.download import Patience
from ganaudit.weights.fetch import fetch
from ganaudit.weights.transport import check_url

from . import site as serve
from .conftest import CONTENT, SHA256

OTHER = hashlib.sha512(CONTENT).digest() * (len(CONTENT) // 64) + b"#" * (len(CONTENT) % 64)


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def get(cache, site, pauses):
    """Fetch ``net`` from the server with little patience."""

    def call(name="net", url=None, **options):
        options = {"patience": Patience(stall=0.3, tries=3, sleep=pauses.append), "progress": Silent()} | options
        return fetch(cache, name, url=url or site.url, **options)

    return call


def left(cache, name="net"):
    folder = cache.root / name
    return sorted(p.name for p in folder.iterdir() if p.name != ".lock") if folder.exists() else []


KEPT = ["net-published.pth", "record.json"]


def check_good(cache, held):
    assert held.state == "verified"
    assert held.path.read_bytes() == CONTENT
    assert cache.resolve("net") == held.path
    assert left(cache) == KEPT


# --- what goes well


def test_a_file_is_fetched_once(cache, get, site, pauses):
    check_good(cache, get())
    check_good(cache, get())
    assert site.ranges() == [None]
    assert site.asked[0]["Accept-Encoding"] == "identity"
    assert site.asked[0]["User-Agent"].startswith("ganaudit/")
    assert pauses == []
    assert cache.held("net").record.origin == site.url


def test_a_damaged_file_in_the_cache_is_fetched_again(cache, get):
    path = get().path
    path.write_bytes(OTHER)
    check_good(cache, get())


def test_a_base_address_serves_published_names(cache, get, site):
    check_good(cache, fetch(cache, "net", base=f"{site.root}/mirror/", patience=Patience(), progress=Silent()))
    assert site.asked[0]["path"] == "/mirror/net-published.pth"


def test_a_name_of_its_own_needs_an_address_and_a_hash(cache, get, site):
    for options in ({}, {"url": site.url}, {"sha256": SHA256}, {"base": site.root, "sha256": SHA256}):
        with pytest.raises(ConfigError):
            fetch(cache, "nett", patience=Patience(), progress=Silent(), **options)
    held = get("mine", sha256=SHA256.upper())
    assert (held.entry, held.path.name, held.state) == (None, "mine.pth", "verified")
    assert left(cache, "mine") == ["mine.pth", "record.json"]
    with pytest.raises(ConfigError, match="nearest: net"):
        fetch(cache, "nett", patience=Patience(), progress=Silent())


def test_contradictions_are_told_before_anything_is_asked(cache, get, site):
    with pytest.raises(WeightsError, match=f"--sha256 {'0' * 64} is not that of the manifest, {SHA256}"):
        get(sha256="0" * 64)
    with pytest.raises(ConfigError, match="--url and --from"):
        get(base=site.root)
    assert site.asked == []
    assert not cache.root.exists()


@pytest.mark.parametrize("answer", [serve.lengthless(CONTENT), serve.chunked(CONTENT), serve.whole])
def test_a_server_need_not_know_lengths_or_ranges(cache, get, site, answer):
    site.script = [answer]
    check_good(cache, get())


def test_progress_says_how_much_has_come(cache, site):
    steps = []

    class Listener(Silent):
        @contextlib.contextmanager
        def task(self, label, total, unit="samples"):
            class Task:
                def advance(self, count):
                    steps.append(count)

                def note(self, text): ...

            assert (label, total, unit) == ("fetching big", 3, "MB")
            yield Task()

    site.content = bytes(2_500_000)
    digest = hashlib.sha256(site.content).hexdigest()
    fetch(cache, "big", url=site.url, sha256=digest, patience=Patience(), progress=Listener())
    assert sum(steps) == 2  # whole megabytes that have come


# --- what breaks off


@pytest.mark.parametrize("fault", [serve.cut(100_000), serve.stall(100_000)])
def test_a_download_that_breaks_off_goes_on_where_it_ended(cache, get, site, pauses, fault):
    site.script = [fault, serve.ranged]
    check_good(cache, get())
    assert site.ranges() == [None, "bytes=100000-"]
    assert site.asked[1]["If-Range"] == '"one"'
    assert pauses == [1.0]


def test_what_came_is_kept_for_the_next_call(cache, get, site):
    site.script = [serve.cut(100_000), serve.status(503)]
    with pytest.raises(WeightsError, match=r"503.*gave up after 3 tries .* 100.0 kB .100000 bytes. are kept in .*part"):
        get()
    assert left(cache) == ["net-published.pth.part", "net-published.pth.part.json"]
    assert cache.resolve("net") is None
    site.script, site.asked = [serve.ranged], []
    check_good(cache, get())
    assert site.ranges() == ["bytes=100000-"]


def test_an_interruption_keeps_what_came(cache, get, site, monkeypatch):
    chunks = download_module._chunks

    def interrupted(response, goal):
        for chunk in chunks(response, goal):
            yield chunk
            raise KeyboardInterrupt

    monkeypatch.setattr(download_module, "_chunks", interrupted)
    with pytest.raises(KeyboardInterrupt):
        get()
    assert left(cache) == ["net-published.pth.part", "net-published.pth.part.json"]
    came = (cache.root / "net" / "net-published.pth.part").stat().st_size
    assert came > 0
    monkeypatch.setattr(download_module, "_chunks", chunks)
    check_good(cache, get())
    assert site.ranges() == ([None, f"bytes={came}-"] if came < len(CONTENT) else [None])


def test_tries_are_counted_anew_when_something_came(cache, get, site, pauses):
    """A weak line ends all the same: every piece is a step; only tries that bring nothing are counted."""
    site.script = [*[serve.cut(60_000)] * 4, serve.ranged]
    check_good(cache, get())
    assert site.ranges() == [None, *(f"bytes={n}-" for n in (60_000, 120_000, 180_000, 240_000))]
    assert pauses == [1.0] * 4


def test_pauses_double_up_to_the_longest(cache, get, site, pauses):
    site.script = [serve.status(500)]
    with pytest.raises(WeightsError, match=r"answered 500 .*gave up after 5 tries"):
        get(patience=Patience(stall=0.3, tries=5, longest_pause=3.0, sleep=pauses.append))
    assert pauses == [1.0, 2.0, 3.0, 3.0]
    assert left(cache) == []


def test_a_server_may_say_how_long_to_wait(cache, get, site, pauses):
    site.script = [serve.status(429, Retry_After=7), serve.status(503, Retry_After=9999), serve.ranged]
    check_good(cache, get())
    assert pauses == [7.0, 30.0]


def test_a_trickle_is_a_stall(cache, get, site):
    site.script = [serve.trickle(10_000, 0.02)]
    began = time.monotonic()
    with pytest.raises(WeightsError, match=r"sent only \d+ bytes in 0.3 s|sent nothing"):
        get(patience=Patience(stall=0.3, slowest=100_000, tries=1, sleep=lambda seconds: None))
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (serve.cut(0), "ended after 0 of 300000 bytes"),
        (serve.stall(0), "sent nothing for too long"),
        (serve.chunked(CONTENT[:1000], ends=False), "the connection failed|ended after"),
        (serve.lengthless(CONTENT[:1000]), "ended after 1000 of 300000 bytes"),
        (serve.garbage, "the connection failed"),
    ],
)
def test_a_server_that_never_gets_to_the_end_is_given_up(cache, get, site, answer, told):
    site.script = [answer]
    with pytest.raises(WeightsError, match=told) as caught:
        get()
    assert "tries in a row without a new byte" in str(caught.value)
    assert cache.resolve("net") is None


def test_a_server_that_is_not_there_is_given_up(cache, get):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(WeightsError, match=r"the connection failed: .*refused.*gave up after 3 tries"):
        get(url=f"http://127.0.0.1:{port}/w.pth")


# --- what is not the right file


def test_a_corrupt_file_is_refused_and_not_kept(cache, get, site):
    site.content = OTHER
    with pytest.raises(WeightsError) as caught:
        get()
    for told in (
        site.url,
        f"found     {hashlib.sha256(OTHER).hexdigest()}",
        f"expected  {SHA256}",
        "nothing of it was",
    ):
        assert told in str(caught.value)
    assert len(site.asked) == 1  # the server has nothing better
    assert left(cache) == []


def test_a_part_of_something_else_is_given_up_for_a_fresh_start(cache, get, site):
    """Bytes that an earlier call left may be wrong: then the checksum fails and all is fetched once more."""
    part = cache.root / "net" / "net-published.pth.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(OTHER[:100_000])
    check_good(cache, get())
    assert site.ranges() == ["bytes=100000-", None]


def test_a_whole_part_needs_no_server(cache, get, site):
    part = cache.root / "net" / "net-published.pth.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT)
    check_good(cache, get())
    assert site.asked == []


@pytest.mark.parametrize("extra", [0, 5])
def test_a_part_of_an_unknown_size_that_is_whole_or_longer(cache, get, site, extra):
    part = cache.root / "mine" / "mine.pth.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT + bytes(extra))
    assert get("mine", sha256=SHA256).path.read_bytes() == CONTENT
    assert site.ranges() == [f"bytes={len(CONTENT) + extra}-", *([None] if extra else [])]


def test_a_part_longer_than_the_file_is_given_up(cache, get, site):
    part = cache.root / "net" / "net-published.pth.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT + b"more")
    check_good(cache, get())
    assert site.ranges() == [None]


def test_a_file_that_changes_on_the_way_is_begun_anew(cache, get, site):
    site.content = OTHER
    site.script = [serve.cut(100_000), serve.changed(CONTENT, '"two"')]
    check_good(cache, get())
    # The condition does not hold any more, so the server sends the whole file.
    assert site.ranges() == [None, "bytes=100000-"]


def test_a_file_that_changes_is_noticed_where_the_server_ignores_the_condition(cache, get, site, pauses):
    dishonest = lambda request: serve.ranged(request, honest=False)  # noqa: E731
    site.content = OTHER
    site.script = [serve.cut(100_000), serve.changed(CONTENT, '"two"', dishonest), dishonest]
    check_good(cache, get())
    assert site.ranges() == [None, "bytes=100000-", None]
    assert len(pauses) == 2  # noticed by the version: the mixed file was never whole


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_a_file_that_changes_without_a_version_is_caught_by_the_checksum(cache, get, site, etag):
    site.content, site.etag = OTHER, etag
    site.script = [serve.cut(100_000), serve.changed(CONTENT, etag), serve.ranged]
    check_good(cache, get())
    assert site.ranges() == [None, "bytes=100000-", None]
    assert "If-Range" not in site.asked[1]


def test_a_server_that_ignores_ranges_is_read_from_the_start(cache, get, site):
    site.script = [serve.cut(100_000), serve.whole]
    check_good(cache, get())
    assert site.ranges() == [None, "bytes=100000-"]


def test_a_server_that_answers_another_range_is_asked_anew(cache, get, site):
    site.script = [serve.cut(100_000), serve.misplaced, serve.ranged]
    check_good(cache, get())
    assert site.ranges() == [None, "bytes=100000-", None]


def test_another_address_goes_on_with_the_same_part(cache, get, site):
    """The condition is about one server's file; on another one the checksum decides."""
    site.script = [serve.cut(100_000), serve.status(404)]
    with pytest.raises(WeightsError, match="answered 404"):
        get()
    site.script, site.asked = [serve.ranged], []
    check_good(cache, get(url=f"{site.root}/mirror.pth"))
    assert site.ranges() == ["bytes=100000-"]
    assert "If-Range" not in site.asked[0]


@pytest.mark.parametrize("size", [len(CONTENT) - 1, len(CONTENT) + 1, 10 * len(CONTENT)])
def test_a_file_of_another_size_is_refused_unread(cache, get, site, size):
    site.content = bytes(size)
    with pytest.raises(
        WeightsError, match=rf"a file of .*{size} bytes.; expected .*300000 bytes.; it is not the right"
    ):
        get()
    assert len(site.asked) == 1
    assert left(cache) == []


def test_a_server_that_sends_too_much_is_cut_off(cache, get, site):
    site.script = [serve.lengthless(CONTENT + b"x")]
    with pytest.raises(WeightsError, match=r"sends more than 300.0 kB .*nothing of it was kept"):
        get()
    assert left(cache) == []


def test_a_file_of_unknown_size_has_a_limit_too(cache, get, site, monkeypatch):
    monkeypatch.setattr("ganaudit.weights.fetch._MOST", 1000)
    for answer in (serve.ranged, serve.lengthless(CONTENT)):
        site.script = [answer]
        with pytest.raises(WeightsError, match=r"sends more than 1.0 kB"):
            get("mine", sha256=SHA256)
        assert left(cache, "mine") == []


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410, 501])
def test_a_refusal_is_final(cache, get, site, code):
    site.script = [serve.status(code)]
    with pytest.raises(WeightsError, match=rf"{site.url}: the server answered {code}"):
        get()
    assert len(site.asked) == 1


@pytest.mark.parametrize("answer", [serve.packed, serve.status(204), serve.status(304)])
def test_answers_that_are_no_file_are_told(cache, get, site, answer):
    site.script = [answer]
    with pytest.raises(WeightsError, match=r"the server packs what it sends|the server answered [23]04"):
        get()
    assert len(site.asked) == 1


# --- where it may lead


def test_a_redirect_keeps_the_range(cache, get, site):
    site.script = [serve.redirect("/there.pth"), serve.cut(100_000), serve.redirect("/there.pth", 307), serve.ranged]
    check_good(cache, get())
    assert [(r["path"], r.get("Range")) for r in site.asked] == [
        ("/w.pth", None), ("/there.pth", None), ("/w.pth", "bytes=100000-"), ("/there.pth", "bytes=100000-"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "to", ["http://weights.invalid/w.pth", "ftp://weights.invalid/w", "file:///etc/passwd", "http://10.0.0.1/w"]
)
def test_a_redirect_to_anything_but_https_is_refused(cache, get, site, to):
    site.script = [serve.redirect(to)]
    with pytest.raises(WeightsError, match=r"redirected from http://127.0.0.1.*only https|answered 302"):
        get()
    assert len(site.asked) == 1


def test_redirects_are_limited(cache, get, site):
    site.script = [serve.redirect(f"/{i}") for i in range(20)]
    with pytest.raises(WeightsError, match="redirect"):
        get()
    assert len(site.asked) <= 6


def test_a_redirect_in_a_circle_ends(cache, get, site):
    site.script = [serve.redirect("/w.pth")]
    with pytest.raises(WeightsError, match="redirect"):
        get()
    assert len(site.asked) <= 6


@pytest.mark.parametrize(
    "url",
    [
        "http://weights.invalid/w.pth", "http://127.0.0.1.invalid/w", "ftp://127.0.0.1/w", "file:///w.pth", "w.pth", "",
        "https:///w.pth", "https://[::1/w", "https://host:port/w", "http://localhost.invalid/", "//127.0.0.1/w",
    ],
)  # fmt: skip
def test_addresses_that_are_not_read(cache, url):
    with pytest.raises(WeightsError, match="url"):
        fetch(cache, "net", url=url or "http:", patience=Patience(), progress=Silent())
    assert not cache.root.exists()


def test_an_address_holds_no_password():
    with pytest.raises(WeightsError, match=r"url of weights.invalid: holds a user name") as caught:
        check_url("https://me:secret@weights.invalid/w.pth")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://weights.invalid/w", "http://localhost:80/w", "http://127.8.8.8/", "http://[::1]/"]
)
def test_addresses_that_are_read(url):
    check_url(url)


def test_a_redirect_from_outside_never_leads_into_this_machine():
    with pytest.raises(WeightsError, match=r"redirected from https://weights.invalid/w"):
        check_url("http://127.0.0.1/admin", origin="https://weights.invalid/w")
    check_url("http://127.0.0.1/w", origin="http://localhost/w")


def test_a_proxy_is_not_asked_for_this_machine(cache, get, site, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    check_good(cache, get())


def test_a_certificate_that_cannot_be_trusted_is_told(cache, tmp_path, pauses):
    """A server that speaks https with a certificate of its own making."""
    import ssl
    import subprocess

    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            connection, _ = listener.accept()
            with contextlib.suppress(OSError), connection, context.wrap_socket(connection, server_side=True):
                pass

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        url = f"https://localhost:{listener.getsockname()[1]}/w.pth"
        with pytest.raises(WeightsError, match=f"{url}: the server's certificate cannot be trusted: self.signed"):
            fetch(cache, "net", url=url, patience=Patience(stall=2, sleep=pauses.append), progress=Silent())
        thread.join(5)
    assert pauses == []


# --- disks and neighbours


def test_a_full_disk_is_told_before_the_download(cache, get, site, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=299_999))
    with pytest.raises(
        WeightsError, match=r"needs 300.0 kB .300000 bytes. in .*net, 300.0 kB .299999 bytes. free; make"
    ):
        get()
    assert left(cache) == []
    # What is there already needs no more room.
    part = cache.root / "net" / "net-published.pth.part"
    part.write_bytes(CONTENT[:1000])
    check_good(cache, get())


def test_a_disk_that_fills_on_the_way_keeps_what_came(cache, get, site, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        WeightsError, match=r"weights from http.*needs .* free; make room there, or point GANAUDIT_CACHE"
    ):
        get()
    assert left(cache) == ["net-published.pth.part", "net-published.pth.part.json"]


def test_two_fetches_of_one_file_do_not_write_over_each_other(cache, get, site):
    site.script = [serve.stall(1000), serve.ranged]
    slow = threading.Thread(target=lambda: get(patience=Patience(stall=1, sleep=lambda seconds: None)))
    slow.start()
    while not site.asked:
        time.sleep(0.005)
    with pytest.raises(WeightsError, match="another process fetches it now"):
        get()
    slow.join()
    assert cache.resolve("net") is not None


def test_patience_has_sane_defaults():
    patience = Patience()
    assert patience.stall >= 10
    assert 1 < patience.tries < 20
    assert replace(patience, tries=1).tries == 1
