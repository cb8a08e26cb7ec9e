"""Pages with few bytes: what goes first, that it is told, and what never goes."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import pytest

from ganaudit.document.errors import DocumentError
from ganaudit.document.files import load_document
from ganaudit.document.model import AuditDocument, Axis, Curve, Gallery, Histogram, HistogramSeries, Series, Table
from ganaudit.report.cautions import cautions
from ganaudit.report.chart_data import data_table
from ganaudit.report.drawings import Drawings
from ganaudit.report.html import read_samples, render_folder, render_html
from ganaudit.report.words import count

from .blank import blank
from .page import Page

REPORTS = Path(__file__).parents[2] / "reports"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Drawings:
    return Drawings(tmp_path_factory.mktemp("charts"))


def words_of(page: str) -> str:
    text = re.sub(r"<(style|script)>.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())


def head_of(page: str) -> str:
    return words_of(page[: page.index("</header>")])


def told(n: int) -> str:
    return count(n).replace("\N{NARROW NO-BREAK SPACE}", " ")


def pictures_in(page: str) -> int:
    """Samples that a page shows, by what its contact sheets and rows of changes say of themselves."""
    sheets = re.findall(r'<p class="soft small">(\d+) of [\d\u202f]+ (?:generated|real) samples', page)
    return sum(map(int, sheets))


# --- the committed report --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["digits", "shapes", "tones", "mode-dropped-50"])
def test_a_quarter_of_a_megabyte_holds_a_whole_audit(name: str) -> None:
    document = load_document(REPORTS / name)
    samples = read_samples(document, REPORTS / name)
    page = render_html(document, samples, most_bytes=250_000, drawings=blank())
    assert len(page.encode()) <= 250_000
    text = words_of(page)
    # What a decision rests on is whole.
    for verdict in document.verdicts:
        assert verdict.gate in text
        assert " ".join(verdict.message.split())[:300] in text
    for caution in cautions(document):
        assert " ".join(caution.text.split())[:300] in text
    for result in document.results:
        assert result.title in text
        assert result.status != "measured" or (result.question in text and result.measurements[0].title in text)
        assert result.reason is None or " ".join(result.reason.split())[:300] in text
    page_ids = Page(page).ids
    assert len(page_ids) == len(set(page_ids))
    for tag, key, value in Page(page).attributes():
        if key == "href":
            assert value.removeprefix("#") in page_ids, (tag, value)


def test_the_head_says_what_is_left_out_and_the_command_that_it_names_gives_it_back() -> None:
    document = load_document(REPORTS / "digits")
    samples = read_samples(document, REPORTS / "digits")
    whole = render_html(document, samples, most_bytes=10_000_000, drawings=blank())
    page = render_html(document, samples, most_bytes=250_000, drawings=blank())
    head = head_of(page)
    assert f"This page is thinned to stay within 250 000 bytes; whole it has {told(len(whole.encode()))}" in head
    missing = pictures_in(whole) - pictures_in(page)
    assert f"{told(missing)} samples are not shown" in head
    charts = whole.count("<svg")
    assert f"{charts} charts are not drawn" in head
    assert page.count("<svg") == 0
    assert page.count("left out to keep the page small") > charts
    for words in ("the table that repeats all numbers is left out", "tables are left out", "texts are cut after"):
        assert words in head
    (asked,) = re.findall(r"ganaudit report DOCUMENT --max-bytes (\d+)", page)
    assert render_html(document, samples, most_bytes=int(asked), drawings=blank()) == whole
    assert "thinned" not in head_of(whole)
    assert "This page is thinned" in head_of(
        render_html(document, samples, most_bytes=int(asked) - 1, drawings=blank())
    )


# --- the order -------------------------------------------------------------------------------------------------------


def rich(document: AuditDocument, files: dict[str, bytes]) -> AuditDocument:
    """Return the document with a gallery of evidence, a long table and many numbers more."""
    shown = document.galleries[0].model_copy(update={"title": "Evidence"})
    long = Table(title="Long table", columns=["i", "square"], rows=[[i, i * i] for i in range(150)])
    first = document.results[0]
    numbers = [*first.measurements]
    numbers += [first.measurements[0].model_copy(update={"key": f"k{i}", "title": f"Number {i}"}) for i in range(40)]
    grown = first.model_copy(update={"details": [*first.details, shown, long], "measurements": numbers})
    assert set(files) >= {item.file for item in shown.items}
    return document.model_copy(update={"results": [grown, *document.results[1:]]})


def rows_of(page: str, title: str) -> int:
    found = re.search(rf"{title}(?:</span>)?</caption>.*?</table>", page, re.DOTALL)
    return 0 if found is None else found[0].count("<tr>") - 1


def next_smaller(document: AuditDocument, samples: dict[str, bytes], page: str, kept: Drawings) -> str | None:
    limit = len(page.encode()) - 1
    try:
        smaller = render_html(document, samples, most_bytes=limit, drawings=kept)
    except DocumentError:
        return None
    assert len(smaller.encode()) <= limit
    return smaller


def test_pictures_go_before_charts_and_charts_before_rows(
    document: AuditDocument, samples: dict[str, bytes], kept: Drawings
) -> None:
    asked = rich(document, samples)
    pages = [render_html(asked, samples, most_bytes=10_000_000, drawings=kept)]
    while (page := next_smaller(asked, samples, pages[-1], kept)) is not None:
        pages.append(page)
    assert len(pages) > 8
    seen = [
        (pictures_in(p), p.count("<svg"), p.count("numbers-caption") > 0, rows_of(p, "Long table"), len(words_of(p)))
        for p in pages
    ]
    pictures, charts, every, rows, _ = zip(*seen, strict=True)
    for track in (pictures, charts, every, rows):
        assert list(track) == sorted(track, reverse=True), "what has gone does not come back"
    for page, drawn, left, repeated, long in zip(pages, charts, pictures, every, rows, strict=True):
        evidence = re.search(r'id="evaluator-frechet-distance-gallery-1".*?</figure>', page, re.DOTALL)
        assert evidence is not None
        assert drawn or "<img" not in evidence[0], "no chart goes while evidence shows pictures"
        assert drawn == 0 or long == 150, "no row goes while a chart is drawn"
        assert drawn == 0 or repeated
        assert long == 150 or not repeated, "no row goes while one table repeats the numbers"
        assert left == pictures[0] or "not shown" in head_of(page)
    chartless = [page for page, drawn in zip(pages, charts, strict=True) if not drawn]
    assert rows_of(chartless[0], "Scores") > 5, "the data of a chart stand in its place"
    assert pictures[-1] == 0
    assert all(verdict.message in words_of(pages[-1]) for verdict in document.verdicts)


def test_the_refusal_says_how_many_bytes_would_do(document: AuditDocument) -> None:
    with pytest.raises(
        DocumentError, match=r"would exceed 20000 bytes .* it would have (\d+), and \d+ whole"
    ) as refused:
        render_html(document, {}, most_bytes=20_000)
    least = int(re.findall(r"would have (\d+)", str(refused.value))[0])
    assert 20_000 < len(render_html(document, {}, most_bytes=least).encode()) <= least
    with pytest.raises(DocumentError):
        render_html(document, {}, most_bytes=least - 1)


def test_the_command_of_a_folder_asks_for_a_folder(document: AuditDocument, samples: dict[str, bytes]) -> None:
    whole = sum(map(len, render_folder(document, samples).values()))
    page = render_folder(document, samples, most_bytes=whole - 1)["index.html"].decode()
    assert f"ganaudit report DOCUMENT --layout dir --max-bytes {whole}<" in page


# --- the data of charts ----------------------------------------------------------------------------------------------


def curve(*series: Series, **more: Any) -> Curve:
    return Curve(title="Lines", x=Axis(title="x"), y=Axis(title="y"), series=list(series), **more)


def test_lines_over_common_points_share_the_rows_of_a_table() -> None:
    xs = [i / 100 for i in range(101)]
    one = Series(name="real", x=xs, y=[x * x for x in xs])
    other = Series(name="fake", x=xs, y=xs, low=[x - 0.5 for x in xs], high=[x + 0.5 for x in xs])
    table, told = data_table(curve(one, other), 5)
    assert table.columns == ["x", "real", "fake", "band of fake"]
    assert [row[0] for row in table.rows] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert [row[1] for row in table.rows] == [0.0, 0.0625, 0.25, 0.5625, 1.0]
    assert table.rows[2][2:] == [0.5, "0 to 1"]
    assert told == "5 of 101 points, evenly spaced"
    many = [other.model_copy(update={"name": f"s{i}"}) for i in range(3)]
    table, told = data_table(curve(*many), 5)
    assert table.columns == ["x", "s0", "s1", "s2"]
    assert told == "5 of 101 points, evenly spaced, without bands"
    whole, nothing = data_table(curve(one), 200)
    assert (len(whole.rows), nothing, whole.columns) == (101, "", ["x", "y"])


def test_lines_over_their_own_points_are_named_in_each_row() -> None:
    one = Series(name="a", x=[0.0, 1.0, 2.0, 3.0, 4.0], y=[5.0, 6.0, 7.0, 8.0, 9.0])
    other = Series(name="b", x=[3.0], y=[8.0])
    table, told = data_table(curve(one, other), 4)
    assert table.columns == ["line", "x", "y"]
    assert table.rows == [["a", 0.0, 5.0], ["a", 2.0, 7.0], ["a", 4.0, 9.0], ["b", 3.0, 8.0]]
    assert told == "3 of 5 points, evenly spaced"
    assert data_table(curve(), 4)[0].rows == []


def test_bins_are_put_together_and_lose_no_share() -> None:
    shares = [(i % 7) / 100 for i in range(50)]
    histogram = Histogram(
        title="H", x=Axis(title="score"), edges=[float(i) for i in range(51)],
        series=[HistogramSeries(name="real", shares=shares), HistogramSeries(name="fake", shares=shares[::-1])],
    )  # fmt: skip
    table, told = data_table(histogram, 12)
    assert len(table.rows) == 10
    assert [row[0] for row in table.rows][:1] + [row[0] for row in table.rows][-1:] == ["0 to 5", "45 to 50"]
    for column, whole in ((1, shares), (2, shares[::-1])):
        cells = [row[column] for row in table.rows]
        assert sum(c for c in cells if isinstance(c, float)) == pytest.approx(sum(whole), rel=1e-12)
        assert cells[3] == pytest.approx(sum(whole[15:20]), rel=1e-12)
    assert told == "bins put together by 5"


def test_named_bins_are_cut_aloud() -> None:
    labels = [f"class {i}" for i in range(9)]
    bars = Histogram(
        title="H", x=Axis(title="class"), labels=labels, series=[HistogramSeries(name="s", shares=[0.1] * 9)]
    )
    table, told = data_table(bars, 4)
    assert [row[0] for row in table.rows] == labels[:4]
    assert told == "the first 4 of 9 bins"
    assert data_table(bars, 9)[1] == ""


def test_a_gallery_without_room_keeps_its_words(document: AuditDocument, samples: dict[str, bytes]) -> None:
    assert isinstance(document.galleries[0], Gallery)
    with pytest.raises(DocumentError) as refused:
        render_html(document, samples, most_bytes=20_000)
    least = int(re.findall(r"would have (\d+)", str(refused.value))[0])
    page = render_html(document, samples, most_bytes=least)
    assert "<img" not in page
    assert f"{len(document.galleries[0].items)} generated samples are left out to keep the page small" in page
    assert "Files" not in page[page.index('id="samples"') : page.index('id="evaluators"')]
    assert document.galleries[0].rule in page
