"""What reads subjects: a plugin that does not is told and passed over."""

import logging

import pytest

from ganaudit import registry
from ganaudit.auditing.loaders import subject_loaders


def broken() -> None:
    raise RuntimeError("it broke")


class Half:
    id = "half"
    formats = "half a loader"

    def accepts(self, path) -> bool:
        return False


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (broken, "cannot be called: it broke"),
        (lambda: None, "makes no loader: None lacks id, formats, accepts, load"),
        (Half, "lacks load"),
        (7, "7 cannot be called"),
    ],
)
def test_a_plugin_that_is_no_loader_is_passed_over(monkeypatch, caplog, build, told) -> None:
    names, find = registry.names, registry.find
    whole = [loader.id for loader in subject_loaders()]
    monkeypatch.setattr(registry, "names", lambda kind: [*names(kind), "extra"])
    monkeypatch.setattr(registry, "find", lambda kind, name: build if name == "extra" else find(kind, name))
    with caplog.at_level(logging.WARNING, "ganaudit"):
        assert [loader.id for loader in subject_loaders()] == whole
    assert told in caplog.text
