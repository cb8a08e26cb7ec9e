"""How a training went, on the page: curves and tables of what fits, plain words of what does not."""

from __future__ import annotations

from typing import Any

import pytest

from ganaudit.document.model import AuditDocument
from ganaudit.report.history import history_of
from ganaudit.report.html import render_html

LOOKS = [
    {"images": 100, "spread": 0.4, "rank": 0.3, "overfit": 0.1, "alarms": ["collapse"]},
    {"images": 200, "spread": 0.9, "rank": 0.8, "overfit": 0.2, "alarms": []},
]
AUDITS = [{"images": 100, "seconds": 0.5, "some-evaluator/fd": 30.0}, {"images": 200, "some-evaluator/fd": 10.0}]


def test_looks_and_audits_become_curves_and_tables() -> None:
    pairs, curves, tables = history_of({"data": "digits", "looks": LOOKS, "audits": AUDITS})
    assert pairs == {"data": "digits"}
    assert [c.title for c in curves] == ["Diversity while training", "some-evaluator/fd while training"]
    assert curves[0].series[0].x == [100, 200]
    assert curves[0].series[0].y == [0.4, 0.9]
    assert curves[1].series[0].y == [30.0, 10.0]
    assert tables[0].columns == ["images", "spread", "rank", "overfit", "alarms"]
    assert tables[0].rows == [[100, 0.4, 0.3, 0.1, "collapse"], [200, 0.9, 0.8, 0.2, None]]
    assert tables[1].rows[1] == [200, None, 10.0]


@pytest.mark.parametrize(
    "odd",
    [
        "text", 5, None, {}, [], [5], [{"spread": 1.0}], [{"images": "many"}], [{"images": float("nan")}],
        [{"images": True}], LOOKS * 51, [{"images": 10**400}],
    ],
)  # fmt: skip
def test_what_has_not_the_form_stays_as_it_is(odd: Any) -> None:
    pairs, curves, tables = history_of({"looks": odd})
    assert pairs == {"looks": odd}
    assert not curves
    assert not tables


def test_one_look_is_no_curve_but_a_table() -> None:
    _, curves, tables = history_of({"looks": LOOKS[:1]})
    assert not curves
    assert len(tables) == 1


def test_values_that_are_no_numbers_are_shown_as_text() -> None:
    _, curves, tables = history_of({"audits": [{"images": 1, "a/b": "<b>"}, {"images": 2, "a/b": float("inf")}]})
    assert not curves
    assert tables[0].rows == [[1, "<b>"], [2, "inf"]]


def test_the_page_shows_them_escaped(document: AuditDocument) -> None:
    training = {"looks": LOOKS, "audits": [{"images": 1, "<i>/x": 1.0}, {"images": 2, "<i>/x": 2.0}]}
    subject = document.subject.model_copy(update={"training": training})
    page = render_html(document.model_copy(update={"subject": subject}), {})
    assert "Diversity while training" in page
    assert "Health while training, in numbers" in page
    assert "&lt;i&gt;/x while training" in page
    assert "<i>" not in page
