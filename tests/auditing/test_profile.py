"""A profile that is given sets how much is spent on attacks; one that is not leaves that to each evaluator."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import pytest

from ganaudit import registry
from ganaudit.auditing.setting import settle
from ganaudit.config import make_plan
from ganaudit.document.spec import EvaluatorSpec
from ganaudit.progress import Silent

ATTACKS = "adversarial-robustness"


def options(**plan):
    plan = {"subject": "digits", "evaluators": {ATTACKS: {}}, "cache": False, **plan}
    return settle(make_plan(plan, "options", registry.names("evaluators")), None, None, Silent()).options


@pytest.mark.parametrize("name", ["quick", "standard", "full"])
def test_attacks_follow_the_profile_that_is_given(name):
    assert options(profile=name)[ATTACKS]["profile"] == name


def test_an_audit_that_nobody_tuned_stays_quick():
    assert options()[ATTACKS]["profile"] == "quick"


def test_an_option_of_its_own_wins():
    assert options(profile="full", evaluators={ATTACKS: {"profile": "quick"}})[ATTACKS]["profile"] == "quick"


@dataclass(frozen=True, slots=True)
class Foreign:
    """An evaluator to which a profile is something else."""

    profile: str = "linear"
    """A colour profile."""

    spec: ClassVar[EvaluatorSpec] = dataclasses.replace(registry.find("evaluators", "diversity").spec, id="foreign")


def test_an_option_of_the_same_name_with_other_values_is_left_alone(monkeypatch):
    find, names = registry.find, registry.names
    monkeypatch.setattr(registry, "find", lambda group, name: Foreign if name == "foreign" else find(group, name))
    monkeypatch.setattr(registry, "names", lambda group: names(group) + ["foreign"] * (group == "evaluators"))
    assert options(profile="full", evaluators={"foreign": {}})["foreign"]["profile"] == "linear"
