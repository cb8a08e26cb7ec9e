"""Where reference models and the cache lie."""

from pathlib import Path

from ganaudit import locations


def test_reference_models_are_found_by_name():
    models = locations.reference_models()
    assert "digits" in models
    for name, folder in models.items():
        assert folder.name == name
        assert (folder / "subject.toml").is_file() or (folder / "train.toml").is_file()
        assert locations.reference_model(name) == folder
    assert locations.reference_model("digit") is None


def test_a_wheel_carries_its_models_and_they_come_first(tmp_path, monkeypatch):
    package, beside = tmp_path / "ganaudit" / "reference_models", tmp_path / "reference_models"
    for folder in (package / "digits", beside / "digits", beside / "other", beside / "notes"):
        folder.mkdir(parents=True)
    for folder in (package / "digits", beside / "digits", beside / "other"):
        (folder / "subject.toml").write_text("")
    monkeypatch.setattr(locations, "__file__", str(tmp_path / "ganaudit" / "locations.py"))
    assert locations.reference_models() == {"digits": package / "digits", "other": beside / "other"}


def test_the_cache_is_the_users_unless_said_otherwise(tmp_path, monkeypatch):
    monkeypatch.setenv("GANAUDIT_CACHE", str(tmp_path))
    assert locations.cache_dir() == tmp_path
    monkeypatch.setenv("GANAUDIT_CACHE", "")
    assert locations.cache_dir().name == "ganaudit"
    assert locations.cache_dir() != Path()
