"""Attacks by name: those of plugins join the campaign, count steps of the profile, and are refused before any work."""

from dataclasses import dataclass
from importlib.metadata import EntryPoint

import pytest

from ganaudit import registry
from ganaudit.attacks.gradient import Pgd
from ganaudit.attacks.plugins import plugged


@dataclass(frozen=True)
class Lacking:
    id = "lacking"
    kind = "white-box"
    title = "Wants what is not there"

    def check(self):
        from ganaudit.document.errors import ConfigError

        raise ConfigError("lacking: package nothere cannot be imported; pip install nothere")


@dataclass(frozen=True)
class Demanding:
    strength: float
    id = "demanding"


@pytest.fixture
def registered(monkeypatch):
    def add(**classes):
        points = [EntryPoint(name, f"{__name__}:{cls.__name__}", "ganaudit.attacks") for name, cls in classes.items()]
        known = registry._points
        monkeypatch.setattr(registry, "_points", lambda kind: [*known(kind), *(points if kind == "attacks" else [])])

    return add


def test_steps_are_those_of_the_profile_where_there_are_steps():
    pgd, noise = plugged(["pgd", "random-noise"], 7)
    assert isinstance(pgd, Pgd)
    assert pgd.steps == 7
    assert noise.id == "random-noise"
    assert plugged([], 7) == []


def test_what_cannot_be_made_is_refused_with_words(registered):
    registered(lacking=Lacking, demanding=Demanding)
    with pytest.raises(ValueError, match=r"'foolbx-pgd' is unknown; .*foolbox-pgd"):
        plugged(["foolbx-pgd"], 1)
    with pytest.raises(ValueError, match="each once"):
        plugged(["pgd", "pgd"], 1)
    with pytest.raises(ValueError, match="pip install nothere"):
        plugged(["lacking"], 1)
    with pytest.raises(ValueError, match=r"without options: .*strength"):
        plugged(["demanding"], 1)


def test_every_registered_attack_of_ours_can_be_made():
    names = [name for name in registry.names("attacks") if not name.startswith("foolbox")]
    made = plugged(names, 3)
    assert [one.id for one in made] == names
