"""What a document refuses to hold."""

import pytest
from pydantic import ValidationError

from ganaudit.document.model import Axis, Gallery, Histogram, HistogramSeries, Interval, Null, Series, Slider, Table
from ganaudit.document.spec import EvaluatorSpec, MeasurementSpec

from .documents import document, interval, number, result


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"value": None, "reason": None}, "a measurement without a value needs the reason"),
        ({"value": None, "reason": ""}, "a measurement without a value needs the reason"),
        ({"interval_reason": None}, "a value without an interval needs interval_reason"),
        ({"null_reason": None}, "a value without a null needs null_reason"),
        ({"better": "smaller"}, "lower"),
        ({"value": float("nan")}, "finite"),
        ({"surprise": 1}, "Extra inputs"),
    ],
)
def test_a_measurement_says_why_something_is_missing(change, told):
    data = number(1.0).model_dump()
    assert number(1.0).model_validate(data) == number(1.0)
    with pytest.raises(ValidationError, match=told):
        number(1.0).model_validate(data | change)


def test_a_measurement_without_value_needs_no_further_reasons():
    data = number(1.0).model_dump()
    bare = data | {"value": None, "reason": "singular", "interval_reason": None, "null_reason": None}
    assert number(1.0).model_validate(bare).reason == "singular"


def test_a_null_and_an_interval_make_reasons_needless():
    null = Null(value=0.1, n=10, rule="train against test")
    assert number(1.0, (0.5, 1.5), null=null, null_reason=None).null == null


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"low": 2.0}, "low must not be above its high; found 2, 1"),
        ({"level": 0.0}, "greater than 0"),
        ({"level": 1.0}, "less than 1"),
        ({"level": 95.0}, "less than 1"),
        ({"high": float("inf")}, "finite"),
    ],
)
def test_an_interval_is_a_range_with_a_confidence(change, told):
    data = interval(0.0, 1.0).model_dump()
    with pytest.raises(ValidationError, match=told):
        Interval.model_validate(data | change)
    assert interval(1.0, 1.0).low == 1.0


@pytest.mark.parametrize("status", ["not_assessable", "skipped", "failed"])
@pytest.mark.parametrize("reason", [None, ""])
def test_a_result_that_was_not_measured_says_why(status, reason):
    with pytest.raises(ValidationError, match=f"status {status} needs a reason"):
        result(status=status, reason=reason)


@pytest.mark.parametrize(
    ("bins", "shares", "told"),
    [
        ({}, [1.0], "either edges or labels"),
        ({"edges": [0.0, 1.0], "labels": ["a"]}, [1.0], "either edges or labels"),
        ({"edges": [0.0, 0.5, 1.0]}, [1.0], "needs 2 shares"),
        ({"labels": ["a", "b", "c"]}, [0.5, 0.5], "needs 3 shares"),
    ],
)
def test_a_histogram_has_one_kind_of_bin_and_a_share_each(bins, shares, told):
    with pytest.raises(ValidationError, match=told):
        Histogram(title="h", x=Axis(title="x"), series=[HistogramSeries(name="s", shares=shares)], **bins)


def stepped(**slider):
    return Table(title="t", columns=["a"], rows=[[1], [2]], slider=Slider(label="step", **slider))


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (lambda: Series(name="s", x=[1.0], y=[1.0, 2.0]), "must be of one length"),
        (lambda: Series(name="s", x=[1.0], y=[1.0], low=[]), "must be of one length"),
        (lambda: Table(title="t", columns=["a", "b"], rows=[[1, 2], [1]]), "every row needs 2 cells"),
        (
            lambda: Histogram(
                title="h", x=Axis(title="x"), edges=[0.0, 0.0], series=[HistogramSeries(name="s", shares=[1.0])]
            ),
            "must rise",
        ),
        (lambda: stepped(start=2), "table 't': the slider starts at row 2 of 2"),
        (lambda: stepped(column=1), "the slider names a column that is not there"),
        (lambda: stepped(marks=1), "the slider names a column that is not there"),
        (lambda: Gallery(title="g", rule="r", side="fake", width=0, height=1, items=[]), "greater than or equal to 1"),
    ],
)
def test_details_fit_together(build, told):
    with pytest.raises(ValidationError, match=told):
        build()


def test_a_document_is_frozen_and_finds_its_numbers():
    made = document(result(number(1.0)), result(number(2.0, key="kd"), evaluator="kernel-distance"))
    assert made.measurement("frechet-distance/fd").value == 1.0
    assert made.measurement("kernel-distance/kd").value == 2.0
    for absent in ("frechet-distance/kd", "nothing/fd", "fd", ""):
        assert made.measurement(absent) is None
    assert "frechet-distance/fd-corrected" in made.measures()  # declared, not measured
    assert made.measures() == sorted(set(made.measures()))
    with pytest.raises(ValidationError, match="frozen"):
        made.seconds = 2.0
    with pytest.raises(ValidationError, match="finite"):
        Table(title="t", columns=["a"], rows=[[float("inf")]])


def test_a_spec_fills_in_what_it_declares():
    spec = EvaluatorSpec(
        id="e",
        title="E",
        question="?",
        needs=("features/real",),
        measurements=(MeasurementSpec("k", "K", "what", "share", "target", "plug-in", target=0.5),),
        misleads="never",
    )
    made = spec.measurement("k", 0.4, {"real": 10, "fake": 7}, interval_reason="a", null_reason="b")
    assert (made.title, made.unit, made.better, made.target, made.n) == ("K", "share", "target", 0.5, 7)
    assert made.estimator == "plug-in"
    assert spec.measurement("k", 0.4, {"fake": 7}, interval_reason="a", null_reason="b", estimator="z").estimator == "z"
    assert [d.key for d in spec.declared()] == ["k"]
