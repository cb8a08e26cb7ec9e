"""What no two runs share is taken out of a document, and nothing else."""

import json

from ganaudit.document.model import Environment, Note
from ganaudit.document.repeats import steady

from .documents import document, number, result


def content(*, seconds: float, latency: float, value: float = 10.0, threads: int = 1) -> object:
    measured = result(
        number(value, (9.0, 11.0)),
        number(latency, None, key="latency").model_copy(update={"volatile": True}),
        details=[Note(text="stays"), Note(text=f"took {latency}", volatile=True)],
        seconds=seconds,
    )
    made = document(measured, seconds=seconds, started=f"2026-11-22T00:00:{int(seconds):02d}+00:00")
    environment = Environment.model_validate(made.environment.model_dump() | {"threads": threads})
    return json.loads(made.model_copy(update={"environment": environment}).model_dump_json())


def test_runs_that_differ_in_time_alone_are_equal() -> None:
    one, other = content(seconds=1.0, latency=3.0), content(seconds=2.0, latency=4.0, threads=2)
    assert one != other
    assert steady(one) == steady(other)


def test_any_other_number_still_tells_them_apart() -> None:
    one, other = content(seconds=1.0, latency=3.0), content(seconds=1.0, latency=3.0, value=10.5)
    assert steady(one) != steady(other)
    (kept,) = steady(one)["results"]
    assert [m["key"] for m in kept["measurements"]] == ["fd"]
    assert [d["text"] for d in kept["details"]] == ["stays"]
    assert "seconds" not in kept


def test_what_is_no_document_is_as_it_was() -> None:
    assert steady([1, "two", None, {"volatile": False, "a": 1}]) == [1, "two", None, {"volatile": False, "a": 1}]
