"""Keys of measurements and their families."""

import pytest

from ganaudit.document.errors import ConfigError
from ganaudit.document.gates import Policy
from ganaudit.document.judge import judge
from ganaudit.document.keys import family, member, part
from ganaudit.document.model import AuditDocument, DeclaredMeasurement
from ganaudit.document.policy import parse_policy
from tests.document.documents import document, number, result

FAMILY = "robust-accuracy-at-{budget}"


@pytest.mark.parametrize(
    ("one", "key", "expected"),
    [
        (FAMILY, "robust-accuracy-at-0.02", "0.02"),
        (FAMILY, "robust-accuracy-at-", None),
        (FAMILY, "stored-robust-accuracy-at-0.02", None),
        (FAMILY, FAMILY, None),
        ("leak-{operation}", "leak-hflip", "hflip"),
        ("a.c", "abc", None),
        ("fd", "fd", ""),
        ("fd", "fd-corrected", None),
    ],
)
def test_the_part_of_a_family(one: str, key: str, expected: str | None) -> None:
    assert part(one, key) == expected
    if expected:
        assert member(one, expected) == key


def test_a_key_finds_its_family() -> None:
    known = ["fd", FAMILY, "leak-{operation}"]
    assert family("fd", known) == "fd"
    assert family("robust-accuracy-at-1", known) == FAMILY
    assert family(FAMILY, known) == FAMILY
    assert family("kd", known) is None


def audited(*keys: str) -> AuditDocument:
    promised = DeclaredMeasurement(key=FAMILY, title="t", unit="1", better="higher", meaning="m")
    numbers = [number(0.5, (0.4, 0.6), key=key, better="higher") for key in keys]
    return document(result(*numbers, evaluator="adversarial-robustness", declares=[promised]))


def gate(measure: str) -> Policy:
    return parse_policy({"gate": [{"id": "g", "measure": measure, "limit": 0.1}]}, "p")


def test_a_gate_names_a_member_of_a_family() -> None:
    found = audited("robust-accuracy-at-0.01")
    assert judge(found, gate("adversarial-robustness/robust-accuracy-at-0.01")).exit_code == 0
    missing = judge(found, gate("adversarial-robustness/robust-accuracy-at-0.5"))
    assert missing.exit_code == 3
    assert "of its kind were robust-accuracy-at-0.01" in missing.verdicts[0].message
    with pytest.raises(ConfigError, match=r"robust-accuracy-at-\{budget\}"):
        judge(found, gate("adversarial-robustness/robust-accuracy-under-0.01"))
