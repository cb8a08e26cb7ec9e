"""The table of known answers: complete, computed, each row held by a test that exists, and as it is checked in."""

import ast
import json
from pathlib import Path

import pytest

from benchmarks.known_answers import answers, known_answers, table

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def found():
    return list(answers())


def test_every_known_answer_has_a_row_and_all_but_one_are_met(found):
    assert {one.id for one in found} == {f"K{number:02}" for number in range(1, 27)}
    missed = [one for one in found if not one.met]
    assert {one.id for one in missed} <= {"K12"}
    assert all("cannot be met as written" in one.remark for one in missed)


def test_every_row_names_a_test_that_there_is(found):
    for name in {one.test for one in found}:
        path, _, function = name.partition("::")
        tree = ast.parse((ROOT / path).read_text("utf-8"))
        assert not function or function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, name


def test_the_published_count_of_the_penalty_is_computed(found):
    (row,) = [one for one in found if one.expected == 1_245_773_824]
    assert (row.id, row.measured, row.tolerance) == ("K23", 1_245_773_824, 0.0)


def test_a_wrong_number_is_told_as_missed(found):
    first = found[0]
    wrong = type(first)(first.id, first.what, first.expected, first.measured + 1, first.tolerance, first.test)
    assert not wrong.met
    assert wrong.off == pytest.approx(1, abs=0.1)


def test_the_checked_in_table_has_these_rows(found):
    rows = [row for row in json.loads((ROOT / "benchmarks" / "results.json").read_text()) if "expected" in row]
    assert [row["work"] for row in rows] == [f"{one.id}: {one.what}" for one in found]
    assert [row["expected"] for row in rows] == [one.expected for one in found]
    text = (ROOT / "benchmarks" / "RESULTS.md").read_text("utf-8")
    assert all(line in text for line in table(rows))
    assert "1,245,773,824 | 1,245,773,824 | exact | yes" in text


def test_rows_carry_what_the_other_rows_of_the_results_do():
    keys = {"work", "peer", "ours_seconds", "peer_seconds", "ratio", "target", "error"}
    assert all(keys <= row.keys() for row in known_answers())
