"""The page on this machine, by real requests: who may ask, what can be reached, and a whole review in forms."""

from __future__ import annotations

import http.client
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from ganaudit.document.errors import ConfigError
from ganaudit.document.files import load_document
from ganaudit.reviewing.desk import Desk
from ganaudit.reviewing.folder import load_review
from ganaudit.reviewing.server import MOST_BODY, ReviewServer
from ganaudit.reviewing.signing import Signature, comment, sign
from ganaudit.reviewing.verifying import verify
from tests.report.hostile import BAD, poisoned
from tests.report.page import Page
from tests.reviewing.conftest import Audit

SAME = {"Sec-Fetch-Site": "same-origin", "Origin": "null"}
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Got:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8")


class Client:
    def __init__(self, server: ReviewServer) -> None:
        self.server = server
        self.path = urlsplit(server.address).path

    def ask(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Got:
        """Send exactly this path, and the Host of the address where the headers name no other."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=30)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        given = {"Host": f"127.0.0.1:{self.server.server_port}", **(headers or {})}
        if body is not None:
            given.setdefault("Content-Length", str(len(body)))
            given.setdefault("Content-Type", FORM)
        for name, value in given.items():
            if value:
                connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        got = Got(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        connection.close()
        return got

    def get(self, path: str = "", **headers: str) -> Got:
        return self.ask("GET", self.path + path, headers=headers)

    def post(self, path: str, fields: dict[str, str] | bytes, headers: dict[str, str] | None = None) -> Got:
        body = fields if isinstance(fields, bytes) else urlencode(fields).encode()
        return self.ask("POST", self.path + path, body, SAME if headers is None else headers)


@contextmanager
def served(folder: Path) -> Iterator[Client]:
    with ReviewServer(Desk(folder, None, None)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield Client(server)
        finally:
            server.shutdown()
            thread.join(10)


@pytest.fixture
def client(failing: Audit) -> Iterator[Client]:
    with served(failing.folder) as found:
        yield found


def hidden(page: str, name: str) -> str:
    found = re.search(rf'<input type="hidden" name="{name}" value="([^"]*)">', page)
    assert found is not None, name
    return found[1]


def sign_form(page: str, **fields: str) -> dict[str, str]:
    form = page[page.index('action="sign"') :]
    return {"head": hidden(form, "head"), "document": hidden(form, "document"), "reviewer": "R", "role": "",
            "decision": "approve", "comment": "fine", **fields}  # fmt: skip


# --- who may ask


@pytest.mark.parametrize("token", ["", "x", "wrong/", "%00/", "%C3%A9/"])
@pytest.mark.parametrize("rest", ["", "report.html", "review.json", "sign"])
def test_without_the_token_nothing_is_told(client: Client, token: str, rest: str) -> None:
    got = client.ask("GET", f"/{token}{rest}")
    assert got.status == 403
    assert b"blobs" not in got.body
    assert client.server.token.encode() not in got.body


def test_a_token_that_is_cut_or_longer_is_wrong(client: Client) -> None:
    token = client.server.token
    assert len(token) >= 43  # 256 bits
    for wrong in (token[:-1], token + "x", token.swapcase(), token[1:]):
        assert client.ask("GET", f"/{wrong}/").status == 403
    assert client.ask("POST", f"/{token[:-1]}/sign", b"a=b", SAME).status == 403
    assert client.get().status == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]:{port}",
                                  "127.0.0.1.evil.example:{port}", "127.0.0.1:{port}, evil.example", ""])  # fmt: skip
def test_another_name_that_leads_here_is_refused(client: Client, host: str) -> None:
    named = host.format(port=client.server.server_port)
    for method in ("GET", "POST"):
        got = client.ask(method, client.path, b"a=b" if method == "POST" else None, {"Host": named, **SAME})
        assert got.status == 421
        assert b"blobs" not in got.body


def test_two_names_at_once_are_refused(client: Client) -> None:
    port = client.server.server_port
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(f"GET {client.path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nHost: evil\r\n\r\n".encode())
        assert b" 421 " in line.makefile("rb").readline()


def test_localhost_is_the_same_machine(client: Client) -> None:
    host = f"localhost:{client.server.server_port}"
    assert client.get(Host=host).status == 200
    headers = {"Host": host, "Origin": f"http://{host}"}
    assert client.post("comment", {"reviewer": "R", "comment": "x"}, headers).status == 303


def test_it_listens_on_this_machine_alone(client: Client) -> None:
    assert client.server.server_address[0] == "127.0.0.1"


FOREIGN = {
    "nothing said": {},
    "another site": {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    "a sandboxed page": {"Sec-Fetch-Site": "cross-site", "Origin": "null"},
    "another port": {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:1"},
    "typed by hand": {"Sec-Fetch-Site": "none"},
    "no site, null": {"Origin": "null"},
    "no site, another": {"Origin": "https://evil.example"},
    "a site that lies": {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_form_of_another_page_writes_nothing(client: Client, failing: Audit, name: str) -> None:
    for path in ("comment", "sign"):
        got = client.post(path, sign_form(client.get().text, decision="reject"), FOREIGN[name])
        assert got.status == 403
    assert not (failing.folder / "review.json").exists()


@pytest.mark.parametrize("headers", [
    {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:{port}"},
    {"Origin": "http://127.0.0.1:{port}"},
])  # fmt: skip
def test_a_form_of_the_page_itself_is_taken(client: Client, headers: dict[str, str]) -> None:
    told = {name: value.format(port=client.server.server_port) for name, value in headers.items()}
    assert client.post("comment", {"reviewer": "R", "comment": "x"}, told).status == 303


# --- what is answered, and how


def test_every_answer_is_kept_from_caches_frames_and_referrers(client: Client) -> None:
    for path in ("", "report.css", "review.css", "report.html", "samples/fake-000001.png", "nothing", "sign"):
        got = client.get(path)
        assert got.headers["cache-control"] == "no-store"
        assert got.headers["x-content-type-options"] == "nosniff"
        assert got.headers["referrer-policy"] == "no-referrer"
        assert got.headers["x-frame-options"] == ("SAMEORIGIN" if path == "report.html" else "DENY")
        policy = got.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors" in policy
        assert "unsafe-eval" not in policy
        assert "set-cookie" not in got.headers
        assert "python" not in got.headers["server"].lower()
    policy = client.get().headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "script" not in policy
    sandboxed = client.get("report.html").headers["content-security-policy"]
    assert sandboxed.startswith("sandbox allow-scripts;")
    assert "allow-same-origin" not in sandboxed
    assert "script-src 'sha256-" in sandboxed


def test_the_page_holds_no_script_and_asks_nothing_of_others(client: Client) -> None:
    text = client.get().text
    page = Page(text)
    assert [tag for tag, _ in page.tags if tag == "script"] == []
    assert [(t, k) for t, k, _ in page.attributes() if k.startswith("on") or k == "style"] == []
    addresses = [v for _, k, v in page.attributes() if k in ("href", "src", "action")]
    assert all(not urlsplit(a).scheme and not a.startswith("//") for a in addresses)
    assert len(page.ids) == len(set(page.ids))
    labelled = {v for t, k, v in page.attributes() if t == "label" and k == "for"}
    fields = [a for t, a in page.tags if t in ("input", "textarea") and a.get("type") not in ("hidden", "radio")]
    assert {a["id"] for a in fields} <= labelled
    assert page.headings[0] == 1
    assert all(b - a <= 1 for a, b in zip(page.headings, page.headings[1:], strict=False))


def test_the_files_of_the_audit_come_as_they_are(client: Client, failing: Audit) -> None:
    for path in ("report.html", "samples/fake-000001.png"):
        assert client.get(path).body == (failing.folder / path).read_bytes()
    assert client.get("samples/fake-000001.png").headers["content-type"] == "image/png"
    assert client.get("review.json").status == 404
    client.post("comment", {"reviewer": "R", "comment": "x"})
    assert client.get("review.json").body == (failing.folder / "review.json").read_bytes()


PATHS = [
    "document.json", "nothing", "samples", "samples/", "samples/nothing.png", "samples/../document.json",
    "../document.json",
    "samples/..%2fdocument.json", "samples/%2e%2e/document.json", "samples/....//document.json", "samples//etc/passwd",
    "/etc/passwd", "//etc/passwd", "samples/..\\document.json", "samples/fake-000001.png%00.txt", "samples/.hidden.png",
    "samples/secret.txt", "samples/linked.png", "samples/folder.png", "report.html/", "review.json/../document.json",
    "samples/fake-000001.png/..", "report.css/../review.html.j2", "%72eport.html",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_nothing_else_can_be_reached(client: Client, failing: Audit, path: str) -> None:
    samples = failing.folder / "samples"
    (samples / "secret.txt").write_text("secret")
    (samples / ".hidden.png").write_text("secret")
    (samples / "folder.png").mkdir()
    (samples / "linked.png").symlink_to(failing.document)
    got = client.get(path)
    assert got.status == 404
    assert len(got.body) < 200


def test_methods_and_heads(client: Client) -> None:
    for method in ("PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"):
        got = client.ask(method, client.path)
        assert got.status == 501
        assert b"blobs" not in got.body
    head = client.ask("HEAD", client.path)
    assert (head.status, head.body) == (200, b"")
    assert int(head.headers["content-length"]) > 1000
    assert client.get("sign").status == 404
    assert client.post("nothing", {"a": "b"}).status == 404
    assert client.post("", {"a": "b"}).status == 405


def test_forms_have_limits(client: Client, failing: Audit) -> None:
    assert client.post("comment", b"x" * (MOST_BODY + 1)).status == 413
    assert client.post("comment", b"", {**SAME, "Content-Length": str(10**15)}).status == 413
    for length in ("-1", "1e3", "٣", "0x10", " "):
        headers = {**SAME, "Content-Length": length.encode("ascii", "replace").decode()}
        assert client.ask("POST", client.path + "comment", b"", headers).status in (400, 411)
    assert client.post("comment", b"a=b", {**SAME, "Transfer-Encoding": "chunked"}).status == 411
    assert client.post("comment", b"{}", {**SAME, "Content-Type": "application/json"}).status == 415
    assert client.post("comment", b"a=b", {**SAME, "Content-Type": "text/plain"}).status == 415
    for broken in (b"\xff\xfe", b"a&b", b"&".join(b"a=1" for _ in range(100))):
        assert client.post("comment", broken).status == 400
    assert not (failing.folder / "review.json").exists()


def test_a_line_that_sends_nothing_is_dropped(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client.server.RequestHandlerClass, "timeout", 0.2)
    with socket.create_connection(("127.0.0.1", client.server.server_port), timeout=10) as line:
        line.sendall(b"GET / HT")
        assert line.recv(100) == b""
    assert client.get().status == 200


# --- a review


def test_a_whole_review_in_forms(client: Client, failing: Audit) -> None:
    page = client.get().text
    assert "Unsigned" in page
    refused = client.post("sign", sign_form(page, comment="I like it"))
    assert refused.status == 422
    assert "Rows of the checklist are unmet" in refused.text
    assert "I like it" in refused.text  # what was typed is not lost
    assert not (failing.folder / "review.json").exists()
    for gate in ("strict", "near"):
        got = client.post("comment", {"gate": gate, "reviewer": "Réviewer", "role": "QA", "comment": "a\r\nb"})
        assert (got.status, urlsplit(got.headers["location"]).path) == (303, client.path)
    after = client.ask("GET", got.headers["location"])
    assert "The comment stands in review.json" in after.text
    assert after.text.count('value="Réviewer"') >= 3  # the name is typed once
    signed = client.post("sign", sign_form(after.text, decision="conditions", comment="only for demos", role="QA"))
    assert signed.status == 303
    entries = load_review(failing.folder).entries
    assert [(e.kind, e.reviewer, e.role) for e in entries] == [
        ("comment", "Réviewer", "QA"), ("comment", "Réviewer", "QA"), ("decision", "R", "QA"),
    ]  # fmt: skip
    assert entries[0].text == "a\nb"
    assert verify(failing.folder).state == "approved with conditions"
    last = client.ask("GET", signed.headers["location"]).text
    assert "Approved with conditions" in last
    assert "only for demos" in last


def test_a_rejection_needs_words(client: Client, failing: Audit) -> None:
    page = client.get().text
    got = client.post("sign", sign_form(page, decision="reject", comment=""))
    assert (got.status, "say why it is rejected" in got.text) == (422, True)
    assert client.post("sign", sign_form(page, decision="reject", comment="too far")).status == 303
    assert verify(failing.folder).state == "rejected"


def test_forms_that_lack_what_they_need_come_back(client: Client, failing: Audit) -> None:
    for fields in ({"reviewer": "", "comment": "x"}, {"reviewer": "R", "comment": ""}, {"a": "b"},
                   {"reviewer": "R", "comment": "x", "gate": "strickt"}):  # fmt: skip
        assert client.post("comment", fields).status == 422
    for fields in ({"decision": "maybe"}, {"reviewer": " "}, {"acknowledge": "samples"}):
        assert client.post("sign", sign_form(client.get().text, **fields)).status == 422
    assert not (failing.folder / "review.json").exists()


def test_what_changed_since_it_was_shown_is_not_signed(client: Client, failing: Audit) -> None:
    page = client.get().text
    comment(failing.folder, reviewer="S", text="wait")
    got = client.post("sign", sign_form(page, decision="reject"))
    assert (got.status, "was changed since you were shown it" in got.text) == (409, True)
    page = client.get().text
    made = load_document(failing.folder)
    failing.write(made.model_copy(update={"seconds": 3.0}))
    assert client.post("sign", sign_form(page, decision="reject")).status == 409
    without = {k: v for k, v in sign_form(page, decision="reject").items() if k != "document"}
    assert client.post("sign", without).status == 409
    assert [e.kind for e in load_review(failing.folder).entries] == ["comment"]


def test_of_two_that_sign_the_same_page_at_once_one_signs(client: Client, failing: Audit) -> None:
    page = client.get().text
    got: list[int] = []

    def send(name: str) -> None:
        got.append(client.post("sign", sign_form(page, reviewer=name, decision="reject")).status)

    threads = [threading.Thread(target=send, args=(f"r{i}",)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [303, 409, 409, 409, 409, 409]
    assert len(load_review(failing.folder).entries) == 1


def test_many_comments_at_once_lose_nothing(client: Client, failing: Audit) -> None:
    threads = [
        threading.Thread(target=client.post, args=("comment", {"reviewer": f"r{i}", "comment": "x"})) for i in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(c.reviewer for c in load_review(failing.folder).comments) == [f"r{i}" for i in range(10)]


def test_hostile_strings_come_out_as_text(failing: Audit) -> None:
    failing.write(poisoned(load_document(failing.folder)))
    comment(failing.folder, reviewer=f"R{BAD}", text=f"text{BAD}", role=f"role{BAD}", gate=f"strict{BAD}")
    sign(failing.folder, Signature(f"S{BAD}", "reject", f"no{BAD}\u202e\x1b"))
    with served(failing.folder) as client:
        for page in (
            client.get().text,
            client.get("?" + urlencode({"done": BAD, "reviewer": BAD, "role": BAD})).text,
            client.post("comment", {"reviewer": BAD, "comment": f"</textarea>{BAD}", "gate": f"none{BAD}"}).text,
        ):
            assert "<script>alert" not in page
            assert "&lt;script&gt;" in page
            parsed = Page(page)  # nests, or this raises
            assert [t for t, _ in parsed.tags if t == "script"] == []
            assert "\u202e" not in page
            assert "\x1b" not in page


def test_a_review_or_a_document_that_breaks_meanwhile_is_told(client: Client, failing: Audit) -> None:
    client.post("comment", {"reviewer": "R", "comment": "x"})
    path = failing.folder / "review.json"
    path.write_text(path.read_text("utf-8").replace('"x"', '"y"'), "utf-8")
    page = client.get()
    assert (page.status, "entry 1 was changed" in page.text) == (200, True)
    got = client.post("comment", {"reviewer": "R", "comment": "z"})
    assert (got.status, "entry 1 was changed" in got.text) == (500, True)
    failing.document.write_text("{")
    broken = client.get()
    assert (broken.status, "cannot be read as strict JSON" in broken.text) == (500, True)
    assert broken.headers["content-type"].startswith("text/plain")


def test_a_fault_of_ours_is_answered_too(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr(client.server.desk, "page", broken)
    got = client.get()
    assert (got.status, got.text) == (500, "internal: ZeroDivisionError: of ours\n")


def test_an_audit_without_report_or_samples_has_a_page(failing: Audit) -> None:
    shutil.rmtree(failing.folder / "samples")
    (failing.folder / "report.html").unlink()
    with served(failing.folder) as client:
        page = client.get()
        assert page.status == 200
        assert "There is no report.html" in page.text
        assert client.get("report.html").status == 404


def test_a_port_in_use_is_told(client: Client, failing: Audit) -> None:
    with pytest.raises(ConfigError, match="is in use by another program; leave --port out"):
        ReviewServer(Desk(failing.folder, None, None), client.server.server_port)


def test_each_opening_has_another_token(failing: Audit) -> None:
    tokens: set[Any] = set()
    for _ in range(5):
        with ReviewServer(Desk(failing.folder, None, None)) as server:
            tokens.add(server.token)
    assert len(tokens) == 5
