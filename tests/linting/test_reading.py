"""Files as others write them: forms, encodings, names of metrics, and what cannot be read."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganaudit.document.errors import ConfigError, DocumentError, SourceError, UserError
from ganaudit.linting import reading
from ganaudit.linting.catalogue import RULES
from ganaudit.linting.claim import Claim
from ganaudit.linting.linter import findings
from ganaudit.linting.metrics import METRICS, recognise
from ganaudit.linting.reading import read_sheet
from ganaudit.linting.writing import count, measured, pair, written
from tests.document.documents import document, number, result


def claims(path: Path, content: str | bytes) -> list[Claim]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_sheet(path).claims)


def told(claim: Claim, *fields: str) -> tuple[Any, ...]:
    return tuple(getattr(claim, field) for field in fields)


# --- names


@pytest.mark.parametrize(
    ("name", "metric", "hints"),
    [
        ("FID", "fid", {}),
        ("frechet_inception_distance", "fid", {}),
        ("FID-50k", "fid", {"n_fake": 50_000}),
        ("fid50k_full", "fid", {"n_fake": 50_000, "tool": "stylegan", "split": "train", "flip": "reals not mirrored"}),
        ("fid50k", "fid", {"n_fake": 50_000, "n_real": 50_000, "tool": "stylegan", "split": "train"}),
        ("pr50k3_full_recall", "recall", {"n_fake": 50_000, "neighbours": 3, "tool": "stylegan", "split": "train"}),
        ("is50k_mean", "is", {"n_fake": 50_000, "tool": "stylegan", "split": "train"}),
        ("kernel_inception_distance_mean", "kid", {}),
        ("KID×10³", "kid", {"unit": "10^-3"}),
        ("kid_x1000", "kid", {"unit": "10^-3"}),
        ("inception_score_mean", "is", {}),
        ("Inception Score", "is", {}),
        ("best_fid", "fid", {"selection": "best"}),
        ("val_fid", "fid", {"split": "val"}),
        ("clean-fid", "fid", {"tool": "clean-fid"}),
        ("clip_fid", "fd", {"extractor": "clip"}),
        ("fd_dinov2", "fd", {"extractor": "dinov2"}),
        ("robust_accuracy_at_0.02", "robust-accuracy", {"epsilon": 0.02}),
        ("adv_acc_eps_8_255", "robust-accuracy", {"epsilon": 8 / 255}),
        ("TPR@1%FPR", "tpr", {"fpr": 0.01}),
        ("tpr-at-fpr-0.1pct", "tpr", {"fpr": 0.001}),
        ("GFLOPs", "flops", {"unit": "10^9"}),
        ("AUROC", "auc", {}),
    ],
)
def test_names_are_recognised(name: str, metric: str, hints: dict[str, Any]) -> None:
    assert recognise(name) == (metric, hints)


@pytest.mark.parametrize("name", ["", "loss", "epoch", "fidelity", "total_time", "num_gpus", "kidney", "isnt", "best"])
def test_other_names_are_not(name: str) -> None:
    assert recognise(name) is None


# --- cells


@pytest.mark.parametrize(
    ("cell", "value"),
    [("12.3", 12.3), (" 1e-3 ", 1e-3), ("−0.5", -0.5), ("8/255", 8 / 255), ("50,000", 50_000), ("0", 0.0), (7, 7.0)],
)
def test_numbers_are_read(cell: Any, value: float) -> None:
    found = written(cell)
    assert found is not None
    assert float(found) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("cell", ["", "abc", "1.2.3", None, True, [1], "12,3,4", "1/0"])
def test_what_is_no_number_is_none(cell: Any) -> None:
    assert written(cell) is None


def test_a_comma_is_a_decimal_mark_where_it_does_not_set_columns_apart() -> None:
    assert written("12,345") == 12345
    assert written("12,345", commas=True) == 12.345


def test_spreads_intervals_and_units_are_read_from_one_cell() -> None:
    assert measured("12.3 ± 0.4") == {"value": 12.3, "text": "12.3", "std": 0.4}
    assert measured("12.3+/-0.4") == {"value": 12.3, "text": "12.3", "std": 0.4}
    assert measured("0.91 [0.88, 0.94]") == {"value": 0.91, "text": "0.91", "low": 0.88, "high": 0.94}
    assert measured("91 %") == {"value": 91.0, "text": "91", "unit": "%"}
    assert count("50k") == 50_000
    assert count("2.5k") == 2500
    assert pair("[-1, 1]") == pair("-1..1") == pair([-1, 1]) == (-1.0, 1.0)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_comes_back(value: float) -> None:
    found = written(repr(value))
    assert found is not None
    assert float(found) == value


@given(st.text(max_size=30))
def test_no_text_breaks_the_readers(text: str) -> None:
    for read in (written, measured, count, pair):
        read(text)
        read(text, True)
    recognise(text)


# --- forms


def test_torch_fidelity_says_what_its_defaults_are(tmp_path: Path) -> None:
    keys = {
        "inception_score_mean": 8.1, "inception_score_std": 0.1, "frechet_inception_distance": 12.3,
        "kernel_inception_distance_mean": 0.01, "kernel_inception_distance_std": 0.002, "precision": 0.7,
    }  # fmt: skip
    found = {claim.metric: claim for claim in claims(tmp_path / "f.json", json.dumps(keys))}
    assert set(found) == {"is", "fid", "kid", "precision"}
    assert told(found["is"], "std", "splits", "value") == (0.1, 10, 8.1)
    assert told(found["kid"], "std", "subsets", "tool") == (0.002, 100, "torch-fidelity")
    assert told(found["fid"], "resize", "antialias", "dimensions", "n") == ("TF1 bilinear", False, 2048, None)
    assert told(found["precision"], "extractor", "neighbours") == ("vgg16", 3)


def test_lines_of_stylegan_are_snapshots(tmp_path: Path) -> None:
    lines = [
        {"results": {"fid50k_full": value}, "metric": "fid50k_full", "total_time": 9.5, "num_gpus": 8,
         "snapshot_pkl": f"network-snapshot-{i:06d}.pkl", "timestamp": 1.6e9}
        for i, value in enumerate([30.5, 20.25])
    ]  # fmt: skip
    found = claims(tmp_path / "metric-fid50k_full.jsonl", "\n".join(map(json.dumps, lines)))
    assert [told(c, "model", "value", "n_fake", "split") for c in found] == [
        ("network-snapshot-000000.pkl", 30.5, 50_000, "train"),
        ("network-snapshot-000001.pkl", 20.25, 50_000, "train"),
    ]


def test_what_is_said_above_holds_for_all_below(tmp_path: Path) -> None:
    data = {
        "protocol": {"extractor": "inception-v3", "resize": "PIL bicubic"},
        "n_fake": "50k",
        "ours": {"fid": {"value": 3.2, "ci": [3.1, 3.3]}, "kid": [0.01, 0.001]},
        "baseline model": {"fid": 4.1, "n_fake": 10_000},
    }
    found = claims(tmp_path / "r.json", json.dumps(data))
    assert [told(c, "model", "metric", "value", "n_fake", "extractor") for c in found] == [
        ("ours", "fid", 3.2, 50_000, "inception-v3"),
        ("ours", "kid", 0.01, 50_000, "inception-v3"),
        ("baseline model", "fid", 4.1, 10_000, "inception-v3"),
    ]
    assert told(found[0], "low", "high") == (3.1, 3.3)
    assert found[1].std == 0.001


ROWS = "metric,value,n_fake,std,extractor\nFID,12.3,50000,0.4,inception\nrecall,0.61,50000,,vgg16\n"
WIDE = "model,n,FID,FID_std,precision\na,50k,12.3,0.4,0.7\nb,50k,11.9,0.3,0.8\n"


def test_tables_with_a_row_or_a_column_for_each_metric(tmp_path: Path) -> None:
    rows = claims(tmp_path / "rows.csv", ROWS)
    assert [told(c, "metric", "value", "n_fake", "std", "extractor", "where") for c in rows] == [
        ("fid", 12.3, 50_000, 0.4, "inception", "row 2"),
        ("recall", 0.61, 50_000, None, "vgg16", "row 3"),
    ]
    wide = claims(tmp_path / "wide.csv", WIDE)
    assert [told(c, "model", "metric", "value", "std", "n_fake") for c in wide] == [
        ("a", "fid", 12.3, 0.4, 50_000),
        ("a", "precision", 0.7, None, 50_000),
        ("b", "fid", 11.9, 0.3, 50_000),
        ("b", "precision", 0.8, None, 50_000),
    ]


@pytest.mark.parametrize(
    "content",
    [
        ROWS.encode("utf-8-sig"),
        ROWS.encode("utf-16"),
        ROWS.replace("\n", "\r\n").encode(),
        ROWS.replace(",", "\t").encode(),
        ROWS.replace(",", ";").replace(".", ",").encode("utf-8-sig"),
        ROWS.replace(",", "|").encode(),
    ],
    ids=["bom", "utf-16", "crlf", "tab", "semicolon with decimal commas", "bars"],
)
def test_tables_as_programs_save_them(tmp_path: Path, content: bytes) -> None:
    plain = claims(tmp_path / "plain.csv", ROWS)
    assert claims(tmp_path / "t.csv", content) == plain or [c.value for c in read_sheet(tmp_path / "t.csv").claims] == [
        c.value for c in plain
    ]


def test_claims_in_toml_and_without_a_known_ending(tmp_path: Path) -> None:
    (found,) = claims(tmp_path / "c.toml", '[[claim]]\nmetric = "FID"\nvalue = 3.5\nn_fake = 50000\n')
    assert told(found, "metric", "value", "n_fake") == ("fid", 3.5, 50_000)
    assert len(claims(tmp_path / "numbers", ROWS)) == 2
    assert len(claims(tmp_path / "numbers.txt", '{"fid": 3}')) == 1


def test_a_folder_is_its_document(tmp_path: Path) -> None:
    audited = document(result(number(3.0, (2.0, 4.0))))
    (tmp_path / "document.json").write_text(audited.model_dump_json(by_alias=True))
    assert [told(c, "name", "value", "own") for c in read_sheet(tmp_path).claims] == [
        ("frechet-distance/fd", 3.0, True)
    ]


# --- what cannot be read

NESTED = "[" * 5000 + "]" * 5000


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.json", b"", "empty"),
        ("a.csv", b" \n\n", "empty"),
        ("a.csv", "modèle,FID\n".encode("latin-1"), "byte 3 is no utf-8 text"),
        ("a.csv", b"\x00\x01\x02", "NUL"),
        ("a.json", b'{"fid": 3', "not JSON"),
        ("a.jsonl", b'{"fid": 3}\n{"fid": }\n', "line 2: not JSON"),
        ("a.json", NESTED.encode(), "nested too deep"),
        ("a.json", b'{"loss": 0.3, "epoch": 4}', "no number of a metric that is known"),
        ("a.json", b'[{"metric": "goodness", "value": 3}]', "'goodness'"),
        ("a.csv", b"just words\nand more\n", "no columns"),
        ("a.csv", b'metric,value\n"FID,3\n', "not a table"),
        ("a.csv", b"metric,value\nFID,3,4\n", "row 2 has 3 cells under 2 columns"),
        ("a.csv", b"FID,FID\n3,4\n", "twice"),
        ("a.yaml", b"fid: 3\n", "YAML is not read"),
        ("a.toml", b"= 3", "not valid TOML"),
        ("a.toml", b'[generator]\nnetwork = "seed-generator"\n', "train CONFIG --dry-run"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError) as caught:
        read_sheet(tmp_path / name)
    assert words in str(caught.value)
    assert name in str(caught.value)


def test_missing_files_and_broken_files_of_ours(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="No such file"):
        read_sheet(tmp_path / "none.json")
    with pytest.raises(SourceError, match="No such file"):
        read_sheet(tmp_path)
    audited = json.loads(document(result(number(3.0, (2.0, 4.0)))).model_dump_json(by_alias=True))
    audited["results"][0]["measurements"][0]["interval"]["low"] = 9.0
    (tmp_path / "d.json").write_text(json.dumps(audited))
    with pytest.raises(DocumentError, match="low must not be above its high"):
        read_sheet(tmp_path / "d.json")
    (tmp_path / "d.json").write_text('{"schema": "ganaudit.document/9"}')
    with pytest.raises(DocumentError, match="no results"):
        read_sheet(tmp_path / "d.json")
    (tmp_path / "p.toml").write_text("[[gate]]\nid = 'q'\n")
    with pytest.raises(ConfigError, match="measure"):
        read_sheet(tmp_path / "p.toml")


def test_large_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_BYTES", 1024 * 1024)
    (tmp_path / "a.json").write_bytes(b" " * (1024 * 1024 + 1))
    with pytest.raises(SourceError, match="larger than 1 MiB"):
        read_sheet(tmp_path / "a.json")
    monkeypatch.setattr(reading, "MOST_ROWS", 10)
    for name, content in (("a.csv", "FID,n\n" + "3,5\n" * 11), ("a.json", json.dumps([{"fid": 3}] * 11)),
                          ("a.jsonl", '{"fid": 3}\n' * 11)):  # fmt: skip
        (tmp_path / name).write_text(content)
        with pytest.raises(SourceError, match="11 rows; at most 10"):
            read_sheet(tmp_path / name)


def test_numbers_beyond_floats_are_infinite_and_told(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"fid": 1e999, "kid": ' + "9" * 5000 + "}")
    ids = {f.rule for f in findings(read_sheet(tmp_path / "a.json"), "a", RULES)}
    assert "GA001" in ids


def test_objects_too_wide_or_deep_are_told_not_dropped(tmp_path: Path) -> None:
    wide = {f"k{i}": i for i in range(3000)} | {"fid": 2}
    deep: Any = {"fid": 1}
    for _ in range(80):
        deep = {"inner": deep}
    (tmp_path / "a.json").write_text(json.dumps([{"kid": 0.1}, wide, deep]))
    sheet = read_sheet(tmp_path / "a.json")
    assert [claim.metric for claim in sheet.claims] == ["kid"]
    told = " ".join(f.found for f in findings(sheet, "a", RULES) if f.rule == "GA009")
    assert "3001 keys" in told
    assert "deeper than 64" in told


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["metric", "value", "fid", "fid_std", "n", "results", "schema", "range", "model", "is"])
            | st.text(max_size=8),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_any_json_is_linted_or_refused(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    try:
        sheet = read_sheet(path)
    except UserError:
        return
    findings(sheet, "any.json", RULES)
    assert all(claim.metric in METRICS for claim in sheet.claims)


@given(st.text(max_size=80))
def test_any_text_is_linted_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    for name in ("any.csv", "any.toml", "any.json"):
        path = tmp_path_factory.getbasetemp() / name
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        with contextlib.suppress(UserError):
            findings(read_sheet(path), name, RULES)
