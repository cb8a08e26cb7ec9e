"""The simulations behind the promises of detection, in small."""

import math

import pytest

from benchmarks.detection_coverage import CASES, rows
from ganaudit.numerics.intervals import clopper_pearson


def test_every_promise_holds_within_chance():
    found = list(rows(120, seed=11))
    assert [case for case, _, _ in found] == list(CASES)
    for case, kept, runs in found:
        sure = clopper_pearson(kept, runs, 0.9999)
        if case.promised == "power":
            assert sure.low > 0.3
            continue
        # Alarms may be rarer than promised and intervals wider; large-sample ones may miss by a point at these sizes.
        if "95" in case.promised:
            assert sure.high >= 0.94, case.what
        else:
            assert sure.low <= 0.06, case.what


def test_only_the_rows_asked_for_are_run():
    (one,) = rows(3, seed=0, names=["groups"])
    assert one[0].name == "groups"
    assert one[2] == 2
    assert math.isclose(one[0].share, 0.5)
    with pytest.raises(StopIteration):
        next(rows(1, 0, []))
