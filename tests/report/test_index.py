"""The page over a folder of audits: order, trends over equal ground alone, links that stay where they are."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ganaudit.document.errors import DocumentError
from ganaudit.document.model import AuditDocument
from ganaudit.report import charts
from ganaudit.report.index import Broken, entry_of, main_measures, render_index
from ganaudit.report.svg import ChartError, is_clean

from .hostile import BAD, poisoned
from .page import Page


def run(document: AuditDocument, day: int, fd: float, name: str = "digits", **more: Any) -> Any:
    results = []
    for result in document.results:
        numbers = [m.model_copy(update={"value": fd}) if m.key == "fd" else m for m in result.measurements]
        results.append(result.model_copy(update={"measurements": numbers}))
    subject = document.subject.model_copy(update={"name": name})
    changes = {"started": f"2026-11-{day:02d}T00:00:00Z", "results": results, "subject": subject, **more}
    return entry_of(document.model_copy(update=changes), f"{name}-{day}", f"{name}-{day}/report.html")


@pytest.fixture
def unjudged(document: AuditDocument) -> AuditDocument:
    return document.model_copy(update={"verdicts": [], "policy": None})


def test_subjects_and_their_audits_are_listed_newest_first(unjudged: AuditDocument) -> None:
    entries = [run(unjudged, day, 5.0, name) for day, name in ((3, "a"), (9, "a"), (5, "b"), (1, "b"), (7, "c"))]
    page = render_index(entries, [], "audits")
    assert re.findall(r'<h2 id="subject-\d+-title">(\w+)</h2>', page) == ["a", "c", "b"]
    links = re.findall(r'<a href="(\./[^"]+)"', page)
    assert links == [f"./{n}/report.html" for n in ("a-9", "a-3", "c-7", "b-5", "b-1")]
    assert render_index(list(reversed(entries)), [], "audits") == page


def test_a_trend_follows_only_audits_on_the_ground_of_the_newest(unjudged: AuditDocument) -> None:
    other = unjudged.comparability.model_copy(update={"fields": {"samples": 100}})
    entries = [run(unjudged, day, float(day)) for day in (1, 2, 4)] + [run(unjudged, 3, 99.0, comparability=other)]
    page = render_index(entries, [], "audits")
    assert "3 audits; 1 on other ground left out" in page
    assert "3 values from 1 to 4. lowest 1, highest 4." in page
    assert "99" in page, "what the trend leaves out is in the list"


def test_a_judged_subject_shows_the_numbers_of_its_gates(document: AuditDocument, unjudged: AuditDocument) -> None:
    judged = run(document, 1, 5.0)
    assert main_measures(judged)[:2] == ("frechet-distance/fd-corrected", "precision-recall/recall")
    assert main_measures(run(unjudged, 1, 5.0))[0] == "frechet-distance/fd"
    page = render_index([judged], [], "audits")
    text = " ".join("".join(Page(page).text).split())
    assert "✕ failed" in text
    assert judged.summary.sentence in text


def test_what_cannot_be_read_and_what_was_changed_is_told(unjudged: AuditDocument) -> None:
    changed = entry_of(unjudged, "x", "", "document x was changed after ganaudit wrote it")
    page = render_index([changed], [Broken("b", "cannot be read"), Broken("a", "of another schema")], "audits")
    assert page.index("a: of another schema") < page.index("b: cannot be read")
    assert "document x was changed after" in page
    assert "without a report" in page


def test_hostile_strings_stay_text_and_links_stay_relative(document: AuditDocument) -> None:
    names = ["javascript:alert(1)", "//evil.example/x", "data:text/html,x", 'a"b<c>', "a\udcffb"]
    entries = [entry_of(poisoned(document), name, f"{name}/report.html") for name in names]
    page = render_index(entries, [Broken(BAD, BAD)], BAD)
    found = Page(page)
    assert BAD in "".join(found.text)
    assert not {tag for tag, _ in found.tags} & {"script", "img", "iframe", "object", "form"}
    for tag, key, value in found.attributes():
        assert not key.startswith("on")
        assert key != "style"
        if key == "href":
            assert re.fullmatch(r"#[\w-]+|\./[\w.%/~-]+", value), (tag, value)
    assert len(found.ids) == len(set(found.ids))


def test_a_trend_is_a_drawing_that_says_its_ends() -> None:
    drawn = charts.trend([3.0, 1.0, 2.0], "Distance", "t").svg()
    assert is_clean(drawn)
    assert "Trend of Distance" in drawn
    assert "3 values from 3 to 2. lowest 1, highest 3." in drawn
    assert charts.trend([3.0, 1.0, 2.0], "Distance", "t").svg() == drawn
    line = re.search(r'<path aria-hidden="true" d="(M[^"]+)"', drawn) or re.search(r'd="(M[^"]+L[^"]+)"', drawn)
    assert line is not None
    heights = [float(y) for _, y in re.findall(r"[ML](-?[\d.]+),(-?[\d.]+)", line[1])]
    assert len(heights) == 3
    assert heights[0] < heights[2] < heights[1], "a larger value stands higher"
    with pytest.raises(ChartError, match="two values"):
        charts.trend([1.0], "Distance")


def test_a_thousand_audits_keep_the_page_small(unjudged: AuditDocument) -> None:
    bare = unjudged.model_copy(update={"results": unjudged.results[:1]})
    entries = [run(bare, 1 + i % 28, float(i)) for i in range(1000)]
    page = render_index(entries, [], "audits")
    assert len(page.encode()) < 400_000
    assert "The newest 200 of 1 000 audits" in page.replace("\u202f", " ")
    subjects = [run(bare, 1, 1.0, f"subject {i}" + "x" * 300) for i in range(3000)]
    with pytest.raises(DocumentError, match="index fewer at once"):
        render_index(subjects, [], "audits")
