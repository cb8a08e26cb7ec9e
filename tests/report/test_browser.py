"""The report as a browser shows it: whole without script, no request, no complaint, no sideways scrolling, dark."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ganaudit.document.model import AuditDocument, Table
from ganaudit.report.html import render_html

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield started
        started.close()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_report_opens(browser: Any, small_audit: Path, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"file://{small_audit / 'report.html'}")
    assert [url for url in asked if not url.startswith(("file://", "data:"))] == []
    assert said == []
    assert page.locator("h1").count() == 1
    assert page.locator("svg").count() >= 2
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    heights = [box["height"] for box in (svg.bounding_box() for svg in page.locator("svg").all()) if box]
    assert min(heights) > 50, "a chart has collapsed"
    # Wide tables scroll in their own box; the page itself never does.
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    channels = [int(c) for c in background.removeprefix("rgb(").removesuffix(")").split(",")[:3]]
    assert (sum(channels) < 3 * 90) is (scheme == "dark")
    context.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, document: AuditDocument, samples: dict[str, bytes]) -> str:
    """Where a report lies whose detection has a slider and whose attacks are shown."""
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(render_html(document, samples), encoding="utf-8")
    return f"file://{file}"


def opened(browser: Any, address: str, **more: Any) -> tuple[Any, list[str]]:
    page = browser.new_context(**more).new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(address)
    return page, said


def test_the_slider_tells_the_row_it_stands_on(browser: Any, address: str, document: AuditDocument) -> None:
    page, said = opened(browser, address)
    (table,) = [d for r in document.results for d in r.details if isinstance(d, Table) and d.slider]
    slider = page.get_by_role("slider", name="Threshold: a sample that scores below it is called generated")
    rows = page.locator("table", has_text=table.title).locator("tbody tr")
    told = page.locator(".slider output .value")
    assert rows.count() == len(table.rows)

    def stands_on(row: int) -> None:
        cells = rows.nth(row).locator("th, td").all_text_contents()
        assert told.all_text_contents() == cells
        assert slider.get_attribute("aria-valuetext") == cells[0]
        assert [i for i in range(len(table.rows)) if rows.nth(i).get_attribute("aria-current")] == [row]

    stands_on(3)
    region = page.locator(".tall")
    assert region.evaluate("r => r.scrollTop") == 0, "the title of the table is in sight at first"
    seen = set()
    for key, row in (("ArrowRight", 4), ("ArrowLeft", 3), ("Home", 0), ("End", 5), ("ArrowDown", 4)):
        slider.press(key)
        stands_on(row)
        seen.add(tuple(told.all_text_contents()))
    assert len(seen) == 4
    page.get_by_role("button", name="PAC: 0.05 in 95% of draws").click()
    stands_on(1)
    assert slider.input_value() == "1"
    assert page.locator(".slider output").get_attribute("for") == slider.get_attribute("id")
    assert said == []
    page.context.close()


def test_without_script_the_table_says_it_all_and_no_control_is_left(browser: Any, address: str) -> None:
    page, said = opened(browser, address, java_script_enabled=False)
    table = page.locator("table", has_text="Operating points: what a threshold does")
    assert table.is_visible()
    assert table.locator("tbody tr").count() == 6
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    controls = page.locator("input, button, .slider, .tool, dialog, output").all()
    assert len(controls) > 9
    assert not any(part.is_visible() for part in controls)
    assert page.locator(".triplets img").count() == 9
    assert all(box and box["width"] > 60 for box in (i.bounding_box() for i in page.locator(".triplets img").all()))
    assert said == []
    page.context.close()


def test_pictures_open_large_and_the_command_can_be_taken(browser: Any, address: str) -> None:
    page, said = opened(browser, address)
    picture = page.get_by_role("img", name="Generated sample 1 after the change")
    small = picture.bounding_box()
    picture.locator("..").press("Enter")
    large = page.get_by_role("dialog").get_by_role("img", name="Generated sample 1 after the change").bounding_box()
    assert large["width"] > 4 * small["width"]
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").count() == 0
    page.get_by_role("button", name="Copy the command").click()
    page.get_by_role("button", name="Selected").or_(page.get_by_role("button", name="Copied")).wait_for()
    assert said == []
    page.context.close()


@pytest.mark.parametrize("width", [360, 1280])
def test_no_part_of_the_page_is_wider_than_the_window(browser: Any, address: str, width: int) -> None:
    page, _ = opened(browser, address, viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.context.close()


def test_print_shows_the_whole_table_and_no_control(browser: Any, address: str) -> None:
    page, _ = opened(browser, address, viewport={"width": 700, "height": 900})  # about the paper's
    page.emulate_media(media="print")
    region = page.locator(".tall")
    assert region.evaluate("r => r.scrollHeight <= r.clientHeight && r.scrollWidth <= r.clientWidth")
    assert not page.locator(".slider").is_visible()
    assert not page.get_by_role("button", name="Copy the command").is_visible()
    page.context.close()
