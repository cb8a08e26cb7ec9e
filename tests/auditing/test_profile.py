"""A profile that is given sets how much is spent on attacks; one that is not leaves that to each evaluator."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import pytest

from ganaudit import registry
from ganaudit.auditing.setting import settle
from ganaudit.config import load_plan, make_plan
from ganaudit.document.errors import ConfigError
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


def test_a_rate_given_for_detection_is_that_of_every_threshold():
    others = (ATTACKS, "threshold-transfer", "certified-robustness", "latent-robustness", "detection-by-group")
    given = {"discriminator-detection": {"fpr": 0.2}, **{name: {} for name in others}}
    found = options(evaluators=given)
    assert {name: found[name]["fpr"] for name in others} == dict.fromkeys(others, 0.2)
    given[ATTACKS] = {"fpr": 0.1}
    assert options(evaluators=given)[ATTACKS]["fpr"] == 0.1
    assert options(evaluators={ATTACKS: {}})[ATTACKS]["fpr"] == 0.05


def test_a_rate_in_the_file_holds_also_where_the_command_names_other_evaluators(tmp_path):
    (tmp_path / "audit.toml").write_text('subject = "digits"\n[evaluators.discriminator-detection]\nfpr = 0.1\n')
    plan = load_plan(tmp_path / "audit.toml", {"evaluators": {ATTACKS: {}}}, registry.names("evaluators"))
    found = settle(plan, None, None, Silent()).options
    assert list(found) == [ATTACKS]
    assert found[ATTACKS]["fpr"] == 0.1


def test_what_describes_an_evaluator_is_no_option_of_it():
    with pytest.raises(ConfigError, match=r"spec: unknown option; .*allowed: attacks, budgets, fpr, norm, profile"):
        options(evaluators={ATTACKS: {"spec": "x"}})


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
