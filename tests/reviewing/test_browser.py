"""The reviewer's page in a browser: a review without script, what a spoilt report cannot do, no sideways scrolling."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from ganaudit.reviewing.folder import load_review
from ganaudit.reviewing.verifying import verify
from tests.report.test_browser import CHROMIUM, FLAGS
from tests.reviewing.conftest import Audit
from tests.reviewing.test_server import Client, served

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def client(failing: Audit) -> Iterator[Client]:
    with served(failing.folder) as found:
        yield found


def opened(browser: Any, client: Client, **more: Any) -> tuple[Any, list[str], list[str]]:
    page = browser.new_context(**more).new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(client.server.address)
    return page, said, asked


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (360, "dark")])
def test_the_page_opens_with_the_report_in_it(browser: Any, client: Client, width: int, scheme: str) -> None:
    page, said, asked = opened(browser, client, viewport={"width": width, "height": 900}, color_scheme=scheme)
    frame = page.frame_locator("iframe")
    frame.locator("h1").wait_for()
    assert frame.locator("h1").inner_text() == "blobs"
    assert frame.locator("svg").first.bounding_box() is not None
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert said == []
    assert [url for url in asked if not url.startswith((client.server.address, "data:"))] == []
    page.context.close()


def test_a_review_without_script(browser: Any, client: Client, failing: Audit) -> None:
    page, said, _ = opened(browser, client, java_script_enabled=False)
    for gate in ("strict", "near"):
        card = page.locator("article", has_text=gate).filter(has=page.locator("details[open]")).first
        card.get_by_label("Your name").fill("Réviewer")
        card.get_by_label("Answer", exact=True).fill(f"{gate} is known & <b>fine</b>")
        card.get_by_role("button", name="Write the answer").click()
        assert "The comment stands in review.json" in page.locator(".note").inner_text()
    assert page.locator("#sign-reviewer").input_value() == "Réviewer"
    page.get_by_label("Approve", exact=True).check()
    page.get_by_role("button", name="Sign", exact=True).click()
    assert "Approved by Réviewer" in page.locator(".banner").inner_text()
    assert page.locator(".said b").count() == 0
    assert verify(failing.folder).state == "approved"
    assert said == []
    page.context.close()


SPOILT = """<!DOCTYPE html><title>spoilt</title><form id="f" method="post" action="sign">
<input name="reviewer" value="Mallory"><input name="decision" value="reject"><input name="comment" value="x">
<input name="head" value=""><input name="document" value="{digest}"><button id="b">Read on</button></form>
<img src="http://127.0.0.1:{port}/leak"><a id="a" href="comment" target="_top">x</a>
<script>document.title = "ran"; document.getElementById("f").submit(); top.location = "http://127.0.0.1:{port}/";</script>"""


def test_a_spoilt_report_runs_nothing_sends_nothing_and_signs_nothing(
    browser: Any, client: Client, failing: Audit
) -> None:
    digest = "sha256:" + hashlib.sha256(failing.document.read_bytes()).hexdigest()
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    (failing.folder / "report.html").write_text(SPOILT.replace("{digest}", digest).replace("{port}", str(port)))
    page, _, _ = opened(browser, client)
    frame = page.frame_locator("iframe")
    frame.locator("#b").wait_for()
    frame.locator("#b").click()  # a user who is lured into pressing the button
    page.wait_for_timeout(300)
    alone = page.context.new_page()
    alone.goto(f"{client.server.address}report.html")
    alone.locator("#b").click()
    alone.wait_for_timeout(300)
    assert alone.title() == "spoilt"
    assert page.url == client.server.address
    assert load_review(failing.folder).entries == []
    listener.settimeout(0.3)
    with listener, pytest.raises(TimeoutError):  # nobody has knocked
        listener.accept()
    page.context.close()


def test_another_page_in_the_same_browser_signs_nothing(
    browser: Any, client: Client, failing: Audit, tmp_path: Path
) -> None:
    # It even knows the token: a form of a file or of another server is refused all the same.
    evil = SPOILT.replace('action="sign"', f'action="{client.server.address}sign"').replace("{digest}", "x")
    file = tmp_path / "evil.html"
    file.write_text(evil.replace("top.location", "window.unused"))
    page = browser.new_context().new_page()
    page.goto(f"file://{file}")
    page.wait_for_url(f"{client.server.address}sign")
    assert "sent from another page" in page.inner_text("body")
    assert load_review(failing.folder).entries == []
    page.context.close()


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (1440, "dark"), (360, "light"), (360, "dark")])
def test_axe_finds_nothing_serious(browser: Any, client: Client, width: int, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python")
    program = (resources.files(axe) / "axe.min.js").read_text(encoding="utf-8")
    client.post("comment", {"reviewer": "R", "comment": "known", "gate": "strict"})
    # The page's own policy refuses every script, as it should; only this test may put one in.
    page, _, _ = opened(browser, client, viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True)
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    page.evaluate(program)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations'], iframes: false})")
    told = [
        (v["id"], v["impact"], [(node["target"], node["failureSummary"]) for node in v["nodes"][:3]])
        for v in found["violations"]
        if v["impact"] in ("serious", "critical")
    ]
    assert told == []
    page.context.close()
