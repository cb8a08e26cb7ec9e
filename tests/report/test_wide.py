"""Strings of 600 characters without a place to break them, in every field: no page is wider than its window."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ganaudit.document.files import load_document
from ganaudit.document.model import AuditDocument
from ganaudit.report.comparison import render_comparison
from ganaudit.report.drawings import Drawings
from ganaudit.report.html import read_samples, render_html
from ganaudit.report.index import Broken, entry_of, render_index

from .blank import blank
from .hostile import LONG, poisoned
from .page import Page
from .test_browser import CHROMIUM, FLAGS
from .test_comparison import numbers_moved

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")]
REPORTS = Path(__file__).parents[2] / "reports"
WIDTHS = (360, 768, 1440)
OPEN = "document.querySelectorAll('details').forEach((d) => { d.open = true; })"
WIDE_BOXES = (
    "[...document.querySelectorAll('.scroll')].filter((e) => e.scrollWidth > e.clientWidth + 1)"
    ".map((e) => [e.scrollWidth, e.clientWidth, e.getAttribute('aria-labelledby') || e.getAttribute('aria-label')])"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def pages(
    tmp_path_factory: pytest.TempPathFactory, document: AuditDocument, samples: dict[str, bytes]
) -> dict[str, str]:
    """Return the address of each kind of page over documents whose every string is long."""
    folder = tmp_path_factory.mktemp("wide")
    charts = Drawings(folder / "charts")
    long, other = poisoned(document, LONG), poisoned(numbers_moved(document, 3.0), LONG)
    # A second audit of the same name, so that the index has trends to draw.
    entries = [entry_of(long, f"{LONG}/a", f"{LONG}/a/report.html"), entry_of(long, LONG, "", LONG)]
    made = {
        "report": render_html(long, samples, drawings=charts),
        "thinned report": render_html(long, samples, most_bytes=330_000, drawings=charts),
        "comparison": render_comparison(long, other, samples, samples),
        "index": render_index(entries, [Broken(LONG, LONG)], LONG, charts),
    }
    for name, page in made.items():
        assert LONG[:250] in "".join(Page(page).text)
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    assert "This page is thinned" in made["thinned report"]
    return {name: f"file://{folder / name}.html" for name in made}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["report", "thinned report", "comparison", "index"])
def test_long_strings_widen_no_page(browser: Any, pages: dict[str, str], name: str, width: int) -> None:
    page = browser.new_context(viewport={"width": width, "height": 800}).new_page()
    page.goto(pages[name])
    assert page.evaluate("document.documentElement.scrollWidth") <= page.evaluate("innerWidth") == width
    page.evaluate(OPEN)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # Tables may scroll in their own boxes, but over columns, not over the length of a string.
    assert [box for box in page.evaluate(WIDE_BOXES) if box[0] > 3_000] == []
    page.context.close()


def test_the_measure_would_see_a_string_that_does_not_break(browser: Any, pages: dict[str, str]) -> None:
    page = browser.new_context(viewport={"width": 360, "height": 800}, bypass_csp=True).new_page()
    page.goto(pages["report"])
    page.evaluate("document.querySelector('h1').style.overflowWrap = 'normal'")
    assert page.evaluate("document.documentElement.scrollWidth") > 3_000
    page.context.close()


@pytest.mark.parametrize("name", ["digits", "shapes", "mode-dropped-50"])
def test_no_table_of_a_committed_report_scrolls_sideways_on_a_wide_screen(
    browser: Any, tmp_path: Path, name: str
) -> None:
    document = load_document(REPORTS / name)
    file = tmp_path / "report.html"
    page = render_html(document, read_samples(document, REPORTS / name), drawings=blank())
    file.write_text(page, encoding="utf-8")
    shown = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    shown.goto(f"file://{file}")
    shown.evaluate(OPEN)
    assert shown.locator(".scroll table").count() > 80
    assert shown.evaluate(WIDE_BOXES) == []
    shown.context.close()
