"""A null that is no real against real says what it is, wherever it stands."""

import pytest

from ganaudit.cli.audit import summary_table
from ganaudit.cli.console import Console
from ganaudit.document.model import AuditDocument, Null
from ganaudit.report import charts
from ganaudit.report.html import render_html
from ganaudit.report.markdown import render_markdown

OF = "random noise | of <b>"


@pytest.fixture(scope="module")
def otherwise(document: AuditDocument) -> AuditDocument:
    """The same document, its area held against noise."""
    results = []
    for result in document.results:
        measurements = [
            m.model_copy(update={"null": m.null.model_copy(update={"of": OF})}) if m.key == "auc" and m.null else m
            for m in result.measurements
        ]
        results.append(result.model_copy(update={"measurements": measurements}))
    return document.model_copy(update={"results": results})


def test_by_default_it_is_of_reals_and_needs_no_words() -> None:
    null = Null(value=1.0, n=3, rule="halves")
    assert (null.of, null.otherwise) == ("real against real", "")
    assert Null(value=1.0, n=3, of="random noise", rule="ten draws").otherwise == "random noise"
    assert Null.model_validate({"value": 1.0, "n": 3, "rule": "of an older document"}).otherwise == ""


def test_the_page_names_it_in_its_cell_and_heads_no_column_with_another(
    document: AuditDocument, otherwise: AuditDocument
) -> None:
    plain, html = render_html(document, {}), render_html(otherwise, {})
    assert "Null: real against real" not in html
    escaped = ", random noise | of &lt;b&gt;</span>"
    # Once in the table of all numbers, once in the evaluator's own.
    assert html.count(escaped) - plain.count(escaped) == 2
    assert "random noise | of &lt;b&gt;: " in html  # how the numbers were made


def test_the_summary_for_job_pages_names_it(document: AuditDocument, otherwise: AuditDocument) -> None:
    assert "random noise" not in render_markdown(document)
    (line,) = [line for line in render_markdown(otherwise).splitlines() if "random noise" in line]
    assert "discriminator-detection/auc" in line
    assert r"\|" in line


def test_the_terminal_names_it(otherwise: AuditDocument, capfd: pytest.CaptureFixture[str]) -> None:
    summary_table(Console(), otherwise)
    shown = capfd.readouterr().out
    assert all(word in shown for word in ("random", "noise"))  # a narrow column may part them


def test_a_chart_tells_it(document: AuditDocument, otherwise: AuditDocument) -> None:
    key = {"discriminator-detection": "auc"}
    for audited, told in ((document, "real against real"), (otherwise, "random noise")):
        rows = [m for r in audited.results if r.evaluator in key for m in r.measurements if m.key == "auc"]
        assert told in charts.measurements(rows).svg()
