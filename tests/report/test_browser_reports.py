"""The committed reports in a real browser: first screen, script, accessibility, print, strict hosts."""

from __future__ import annotations

import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from ganaudit.cli.report import Layout, Shape, write_report
from ganaudit.document.files import load_document
from ganaudit.document.model import AuditDocument
from ganaudit.report.drawings import Drawings
from ganaudit.report.html import read_samples, render_html
from ganaudit.report.index import entry_of, render_index

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
REPORTS = Path(__file__).parents[2] / "reports"
NAMES = ("digits", "shapes", "mode-dropped-50")
FAILING = "mode-dropped-50"
SCREENS = [(1440, 900), (360, 740)]
STRICT = "sandbox; default-src 'none'; img-src 'self'; style-src 'self'"
"""What Jenkins sends with every file of a build."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def drawings(tmp_path_factory: pytest.TempPathFactory) -> Drawings:
    return Drawings(tmp_path_factory.mktemp("charts"))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory, drawings: Drawings) -> dict[str, str]:
    """Return the address of each report, as this code renders it from its committed document."""
    folder = tmp_path_factory.mktemp("reports")
    found = {}
    for name in NAMES:
        document = load_document(REPORTS / name)
        file = folder / f"{name}.html"
        file.write_text(render_html(document, read_samples(document, REPORTS / name), drawings=drawings))
        found[name] = f"file://{file}"
    entries = [entry_of(load_document(REPORTS / name), name, f"{name}/report.html") for name in NAMES]
    index = folder / "index.html"
    index.write_text(render_index(entries, [], "reports"))
    return {**found, "index": f"file://{index}"}


class Opened:
    """A page, and all that it asked for and complained of."""

    def __init__(self, browser: Any, address: str, **more: Any) -> None:
        self.page = browser.new_context(**more).new_page()
        self.asked: list[str] = []
        self.said: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.goto(address)

    def close(self) -> None:
        self.page.context.close()


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
@pytest.mark.parametrize(("width", "height"), SCREENS)
@pytest.mark.parametrize("name", NAMES)
def test_the_first_screen_shows_the_verdict_and_every_failed_gate(
    browser: Any, pages: dict[str, str], name: str, width: int, height: int, script: bool
) -> None:
    screen = {"width": width, "height": height}
    opened = Opened(browser, pages[name], viewport=screen, java_script_enabled=script)
    shown = [opened.page.locator(".verdict"), opened.page.locator(".sentence")]
    document = load_document(REPORTS / name)
    failed = {v.gate for v in document.verdicts if v.outcome in ("failed", "missing", "inconclusive")}
    reasons = opened.page.locator(".reasons li")
    assert reasons.count() == len(failed)
    assert any(v.outcome == "failed" for v in document.verdicts) is (name == FAILING)
    assert document.verdicts
    for gate in failed:
        assert reasons.filter(has_text=gate).count() >= 1
    for part in [*shown, *reasons.all()]:
        box = part.bounding_box()
        assert box is not None
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= height, part.text_content()
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.said == []
    assert opened.asked == [pages[name], *(url for url in opened.asked[1:] if url.startswith("data:"))]
    opened.close()


ALIKE = """() => {
  for (const body of document.querySelectorAll('tbody')) {
    const seen = new Set();
    for (const row of [...body.rows]) {
      const parts = [...row.querySelectorAll('*')].map((e) => `${e.tagName} ${e.getAttribute('class')}`);
      const shape = [row.className, ...parts].join('|');
      if (seen.has(shape)) row.remove(); else seen.add(shape);
    }
  }
}"""
"""Leaves of the rows of a table that differ in nothing but words and numbers the first: a rule sees no more in them."""
CONTRAST = {"runOnly": ["color-contrast"]}
BUT_CONTRAST = {"rules": {"color-contrast": {"enabled": False}}}


# No colour depends on the width, and nothing but colours on the scheme: each is looked at once.
@pytest.mark.parametrize(
    ("width", "height", "scheme", "rules"),
    [
        (1440, 900, "light", {}),
        (1440, 900, "dark", CONTRAST),
        (360, 740, "light", BUT_CONTRAST),
    ],
)
@pytest.mark.parametrize("name", [*NAMES, "index"])
def test_axe_finds_nothing_serious(
    browser: Any, pages: dict[str, str], name: str, width: int, height: int, scheme: str, rules: dict[str, Any]
) -> None:
    axe = pytest.importorskip("axe_playwright_python")
    program = (resources.files(axe) / "axe.min.js").read_text(encoding="utf-8")
    screen = {"width": width, "height": height}
    # The page's own policy refuses a foreign script, as it should; only this test may put one in.
    opened = Opened(browser, pages[name], viewport=screen, color_scheme=scheme, bypass_csp=True)
    opened.page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    opened.page.evaluate(ALIKE)
    opened.page.evaluate(program)
    found = opened.page.evaluate("(rules) => axe.run(document, rules)", {"resultTypes": ["violations"], **rules})
    told = [
        (v["id"], v["impact"], [(node["target"], node["failureSummary"]) for node in v["nodes"][:3]])
        for v in found["violations"]
        if v["impact"] != "minor"
    ]
    assert told == []
    opened.close()


def test_axe_would_see_a_fault(browser: Any, pages: dict[str, str]) -> None:
    axe = pytest.importorskip("axe_playwright_python")
    opened = Opened(browser, pages["index"], bypass_csp=True)
    opened.page.evaluate("document.querySelector('h1').style.color = '#ddd'; document.body.append(new Image())")
    opened.page.evaluate((resources.files(axe) / "axe.min.js").read_text(encoding="utf-8"))
    found = opened.page.evaluate("axe.run(document)")
    assert {"color-contrast", "image-alt"} <= {v["id"] for v in found["violations"]}
    opened.close()


@pytest.mark.parametrize("name", ["digits", "shapes"])
def test_on_a_phone_no_reason_of_a_gate_lies_off_the_screen(browser: Any, pages: dict[str, str], name: str) -> None:
    opened = Opened(browser, pages[name], viewport={"width": 360, "height": 740})
    measured = "(e) => [e.getBoundingClientRect().right, e.scrollWidth - e.clientWidth]"
    cells = opened.page.evaluate(f"[...document.querySelectorAll('.stack td')].map({measured})")
    assert len(cells) > 50
    assert all(right <= 360 and beyond <= 0 for right, beyond in cells)
    # The reason stands right below the outcome.
    tops = "(r) => [...r.cells].map((c) => c.getBoundingClientRect().top)"
    for row in opened.page.evaluate(f"[...document.querySelectorAll('.stack tbody tr')].map({tops})"):
        assert sorted(row)[2] == row[-1]
    opened.close()


@pytest.mark.parametrize("name", NAMES)
def test_paper_shows_everything_and_cuts_no_chart(browser: Any, pages: dict[str, str], name: str) -> None:
    across, down = 688, 1002  # A4 less its margins of 14 and 16 mm, in pixels of 1/96 inch
    opened = Opened(browser, pages[name], viewport={"width": across, "height": down})
    opened.page.emulate_media(media="print")
    opened.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    boxes = opened.page.evaluate(
        "[...document.querySelectorAll('svg.chart, main img')].map((e) => e.getBoundingClientRect())"
        ".map((b) => [b.left, b.right, b.height])"
    )
    assert len(boxes) > 30
    assert all(left >= 0 and right <= across and 0 < tall <= down for left, right, tall in boxes)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= across
    cut = "(e) => e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 1"
    assert opened.page.evaluate(f"[...document.querySelectorAll('.scroll')].filter({cut}).length") == 0
    breaks = opened.page.evaluate(
        "[...document.querySelectorAll('figure')].map((e) => getComputedStyle(e).breakInside)"
    )
    assert set(breaks) == {"avoid"}
    controls = opened.page.locator("input:visible, .tool:visible, nav[aria-label=Contents]:visible")
    assert controls.count() == 0
    assert opened.page.locator("details.more").evaluate_all("(all) => all.every((d) => d.open)")
    opened.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert opened.page.pdf(format="A4")[:5] == b"%PDF-"
    opened.close()


def test_the_keyboard_meets_the_skip_link_first_and_then_the_reasons(browser: Any, pages: dict[str, str]) -> None:
    opened = Opened(browser, pages[FAILING], viewport={"width": 1440, "height": 900})
    met = []
    for _ in range(4):
        opened.page.keyboard.press("Tab")
        met.append(opened.page.evaluate("document.activeElement.getAttribute('href')"))
    gates = [f"#gate-{v.gate}" for v in load_document(REPORTS / FAILING).verdicts if v.outcome == "failed"]
    assert met == ["#main", *sorted(gates, key=met.index), "#failed"]
    opened.page.keyboard.press("Shift+Tab")
    opened.page.keyboard.press("Enter")
    assert opened.page.evaluate("location.hash") == gates[-1] or opened.page.evaluate("location.hash") in gates
    opened.close()


def test_a_link_into_folded_details_opens_them(browser: Any, pages: dict[str, str]) -> None:
    opened = Opened(browser, pages[FAILING], viewport={"width": 1440, "height": 900})
    link = opened.page.locator("#gate-coverage").get_by_role("link").filter(has_text="no generated one").first
    opened.page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = false; })")
    target = link.get_attribute("href")
    link.click()
    picture = opened.page.locator(f"{target} img")
    picture.wait_for(state="visible")
    opened.close()


def test_the_table_of_numbers_sorts_and_filters(browser: Any, pages: dict[str, str]) -> None:
    opened = Opened(browser, pages["digits"], viewport={"width": 1440, "height": 900})
    page = opened.page
    page.get_by_text("Every number of this audit, in one table").click()
    table = page.locator("table.sortable")
    rows = table.locator("tbody tr")
    before = rows.all_text_contents()

    def values() -> list[float | None]:
        cells = table.locator("tbody tr td:nth-child(3)")
        raw = cells.evaluate_all("(cells) => cells.map((c) => c.dataset.value ?? null)")
        return [None if v is None else float(v) for v in raw]

    for click, reverse in ((1, False), (2, True)):
        table.get_by_role("button", name="Value").click()
        found = values()
        have = [v for v in found if v is not None]
        assert have == sorted(have, reverse=reverse), click
        assert found == [*have, *[None] * (len(found) - len(have))], "what has no value comes last"
        assert table.locator("th[aria-sort]").get_attribute("aria-sort") == ("descending" if reverse else "ascending")
    table.get_by_role("button", name="Value").click()
    assert rows.all_text_contents() == before
    assert table.locator("th[aria-sort]").count() == 0

    page.get_by_label("Show rows that hold").fill("precision RECALL")
    shown = [row.text_content().lower() for row in rows.all() if row.is_visible()]
    assert 0 < len(shown) < len(before)
    assert all("precision" in text and "recall" in text for text in shown)
    assert page.locator("output[for=numbers-filter]").text_content() == f"{len(shown)} of {len(before)} rows"
    page.get_by_label("Show rows that hold").fill("no such number")
    assert not any(row.is_visible() for row in rows.all())
    page.get_by_label("Show rows that hold").fill("")
    assert all(row.is_visible() for row in rows.all())
    assert opened.said == []
    opened.close()


def test_two_sheets_take_turns_in_one_place(browser: Any, pages: dict[str, str]) -> None:
    opened = Opened(browser, pages["digits"], viewport={"width": 1440, "height": 900})
    page = opened.page
    page.get_by_role("button", name="Compare generated and real").click()
    picture = page.get_by_role("dialog").get_by_role("img")
    first, box = picture.get_attribute("alt"), picture.bounding_box()
    assert first is not None
    assert "generated samples" in first
    page.get_by_role("button", name="Show the other").click()
    assert "real samples" in (picture.get_attribute("alt") or "")
    assert picture.bounding_box() == box, "the two lie over one another"
    page.get_by_role("button", name="Show the other").click()
    assert picture.get_attribute("alt") == first
    turns = page.get_by_role("button", name="Take turns")
    turns.click()
    assert turns.get_attribute("aria-pressed") == "true"
    page.wait_for_function("(alt) => document.querySelector('dialog img').alt !== alt", arg=first, timeout=5000)
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").count() == 0
    assert opened.said == []
    opened.close()


# --- a strict host ---------------------------------------------------------------------------------------------------


class _Strict(http.server.SimpleHTTPRequestHandler):
    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", STRICT)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("host")
    for name in NAMES:
        document: AuditDocument = load_document(REPORTS / name)
        samples = read_samples(document, REPORTS / name)
        write_report(document, samples, folder / name, Shape(Layout.DIR, charts=folder / "charts"))
    handler = functools.partial(_Strict, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("name", NAMES)
def test_the_folder_is_whole_under_the_policy_of_a_strict_host(browser: Any, host: str, name: str) -> None:
    opened = Opened(browser, f"{host}/{name}/index.html", viewport={"width": 1440, "height": 900})
    page = opened.page
    background = page.locator(".banner").evaluate("e => getComputedStyle(e).borderLeftWidth")
    assert background == "8px", "the style sheet is in force"
    loaded = page.locator("main img").evaluate_all("(all) => all.map((i) => i.complete && i.naturalWidth > 0)")
    assert len(loaded) > 10
    assert all(loaded)
    assert all(url.startswith(host) for url in opened.asked)
    refused = [text for text in opened.said if "script" not in text.lower()]
    assert refused == [], "nothing but the script is refused, and the page does without it"
    assert page.locator("svg.chart").count() > 10
    opened.close()
