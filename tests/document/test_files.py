"""Documents on disk: strict JSON both ways, atomic writes, and refusals that say why."""

import json
import os
import stat

import pytest

from ganaudit.document import files
from ganaudit.document.errors import DocumentError, OutputError
from ganaudit.document.files import check_writable, dumps, load_document, write_atomically, write_document
from ganaudit.document.gates import Gate, Policy
from ganaudit.document.judge import judge
from ganaudit.document.model import (
    Axis,
    Curve,
    Gallery,
    GalleryItem,
    Histogram,
    HistogramSeries,
    Note,
    Picture,
    Series,
    Slider,
    Table,
    Triplet,
    Triplets,
)
from ganaudit.document.schema import document_schema, policy_schema

from .documents import document, number, result


def full():
    details = [
        Table(title="t", columns=["a", "b"], rows=[["é", 1], [None, 0.1]]),
        Curve(title="c", x=Axis(title="x", log=True), y=Axis(title="y"), series=[Series(name="s", x=[1, 2], y=[3, 4])]),
        Histogram(
            title="h", x=Axis(title="x"), labels=["p", "q"], series=[HistogramSeries(name="s", shares=[0.5, 0.5])]
        ),
        Gallery(
            title="g",
            rule="the first",
            side="fake",
            width=8,
            height=8,
            items=[GalleryItem(file="samples/0.png", sha256="0" * 64, index=0)],
        ),
        Triplets(
            title="c",
            rule="the first",
            side="real",
            unit="linf",
            threshold=-0.5,
            width=8,
            height=8,
            items=[
                Triplet(
                    index=3,
                    **{
                        stage: Picture(file=f"samples/{stage}.png", sha256="0" * 64)
                        for stage in ("before", "change", "after")
                    },
                    factor=12.5,
                    norm=0.1,
                    score_before=0.5,
                    score_after=-1.0,
                )
            ],
        ),
        Table(title="s", columns=["a"], rows=[[1], [2]], slider=Slider(label="step", start=1)),
        Note(text="a remark"),
    ]
    rows = [
        result(number(0.1 + 0.2, (0.3, 0.31)), number(None, key="fd-corrected"), details=details),
        result(evaluator="kernel-distance", status="failed"),
    ]
    made = document(*rows, warnings=["caution"])
    policy = Policy(gate=[Gate(id="g", measure="frechet-distance/fd", limit=1.0)])
    return made.model_copy(
        update={"verdicts": list(judge(made, policy).verdicts), "policy": policy.model_dump(mode="json")}
    )


def edited(path, change):
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    return path


def put(data, keys, value):
    for key in keys[:-1]:
        data = data[key]
    data[keys[-1]] = value


def test_a_document_survives_the_round_trip(tmp_path):
    made = full()
    write_document(made, tmp_path / "document.json")
    again = load_document(tmp_path / "document.json")
    assert again == made
    assert load_document(tmp_path) == made  # the folder stands for its document
    assert dumps(again) == dumps(made)
    assert again.results[0].measurements[0].value == 0.1 + 0.2  # to the last bit


def test_what_is_written_is_json_without_extensions():
    def refuse(token):
        raise AssertionError(token)

    data = json.loads(dumps(full()), parse_constant=refuse)
    assert data["schema"] == "ganaudit.document/1"
    # Options are free-form: what is not finite there is written as null.
    odd = full().model_copy(update={"plan": {"seed": float("nan"), "budgets": [float("inf")]}})
    data = json.loads(dumps(odd), parse_constant=refuse)
    assert data["plan"] == {"seed": None, "budgets": [None]}


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
@pytest.mark.parametrize(
    "keys",
    [["results", 0, "measurements", 0, "value"], ["plan", "seed"], ["seconds"]],
    ids=["value", "plan", "seconds"],
)
def test_numbers_that_are_not_finite_are_refused(tmp_path, token, keys):
    path = tmp_path / "document.json"
    write_document(full(), path)
    edited(path, lambda data: put(data, keys, "HERE"))
    path.write_text(path.read_text().replace('"HERE"', token))
    with pytest.raises(DocumentError, match="strict JSON") as caught:
        load_document(path)
    assert token in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "strict JSON"),
        (b"{", "strict JSON"),
        (b"\xff\xfe", "strict JSON"),
        (b"[" * 200_000, "strict JSON"),
        (b"[]", "its schema is None; this version of ganaudit reads 'ganaudit.document/1'"),
        (b"{}", "its schema is None"),
        (b'{"schema": "ganaudit.document/2"}', "its schema is 'ganaudit.document/2'"),
        (b'{"schema": "ganaudit.document/1"}', "subject: required, but not given"),
    ],
)
def test_what_is_no_document_is_refused(tmp_path, content, told):
    path = tmp_path / "document.json"
    path.write_bytes(content)
    with pytest.raises(DocumentError) as caught:
        load_document(path)
    assert told in str(caught.value)
    assert str(path) in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_truncated_document_is_refused(tmp_path):
    text = dumps(full())
    path = tmp_path / "document.json"
    for cut in range(0, len(text) - 2, 997):
        path.write_text(text[:cut])
        with pytest.raises(DocumentError):
            load_document(path)


def test_a_document_that_is_not_there_says_how_to_make_one(tmp_path):
    for path in (tmp_path, tmp_path / "none.json"):
        with pytest.raises(DocumentError, match="no such file; `ganaudit audit` writes one"):
            load_document(path)


def test_problems_inside_a_document_are_told_by_key_and_cut_short(tmp_path):
    path = tmp_path / "document.json"
    write_document(full(), path)
    edited(path, lambda data: data["results"][0].update(surprise=1))
    with pytest.raises(DocumentError, match=r"results\.0\.surprise: unknown key$"):
        load_document(path)
    edited(path, lambda data: [data["results"][0].update({f"x{i}": 1 for i in range(9)})])
    with pytest.raises(DocumentError, match=r"\.\.\. and 5 more"):
        load_document(path)


def test_a_turned_interval_is_refused(tmp_path):
    path = tmp_path / "document.json"
    write_document(full(), path)
    edited(path, lambda data: data["results"][0]["measurements"][0]["interval"].update(low=9.0, high=1.0))
    with pytest.raises(DocumentError, match="low must not be above its high; found 9, 1"):
        load_document(path)


# --- writing


def test_a_write_leaves_one_file_and_replaces_the_old_one(tmp_path):
    path = tmp_path / "deep" / "a.json"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in path.parent.iterdir()] == ["a.json"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_breaks_off_leaves_the_old_content(tmp_path, monkeypatch, error):
    path = tmp_path / "a.json"
    path.write_bytes(b"old")

    def fails(descriptor):
        raise error

    monkeypatch.setattr(files.os, "fsync", fails)
    expected = OutputError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected) as caught:
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    if expected is OutputError:
        assert str(caught.value) == f"cannot write {path}: No space left on device"


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_mode_is_that_of_any_new_file(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        write_atomically(tmp_path / "a", b"")
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "sub" / "a.json", tmp_path / "folder"):
        with pytest.raises(OutputError) as caught:
            write_atomically(path, b"x")
        assert str(path) in str(caught.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]
    with pytest.raises(OutputError, match="--out") as caught:
        check_writable(tmp_path / "file" / "sub")
    assert "file" in str(caught.value)


def test_a_folder_that_can_be_written_is_left_as_it_was(tmp_path):
    check_writable(tmp_path)
    check_writable(tmp_path / "new" / "deep")
    assert list(tmp_path.rglob("*.json")) == []
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_path_that_is_not_unicode_does_not_lose_the_document(tmp_path):
    name = os.fsdecode(b"caf\xe9")
    made = full()
    made = made.model_copy(update={"subject": made.subject.model_copy(update={"path": name})})
    write_document(made, tmp_path / "document.json")
    assert r"caf\udce9" in (tmp_path / "document.json").read_text(encoding="utf-8")
    assert load_document(tmp_path) == made


# --- schemas


def test_the_schemas_hold_for_what_is_written():
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(document_schema())
    validator.check_schema(document_schema())
    validator.check_schema(policy_schema())
    data = json.loads(dumps(full()))
    validator.validate(data)
    for change in ({"results": None}, {"schema": "other/1"}, {"surprise": 1}):
        assert not validator.is_valid(data | change)
    policies = jsonschema.Draft202012Validator(policy_schema())
    assert policies.is_valid({"gate": [{"id": "g", "measure": "a/b", "limit": 1.0}]})
    assert not policies.is_valid({"gates": []})
