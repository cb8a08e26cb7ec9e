"""Charts that are kept: drawn once, drawn again when anything changed, and looked through before they are shown."""

import pytest

from ganaudit.document.model import Axis, Histogram
from ganaudit.report import charts, drawings
from ganaudit.report.drawings import Drawings
from ganaudit.report.svg import is_clean


def histogram(title="Scores"):
    return Histogram.model_validate(
        {
            "title": title,
            "x": Axis(title="score"),
            "edges": [0.0, 1.0, 2.0],
            "series": [{"name": "real", "shares": [0.75, 0.25]}],
        }
    )


@pytest.fixture
def drawn(monkeypatch):
    calls = []
    original = charts.histogram

    def counted(detail, prefix):
        calls.append(prefix)
        return original(detail, prefix)

    monkeypatch.setattr(charts, "histogram", counted)
    return calls


def test_a_drawing_is_made_once_for_equal_data_and_place(tmp_path, drawn):
    first = Drawings(tmp_path).detail(histogram(), "a")()
    assert Drawings(tmp_path).detail(histogram(), "a")() == first == charts.histogram(histogram(), "a").svg()
    assert drawn == ["a", "a"]  # once by Drawings, once by the line above
    Drawings(tmp_path).detail(histogram(), "b")()
    Drawings(tmp_path).detail(histogram("Others"), "a")()
    assert len(drawn) == 4


def test_without_a_folder_nothing_is_kept(tmp_path, drawn):
    assert Drawings().detail(histogram(), "a")() == Drawings().detail(histogram(), "a")()
    assert len(drawn) == 2


def test_other_code_draws_anew(tmp_path, drawn, monkeypatch):
    Drawings(tmp_path).detail(histogram(), "a")()
    monkeypatch.setattr(drawings, "_code", lambda: ["another version"])
    Drawings(tmp_path).detail(histogram(), "a")()
    assert len(drawn) == 2


@pytest.mark.parametrize(
    "planted",
    [
        "<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>",
        "<svg xmlns='http://www.w3.org/2000/svg' onload='1'></svg>",
        "<svg xmlns='http://www.w3.org/2000/svg'><a href='x'/></svg>",
        "<svg xmlns='http://www.w3.org/2000/svg'><path fill='url(https://x)'/></svg>",
        "<!DOCTYPE svg><svg xmlns='http://www.w3.org/2000/svg'></svg>",
        "<p xmlns='http://www.w3.org/1999/xhtml'>x</p>",
        "half a fi",
    ],
)
def test_a_planted_or_broken_drawing_is_not_shown(tmp_path, drawn, planted):
    first = Drawings(tmp_path).detail(histogram(), "a")()
    (kept,) = tmp_path.iterdir()
    assert is_clean(kept.read_text())
    kept.write_text(planted)
    assert not is_clean(planted)
    assert Drawings(tmp_path).detail(histogram(), "a")() == first
    assert kept.read_text() == first


def test_a_folder_that_cannot_be_written_draws_all_the_same(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert Drawings(blocked / "charts").detail(histogram(), "a")().startswith("<svg")
