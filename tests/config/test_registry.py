"""The registry: lists without importing, finds by name, and survives broken plugins."""

import json
import subprocess
import sys

import pytest

from ganaudit import registry
from ganaudit.document.errors import ConfigError, PluginError


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Install a distribution that is nothing but metadata and one module into a folder on sys.path."""

    def install(points, last=False, **modules):
        info = tmp_path / "brought-1.0.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: brought\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(points)
        for name, source in modules.items():
            (tmp_path / f"{name}.py").write_text(source)
        if last:
            monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
        else:
            monkeypatch.syspath_prepend(tmp_path)
        for name in modules:
            monkeypatch.delitem(sys.modules, name, raising=False)

    return install


@pytest.mark.parametrize("kind", list(registry.KINDS))
def test_everything_that_comes_with_ganaudit_is_listed_with_a_summary(kind):
    entries = [entry for entry in registry.entries(kind) if entry.origin == "ganaudit"]
    assert entries
    for entry in entries:
        assert entry.summary.endswith("."), entry
        assert entry.kind == kind
    assert registry.names(kind) == sorted(registry.names(kind))
    assert {entry.name for entry in entries} <= set(registry.names(kind))


def test_listing_and_planning_import_no_torch():
    code = """
import json, sys
from ganaudit import registry
from ganaudit.config import load_plan
from ganaudit.document import files, judge, policy, schema, spec
listed = {kind: len(registry.entries(kind)) for kind in registry.KINDS}
load_plan(None, {}, registry.names("evaluators"))
heavy = {"torch", "torchvision", "sklearn", "scipy", "numpy", "ganaudit.evaluators.frechet_distance"}
print(json.dumps({"listed": listed, "loaded": sorted(heavy & set(sys.modules))}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    assert answer["loaded"] == []
    assert all(answer["listed"].values())


@pytest.mark.parametrize(
    ("kind", "name", "found"),
    [("evaluators", "frechet-distance", "FrechetDistance"), ("extractors", "pixels", "Pixels")],
)
def test_a_name_finds_its_object(kind, name, found):
    assert registry.find(kind, name).__name__ == found


def test_an_unknown_name_is_told_with_the_nearest():
    with pytest.raises(ConfigError, match="evaluator 'frechet': unknown; nearest: frechet-distance"):
        registry.find("evaluators", "frechet")


def test_a_plugin_is_listed_unread_and_found(plugin):
    source = '"""Asks a new question.\n\nAt length.\n"""\n\nclass New:\n    pass\n'
    plugin("[ganaudit.evaluators]\nnew-one = brought_good:New\n", brought_good=source)
    (entry,) = [e for e in registry.entries("evaluators") if e.name == "new-one"]
    assert (entry.origin, entry.summary) == ("brought", "Asks a new question.")
    assert "brought_good" not in sys.modules
    assert registry.find("evaluators", "new-one").__name__ == "New"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import a_module_that_is_not_there\n", "a_module_that_is_not_there"),
        ("x = 1\n", "has no attribute 'New'"),
        ("class New(:\n", "invalid syntax"),
        ("raise RuntimeError('it broke')\n", "it broke"),
        ("1 / 0\n", "division by zero"),
    ],
)
def test_a_broken_plugin_is_told_by_name_and_origin(plugin, source, told):
    plugin("[ganaudit.evaluators]\nbroken = brought_bad:New\n", brought_bad=source)
    assert "broken" in registry.names("evaluators")
    with pytest.raises(PluginError) as caught:
        registry.find("evaluators", "broken")
    message = str(caught.value)
    assert "evaluator 'broken' of brought: brought_bad:New cannot be imported" in message
    assert told in message
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("points", "modules"),
    [
        ("broken = nowhere_at_all:New", {}),
        ("broken = nowhere_at_all.below:New", {}),
        ("broken = brought_bad:New", {"brought_bad": "class New(:\n"}),
        ("broken = brought_bad.below:New", {"brought_bad": "raise RuntimeError('it broke')\n"}),
    ],
)
def test_a_broken_plugin_does_not_break_the_list(plugin, points, modules):
    plugin(f"[ganaudit.evaluators]\n{points}\n", **modules)
    entries = registry.entries("evaluators")
    assert [e.summary for e in entries if e.name == "broken"] == ["(cannot be read)"]
    assert "frechet-distance" in [e.name for e in entries]


@pytest.mark.parametrize("last", [False, True], ids=["found-first", "found-last"])
def test_a_plugin_cannot_take_the_name_of_what_is_built_in(plugin, last):
    points = "[ganaudit.evaluators]\nfrechet-distance = brought_evil:Evil\nevil = brought_evil:Evil\n"
    plugin(points, last, brought_evil="class Evil: pass\n")
    assert registry.find("evaluators", "evil").__name__ == "Evil"
    assert registry.find("evaluators", "frechet-distance").__name__ == "FrechetDistance"
    assert registry.names("evaluators").count("frechet-distance") == 1
