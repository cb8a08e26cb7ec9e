"""The page of a difference: in order, safe, small, equal for equal input, with pairs from equal latents."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ganaudit.document.details import GalleryItem
from ganaudit.document.errors import DocumentError
from ganaudit.document.model import AuditDocument
from ganaudit.report.comparison import render_comparison
from ganaudit.report.sheets import pair_sheet

from .conftest import png
from .hostile import BAD, poisoned
from .page import Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
Samples = dict[str, bytes]


def numbers_moved(document: AuditDocument, factor: float) -> AuditDocument:
    """Return the document of another subject whose every number and interval is ``factor`` as large."""

    def scaled(m: Any) -> Any:
        if m.value is None:
            return m
        interval = m.interval and m.interval.model_copy(
            update={"low": m.interval.low * factor, "high": m.interval.high * factor}
        )
        return m.model_copy(update={"value": m.value * factor, "interval": interval})

    results = [r.model_copy(update={"measurements": [scaled(m) for m in r.measurements]}) for r in document.results]
    subject = document.subject.model_copy(update={"name": "retrained", "digest": "sha256:" + "e" * 64})
    verdicts = [
        v.model_copy(update={"outcome": "failed" if v.outcome == "passed" else v.outcome}) for v in document.verdicts
    ]
    return document.model_copy(update={"results": results, "subject": subject, "verdicts": verdicts})


@pytest.fixture(scope="module")
def other(document: AuditDocument) -> AuditDocument:
    return numbers_moved(document, 3.0)


@pytest.fixture(scope="module")
def html(document: AuditDocument, other: AuditDocument, samples: Samples) -> str:
    return render_comparison(document, other, samples, samples)


def text_of(html: str) -> str:
    return " ".join("".join(Page(html).text).split())


def test_the_page_is_in_the_order_a_reader_needs(html: str) -> None:
    sections = ("ground", "gates", "numbers", "basis", "evaluators", "samples")
    places = [html.index(mark) for mark in ('class="verdict"', *(f'id="{name}"' for name in sections))]
    assert places == sorted(places)
    headings = Page(html).headings
    assert headings[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(headings))


def test_movements_flips_and_grounds_are_told(html: str) -> None:
    text = text_of(html)
    for told in ("retrained", "✕ worse", "✓ better", "✕ failed", "✓ passed", "none was chosen"):
        assert told in text, told
    assert "would lie outside it by chance" in text


def test_what_chance_alone_explains_is_within_the_band(document: AuditDocument) -> None:
    text = text_of(render_comparison(document, numbers_moved(document, 1.0001), {}, {}))
    assert "≈ within the band" in text
    assert "✕ worse" not in text


def test_a_document_changed_by_hand_is_told_first(document: AuditDocument, other: AuditDocument) -> None:
    page = render_comparison(document, other, {}, {}, altered=["document x was changed <b>since</b>"])
    assert page.index("document x was changed &lt;b&gt;since") < page.index('id="ground"')


def test_equal_audits_make_a_page_that_says_so(document: AuditDocument, samples: Samples) -> None:
    page = render_comparison(document, document, samples, samples)
    text = text_of(page)
    assert "No difference" in text
    assert "Nothing differs" in text
    assert 'id="numbers"' not in page
    assert "<img" not in page


def test_audits_of_two_references_are_not_compared(document: AuditDocument, other: AuditDocument) -> None:
    fields = {**document.comparability.fields, "reference": "sha256:" + "9" * 64}
    elsewhere = other.model_copy(update={"comparability": other.comparability.model_copy(update={"fields": fields})})
    text = text_of(render_comparison(document, elsewhere, {}, {}))
    assert "! Not comparable" in text
    assert "while they differ in reference" in text
    assert "How far they moved" not in text
    assert "worse" not in text


def test_no_script_and_no_address(html: str) -> None:
    page = Page(html)
    policy = next(a["content"] for t, a in page.tags if t == "meta" and "Content-Security-Policy" in a.values())
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert not [t for t, _ in page.tags if t in ("script", "link", "iframe", "object", "form")]
    for _, name, value in page.attributes():
        assert not name.startswith("on")
        assert name != "style"
        if name in ("href", "src"):
            assert value.startswith(("#", "data:image/png;base64,"))
    named = [a["href"] for t, a in page.tags if t == "a"]
    assert {h[1:] for h in named if h} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def test_hostile_strings_stay_text(document: AuditDocument, other: AuditDocument, samples: Samples) -> None:
    page = render_comparison(document, poisoned(other), samples, samples)
    assert BAD in "".join(Page(page).text)
    assert "<script" not in page
    both = render_comparison(poisoned(document), poisoned(other), samples, samples)
    assert "<script" not in both
    hidden = other.model_copy(update={"warnings": ["\u202egood\u2066 news\x00"]})
    assert "⟨U+202E⟩" in render_comparison(document, hidden, {}, {})


def test_equal_input_gives_equal_bytes(
    html: str, document: AuditDocument, other: AuditDocument, samples: Samples
) -> None:
    again = AuditDocument.model_validate_json(other.model_dump_json(by_alias=True))
    assert render_comparison(document, again, samples, samples) == html


def test_a_page_that_grows_too_large_is_thinned_and_says_so(document: AuditDocument, other: AuditDocument) -> None:
    first = other.results[0]
    many = [f"warning {i} " + "x" * 3000 for i in range(300)]
    long = other.model_copy(update={"results": [first.model_copy(update={"warnings": many}), *other.results[1:]]})
    page = render_comparison(document, long, {}, {}, most_bytes=200_000)
    assert len(page.encode()) <= 200_000
    assert "This page is thinned" in page
    with pytest.raises(DocumentError, match="ganaudit compare --json"):
        render_comparison(document, long, {}, {}, most_bytes=5_000)


def test_pairs_are_the_samples_of_equal_indices(document: AuditDocument) -> None:
    fake = next(g for g in document.galleries if g.side == "fake")
    flat: dict[str, bytes] = {}
    items = []
    for shade in (10, 200):
        buffer = io.BytesIO()
        Image.new("L", (16, 16), shade).save(buffer, "PNG")
        flat[f"samples/{shade}.png"] = buffer.getvalue()
        digest = hashlib.sha256(buffer.getvalue()).hexdigest()
        items.append(GalleryItem(file=f"samples/{shade}.png", sha256=digest, index=7))
    sheet = pair_sheet([(items[0], items[1])], (fake, fake), (flat, flat))
    image = Image.open(io.BytesIO(sheet.png)).convert("L")
    assert image.size == (sheet.width, sheet.height)
    middle = image.height // 2
    assert image.getpixel((image.width // 4, middle)) == 10
    assert image.getpixel((3 * image.width // 4, middle)) == 200
    assert sheet.warnings == ()


def test_samples_that_are_gone_or_changed_are_crossed_out_and_told(
    document: AuditDocument, other: AuditDocument, samples: Samples
) -> None:
    assert "A: Generated: 64 samples are shown as a crossed cell: not found" in text_of(
        render_comparison(document, other, {}, samples)
    )
    name = next(n for n in samples if "fake" in n)
    tampered = {**samples, name: png(999)}
    text = text_of(render_comparison(document, other, samples, tampered))
    assert re.search(r"B: Generated: 1 sample is shown as a crossed cell: changed since the audit", text)


def test_without_equal_latents_there_are_no_pairs_but_the_reason(
    document: AuditDocument, other: AuditDocument, samples: Samples
) -> None:
    elsewhere = other.model_copy(update={"plan": {**other.plan, "seed": 5}})
    text = text_of(render_comparison(document, elsewhere, samples, samples))
    assert "No pairs of samples: other latents: A has seed 0, B has seed 5; audit both with one --seed" in text
    bare = other.model_copy(update={"galleries": []})
    assert "but B shows no generated samples" in text_of(render_comparison(document, bare, samples, samples))


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
@pytest.mark.parametrize(("width", "scheme", "script"), [(1440, "light", True), (360, "dark", False)])
def test_the_page_opens(html: str, tmp_path: Path, width: int, scheme: str, script: bool) -> None:
    from playwright.sync_api import sync_playwright

    from .test_browser import FLAGS

    file = tmp_path / "comparison.html"
    file.write_text(html, encoding="utf-8")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        context = started.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=script
        )
        page = context.new_page()
        asked: list[str] = []
        said: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.goto(f"file://{file}")
        assert [url for url in asked if not url.startswith(("file://", "data:"))] == []
        assert said == []
        box = page.locator(".banner").bounding_box()
        assert box is not None
        assert box["y"] + box["height"] < 900, "the summary is on the first screen"
        right = [b["x"] + b["width"] for b in (h.bounding_box() for h in page.locator("h2, .banner, nav").all()) if b]
        assert max(right) <= width
        started.close()
