"""What a first reader found: claims that are as they should be must not be told otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from ganaudit.cli.main import run


@pytest.mark.parametrize(
    ("row", "rule", "found"),
    [
        ("fd,6.3,300,digits-cnn,", "GA101", False),
        ("fid,6.3,300,,", "GA101", True),
        ("fid,6.3,300,clean-fid,", "GA101", True),
        ("fid,5,20000,clean-fid,", "GA115", False),
        ("fid,5,20000,digits-cnn,", "GA115", True),
        ("frechet-distance/fd,6.3,300,digits-cnn,", "GA104", True),
        ("accuracy,0.9,1000,,best on test", "GA201", True),
        ("accuracy,0.9,1000,,0.5", "GA201", False),
    ],
)
def test_one_claim(row: str, rule: str, found: bool, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "claims.csv"
    path.write_text(f"metric,value,n,extractor,threshold\n{row}\n")
    assert run(["lint", str(path), "--json", "--select", rule]) == (1 if found and rule in ("GA101", "GA201") else 0)
    assert (rule in capfd.readouterr().out) is found
