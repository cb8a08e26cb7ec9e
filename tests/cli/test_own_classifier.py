"""A classifier of the user's own that is not there: told before any work, as any other file that the plan names."""

from pathlib import Path

import pytest

from .conftest import Run


@pytest.mark.parametrize("more", [["--dry-run"], []])
def test_a_classifier_that_is_not_there_ends_it_with_exit_2(ganaudit: Run, tmp_path: Path, more: list[str]) -> None:
    (tmp_path / "audit.toml").write_text(
        'subject = "digits"\n[evaluators.coverage-bias]\nclassifier = "none.pt2"\nattribute = "smile"\n'
    )
    called = ganaudit("audit", "--config", "audit.toml", *more)
    assert called.code == 2
    assert "evaluators.coverage-bias: classifier: the program none.pt2: no such file" in " ".join(called.err.split())
    assert not (tmp_path / "reports").exists()
