"""Long tables are folded on the page, without a script; what they back up stays open."""

import re

from ganaudit.document.model import Table
from ganaudit.report.html import render_html
from tests.document.documents import document, number, result


def test_a_folded_table_is_behind_its_title_and_another_is_not() -> None:
    tables = [Table(title=title, columns=["a"], rows=[[title]], folded=title == "every attack")
              for title in ("the panel", "every attack")]  # fmt: skip
    page = render_html(document(result(number(1.0), details=tables)), {})
    folded = re.findall(r"<details>\s*<summary>(.*?)</summary>(.*?)</details>", page, re.DOTALL)
    assert [title for title, _ in folded if title in ("the panel", "every attack")] == ["every attack"]
    (inside,) = [text for title, text in folded if title == "every attack"]
    assert "<table" in inside
    assert "the panel" not in inside
    assert "<script" not in inside
