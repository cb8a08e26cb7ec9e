"""Each rule speaks up on its own trap and on no other's, and a clean file trips none."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from ganaudit.document.errors import ConfigError
from ganaudit.document.model import SelfTest
from ganaudit.linting.catalogue import FAMILIES, RULES, chosen, rule
from ganaudit.linting.linter import lint
from tests.document.documents import document, number, result
from tests.linting.claims import CLEAN, spoilt, tripped

NAN, INF = float("nan"), float("inf")
ROBUST_AT_MORE = spoilt("robust", epsilon=0.04, step_size=0.001, value=0.6, low=0.58, high=0.62)

TRAPS: list[tuple[str, Any]] = [
    ("GA001", spoilt("fid", value=NAN)),
    ("GA001", spoilt("auc", value=0.91, low=-INF)),
    ("GA002", spoilt("fid", value=-3.0, low=-4.0, high=-2.0)),
    ("GA002", spoilt("recall", value=62.0, low=61.0, high=63.0)),
    ("GA002", spoilt("auc", value=1.02, low=0.9, high=1.1)),
    ("GA002", spoilt("is", value=0.3, low=0.2, high=0.4)),
    ("GA003", spoilt("fid", n_real=None, n_fake=None)),
    ("GA003", spoilt("auc", n_real=None, n_fake=None)),
    ("GA004", spoilt("fid", low=None, high=None)),
    ("GA005", spoilt("fid", low=12.3, high=12.3)),
    ("GA005", spoilt("auc", low=None, high=None, std=0.0, repeats=1)),
    ("GA006", spoilt("auc", low=None, high=None, std=0.02, repeats=1, covers=None)),
    ("GA007", [spoilt("fid"), {"metric": "goodness", "value": 3}]),
    ("GA008", [spoilt("fid"), spoilt("fid", value=12.4)]),
    ("GA008", '{"model": "a", "model": "b", "parameters": 5}'),
    ("GA009", spoilt("fid", n_real="very many")),
    ("GA009", [spoilt("flops"), {"metric": "parameters", "value": "some"}]),
    ("GA010", spoilt("fid", low=12.5, high=12.1)),
    ("GA011", spoilt("fid", low=11.0, high=12.0)),
    ("GA012", spoilt("fid", value="12.31234", low=12.0, high=12.6)),
    ("GA013", spoilt("auc", low=None, high=None, std=0.02, covers=None)),
    ("GA013", spoilt("kid", low=None, high=None, std=0.002, covers=None)),
    ("GA013", spoilt("is", low=None, high=None, std=0.1, covers=None)),
    ("GA101", spoilt("fid", n_real=1000, n_fake=1000)),
    ("GA101", spoilt("fid", n_fake=2048)),
    ("GA101", spoilt("fid", n_fake=64, dims=64)),
    ("GA102", spoilt("fid", n_fake=5000)),
    ("GA103", spoilt("fid", extractor=None)),
    ("GA103", spoilt("recall", extractor=None)),
    ("GA104", spoilt("fid", flip=None)),
    ("GA105", spoilt("kid", resize=None)),
    ("GA106", spoilt("fid", resize="bilinear", antialias=None)),
    ("GA106", spoilt("fid", resize=None, antialias=None, tool="torchmetrics", extractor=None)),
    ("GA107", spoilt("fid", image_format="JPEG")),
    ("GA107", spoilt("fid", image_format=None, real_format="jpg", fake_format="png")),
    ("GA108", spoilt("kid", low=None, high=None, std=0.001, subsets=100)),
    ("GA109", spoilt("is", low=None, high=None, std=0.1, splits=10)),
    ("GA110", spoilt("is", extractor="CLIP ViT-B/32", value=1.03, low=1.02, high=1.04)),
    ("GA111", spoilt("is", value=1200.0, low=1190.0, high=1210.0)),
    ("GA111", spoilt("is", extractor="digits classifier", classes=10, value=10.5, low=10.4, high=10.6)),
    ("GA112", spoilt("fid", split="train")),
    ("GA112", {"fid_train": 2.4, **{k: v for k, v in spoilt("fid", split=None).items() if k not in ("metric", "value")}
               | {"low": 2.3, "high": 2.5}}),
    ("GA113", spoilt("recall", k=None)),
    ("GA114", spoilt("recall", n_real=10_000)),
    ("GA115", spoilt("fid", extractor="DINOv2 ViT-L/14")),
    ("GA116", spoilt("mifid", tool="torchmetrics 1.9")),
    ("GA117", spoilt("authenticity", null=None)),
    ("GA118", spoilt("kid", value=1.17, low=1.1, high=1.2)),
    ("GA201", spoilt("accuracy", threshold_source="best on the test split")),
    ("GA201", spoilt("accuracy", threshold_source="Youden's J")),
    ("GA201", spoilt("accuracy", metric="best accuracy", threshold_source=None)),
    ("GA202", spoilt("accuracy", threshold_source=None)),
    ("GA203", spoilt("accuracy", threshold=0.5, threshold_source="fixed")),
    ("GA203", spoilt("accuracy", threshold=0, threshold_source=None)),
    ("GA204", spoilt("accuracy", base_rate=None)),
    ("GA205", spoilt("auc", scores="sigmoid")),
    ("GA205", spoilt("auc", scores="rounded to two decimals")),
    ("GA206", spoilt("auc", tool="torchmetrics", scores="raw logits")),
    ("GA206", spoilt("auc", tool="torchmetrics", scores=None)),
    ("GA207", spoilt("auc", value=0.2, low=0.18, high=0.22)),
    ("GA208", spoilt("tpr", at_fpr=0.001)),
    ("GA209", spoilt("ece", bins=None)),
    ("GA210", spoilt("auc", split="train")),
    ("GA301", spoilt("robust", range=None)),
    ("GA302", spoilt("robust", range="[-1, 1]", epsilon="8/255", step_size=0.001)),
    ("GA303", spoilt("robust", range=None, epsilon=8, step_size=0.5)),
    ("GA303", spoilt("robust", range=[-1, 1], epsilon=2.5, step_size=0.1)),
    ("GA304", spoilt("robust", epsilon=None)),
    ("GA305", spoilt("robust", norm=None)),
    ("GA306", spoilt("robust", attack=None)),
    ("GA306", spoilt("robust", steps=None)),
    ("GA307", spoilt("robust", attack="FGSM", steps=None)),
    ("GA307", spoilt("robust", attack="Gaussian noise", steps=None)),
    ("GA307", spoilt("robust", steps=3, step_size=0.02)),
    ("GA308", spoilt("robust", steps=40, step_size=0.02 / 30)),
    ("GA308", spoilt("robust", steps=40, step_size=None, tool="foolbox 3.3.4")),
    ("GA309", spoilt("robust", masking_check=None)),
    ("GA309", spoilt("robust", masking_check="no")),
    ("GA310", spoilt("robust", masked="yes")),
    ("GA311", spoilt("robust", clean_accuracy=0.3)),
    ("GA312", [spoilt("robust"), ROBUST_AT_MORE]),
    ("GA313", spoilt("robust", value=1, low=0.99, high=1, clean_accuracy=1)),
    ("GA314", spoilt("robust", tool="torchattacks", range=[-1, 1])),
    ("GA401", spoilt("ppl", dtype="uint8")),
    ("GA402", spoilt("ppl", space=None)),
    ("GA403", spoilt("flops", tool="fvcore", counts=None)),
    ("GA403", spoilt("flops", counts="MACs")),
    ("GA404", spoilt("flops", counts=None)),
    ("GA405", spoilt("step", scope="forward")),
    ("GA405", [spoilt("flops"), spoilt("step", value=209_256_448)]),
    ("GA406", spoilt("latency", device=None)),
    ("GA407", spoilt("energy", measured=None)),
    ("GA501", [spoilt("fid", model="a"), spoilt("fid", model="b", n_fake=10_000, value=12.0, low=11.9)]),
    ("GA502", [spoilt("fid", model="a"), spoilt("fid", model="b", resize="torch bilinear", value=12.2)]),
    ("GA503", spoilt("fid", low=None, high=None, improved_by=0.3)),
    ("GA504", spoilt("fid", improved_by=0.1)),
    ("GA505", spoilt("fid", metric="best FID")),
    ("GA505", spoilt("fid", selection="lowest of all snapshots")),
]  # fmt: skip


@pytest.mark.parametrize(("id", "content"), TRAPS, ids=[f"{i}-{id}" for i, (id, _) in enumerate(TRAPS)])
def test_a_trap_trips_its_rule_alone(tmp_path: Path, id: str, content: Any) -> None:
    found = tripped(tmp_path / "claims.json", content)
    # What has no spread lacks it whatever else is wrong: a note that a trap about spreads cannot be without.
    beside = {"GA503": ["GA004"]}.get(id, [])
    assert found == sorted([id, *beside])


def test_a_spread_over_trainings_is_none_over_subsets(tmp_path: Path) -> None:
    for over in ({"covers": "three trainings"}, {"repeats": 3}):
        trained = spoilt("kid", low=None, high=None, std=0.001, subsets=100, **over)
        assert tripped(tmp_path / "c.json", trained) == []
        assert tripped(tmp_path / "c.json", spoilt("is", low=None, high=None, std=0.1, splits=10, **over)) == []


@pytest.mark.parametrize("base", CLEAN)
def test_a_clean_claim_trips_none(tmp_path: Path, base: str) -> None:
    assert tripped(tmp_path / "claims.json", spoilt(base)) == []


def test_a_clean_file_trips_none(tmp_path: Path) -> None:
    rows = list(CLEAN.values())
    assert tripped(tmp_path / "claims.json", rows) == []
    models = [claim | {"model": name} for name in ("a", "b") for claim in rows]
    assert tripped(tmp_path / "claims.json", {"results": models}) == []


def test_rows_of_two_networks_are_no_comparison_where_every_model_has_both(tmp_path: Path) -> None:
    other = {"metric": "FD", "extractor": "DINOv2 ViT-L/14", "value": 200.0, "low": 199.0, "high": 201.0}
    rows = [spoilt("fid", model=m, **extra) for m in ("a", "b") for extra in ({}, other)]
    assert tripped(tmp_path / "claims.json", rows) == []


@pytest.mark.parametrize(
    ("accuracies", "rises"),
    [([0.6, 0.5, 0.4], False), ([0.6, 0.4, 0.5], True), ([0.4, 0.5, 0.3], True), ([0.5, 0.5, 0.5], False)],
)
def test_accuracy_over_budgets(tmp_path: Path, accuracies: list[float], rises: bool) -> None:
    rows = [
        spoilt("robust", value=v, low=v - 0.01, high=v + 0.01, epsilon=e, step_size=0.001)
        for v, e in zip(accuracies, (0.01, 0.02, 0.04), strict=True)
    ]
    expected = ["GA312"] if rises else []
    assert tripped(tmp_path / "c.json", rows) == expected
    assert tripped(tmp_path / "c.json", rows[::-1]) == expected
    other = [row | {"model": str(i)} for i, row in enumerate(rows)]
    assert "GA312" not in tripped(tmp_path / "c.json", other)


# --- documents, policies and plans


def audit(*results: Any, **more: Any) -> str:
    return document(*results, **more).model_dump_json(by_alias=True)


def clean_number(**more: Any) -> Any:
    return number(3.0, (2.5, 3.5), null={"value": 2.9, "n": 1000, "rule": "halves of the test split"}, **more)


SURER = {"gate": [{"id": "q", "measure": "frechet-distance/fd", "limit": 12.0, "confidence": 0.99, "min_n": 500}]}
GATED = {"gate": [{"id": "q", "measure": "frechet-distance/fd", "limit": 12.0, "confidence": 0.95, "min_n": 500}]}
BELOW = {"gate": [GATED["gate"][0] | {"limit": 3.2}]}  # real against real: 2.9, and the interval 0.5 wide
QUICK = {"profile": "quick"}
FAILED_TEST = SelfTest(passed=False, checks=9, ganaudit="0.1.0", torch="2.6", when="2026-01-01T00:00:00Z")


def test_a_clean_document_trips_none(tmp_path: Path) -> None:
    assert tripped(tmp_path / "d.json", audit(result(clean_number()), policy=GATED)) == []


def in_document(id: str) -> str:
    measured = document(result(clean_number()))
    share = number(0.5, (0.3, 0.7), n=40, key="copy-rate", unit="share of samples")
    bare = number(3.0, None, null={"value": 2.9, "n": 1000, "rule": "halves"})
    masked = [number(0.9, (0.8, 0.99), key="robust-accuracy-at-0.02", unit="share of samples", better="higher"),
              number(1.0, None, key="masking", unit="yes or no")]  # fmt: skip
    environment = measured.environment.model_copy(update={"selftest": FAILED_TEST})
    made = {
        "GA002": lambda: audit(result(number(1.4, (1.3, 1.5), key="precision", better="higher"))),
        "GA207": lambda: audit(result(number(0.2, (0.1, 0.3), key="auc", better="higher"))),
        "GA310": lambda: audit(result(*masked)),
        "GA901": lambda: audit(result(clean_number()), warnings=["look closer"]),
        "GA902": lambda: audit(result(clean_number()), result(evaluator="two", status="failed")),
        "GA903": lambda: audit(result(share)),
        "GA904": lambda: audit(result(clean_number())).replace("ganaudit.document/1", "ganaudit.document/7"),
        "GA905": lambda: audit(result(clean_number()), plan=QUICK),
        "GA906": lambda: audit(result(clean_number()), environment=environment),
        "GA911": lambda: audit(result(clean_number(volatile=True)), policy=GATED),
        "GA912": lambda: audit(result(number(3.0, (2.5, 3.5))), policy=GATED),
        "GA918": lambda: audit(result(clean_number()), policy=BELOW),
        "GA913": lambda: audit(result(bare), policy=GATED),
        "GA919": lambda: audit(result(clean_number()), policy=SURER),
    }
    return made[id]()


@pytest.mark.parametrize(
    "id",
    [
        "GA002",
        "GA207",
        "GA310",
        "GA901",
        "GA902",
        "GA903",
        "GA904",
        "GA905",
        "GA906",
        "GA911",
        "GA912",
        "GA913",
        "GA918",
        "GA919",
    ],
)
def test_a_document_trips_its_rule_alone(tmp_path: Path, id: str) -> None:
    assert tripped(tmp_path / "d.json", in_document(id)) == [id]


GATE = '[[gate]]\nid = "q"\nmeasure = "precision-recall/precision"\nlimit = 0.8\n'
SURE = GATE + "confidence = 0.95\nmin_n = 500\n"
FILES = [
    ("GA914", GATE + "min_n = 500\n"),
    ("GA915", GATE + "confidence = 0.95\n"),
    ("GA916", 'fail_on = "never"\n' + SURE),
    ("GA916", 'on_inconclusive = "pass"\n' + SURE),
    ("GA917", 'fail_on = "error"\n'),
    ("GA905", 'subject = "digits"\nprofile = "quick"\n'),
    ("GA112", 'subject = "digits"\nagainst = "train"\n'),
]


@pytest.mark.parametrize(("id", "text"), FILES)
def test_a_configuration_trips_its_rule_alone(tmp_path: Path, id: str, text: str) -> None:
    assert tripped(tmp_path / "audit.toml", text) == [id]


@pytest.mark.parametrize("text", [SURE, 'subject = "digits"\n'])
def test_a_clean_configuration_trips_none(tmp_path: Path, text: str) -> None:
    assert tripped(tmp_path / "audit.toml", text) == []


def test_a_newer_document_is_read_as_far_as_it_can_be(tmp_path: Path) -> None:
    text = audit(result(number(1.4, (1.3, 1.5), key="precision", better="higher"))).replace(
        '"schema":"ganaudit.document/1"', '"schema":"ganaudit.document/2","unheard_of":{"deep":[1]}'
    )
    assert tripped(tmp_path / "d.json", text) == ["GA002", "GA904"]


# --- the list of rules


def test_every_rule_is_reached_by_a_trap() -> None:
    own = {"GA901", "GA902", "GA903", "GA904", "GA905", "GA906", "GA911", "GA912", "GA913", "GA918", "GA919"}
    assert {r.id for r in RULES} == {id for id, _ in TRAPS} | {id for id, _ in FILES} | own


def test_ids_are_unique_ordered_and_of_a_family() -> None:
    ids = [r.id for r in RULES]
    assert ids == sorted(set(ids))
    assert len({r.name for r in RULES}) == len(RULES)
    assert {id[:3] for id in ids} == set(FAMILIES)
    for one in RULES:
        assert rule(one.id) is one
        assert rule(one.name) is one
        assert all(text.strip() == text and text for text in (one.misleads, one.advice, one.source))
        assert one.misleads.endswith(".")
        assert one.advice.endswith(".")


def test_rules_are_chosen_by_id_name_and_beginning() -> None:
    assert [r.id for r in chosen(["GA201", "not-finite"])] == ["GA001", "GA201"]
    assert {r.id[:3] for r in chosen(["GA1", "ga2"])} == {"GA1", "GA2"}
    assert "GA201" not in {r.id for r in chosen([], ["oracle-threshold"])}
    with pytest.raises(ConfigError, match=r"--ignore 'GA20l'.*nearest: GA2"):
        chosen(["GA2"], ["GA20l"])
    with pytest.raises(ConfigError) as caught:
        chosen(["nonsense"], ["GA998"])
    assert len(caught.value.problems) == 2


# --- what the texts of rules state, computed another way


def test_facts_that_the_rules_quote(tmp_path: Path) -> None:
    import numpy as np

    f32 = np.float32
    assert f32(1 / (1 + math.exp(-18))) == f32(1)
    # Coverage of equal distributions: the chance that the nearest k of N reals and M fakes are not all reals.
    coverage = {m: 1 - math.prod((n - i) / (n + m - i) for i in range(5)) for n, m in [(10**6, 5 * 10**5)] for m in [m]}
    assert round(coverage[5 * 10**5], 2) == 0.87
    assert round(1 - math.prod((10**6 - i) / (2 * 10**6 - i) for i in range(5)), 2) == 0.97
    assert round(1 - math.prod((10**6 - i) / (3 * 10**6 - i) for i in range(5)), 3) == 0.996
    # The half width of a share of one half at n = 100.
    assert round(1.96 * math.sqrt(0.25 / 100), 1) == 0.1


@pytest.mark.parametrize("n", [599, 2048, 2049, 9_999, 10_000])
def test_sizes_at_their_bounds(tmp_path: Path, n: int) -> None:
    expected = ["GA101"] if n <= 2048 else ["GA102"] if n < 10_000 else []
    assert tripped(tmp_path / "c.json", spoilt("fid", n_real=n, n_fake=n)) == expected
    # The same distance of real against real samples takes the place of more samples.
    assert tripped(tmp_path / "c.json", spoilt("fid", n_real=n, n_fake=n, null=9.0)) == []


def test_every_finding_says_all_that_it_must(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"frechet_inception_distance": 3.0}')
    for finding in lint(tmp_path / "c.json", RULES):
        assert finding.file.endswith("c.json")
        assert finding.number == finding.where == "frechet_inception_distance"
        assert finding.found
        assert finding.severity in ("error", "warning", "note")
