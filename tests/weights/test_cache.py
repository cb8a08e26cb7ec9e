"""The cache uses a file only while it is the one it should be."""

import errno
import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from ganaudit.document.errors import WeightsError
from ganaudit.weights import cache as cache_module
from ganaudit.weights import files
from ganaudit.weights.cache import WeightsCache, resolve
from ganaudit.weights.manifest import Entry, known, parse

from .conftest import CONTENT, ENTRY, SHA256

OTHER = b"other bytes" * 1000


def sha(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def hashings(monkeypatch):
    """The files that were hashed, in order."""
    done = []

    def counted(path):
        done.append(path.name)
        return files.hashed(path)

    monkeypatch.setattr(cache_module, "hashed", counted)
    return done


# --- the manifest


def test_every_entry_of_the_manifest_is_whole_and_named_once():
    entries = known()
    assert len(entries) >= 8
    for field in ("sha256", "url", "file"):
        assert len({getattr(e, field) for e in entries.values()}) == len(entries)
    for name, entry in entries.items():
        assert entry.name == name
        assert entry.url.endswith("/" + entry.file)
        assert entry.licence
        assert entry.purpose


def test_hashes_of_the_manifest_agree_with_what_others_ship():
    """OpenAI's hash stands in the URL, torchvision's first digits in the file name; torch-fidelity knows CLIP's too."""
    from torch_fidelity.feature_extractor_clip import MODEL_METADATA
    from torchvision import models

    for name, entry in known().items():
        if name.startswith("clip-"):
            assert entry.sha256 == MODEL_METADATA[name]["hash"]
            assert entry.sha256 in entry.url
        elif "pytorch.org" in entry.url:
            weights = models.get_model_weights(name.replace("-", "_")).IMAGENET1K_V1
            assert weights.url == entry.url
            assert weights.meta["_file_size"] == pytest.approx(entry.size / 2**20, abs=1e-3)
        if ("-" in entry.file and "pytorch.org" in entry.url) or name == "inception-v3":
            assert entry.sha256.startswith(Path(entry.file).stem.rpartition("-")[2])


@pytest.mark.parametrize(
    "broken",
    [
        'file = "../w.pth"',
        'file = "/w.pth"',
        'file = ".pth"',
        'sha256 = "6726825d"',
        'url = "http://weights.invalid/w.pth"',
        "size = 0",
        'also = ["a/b"]',
    ],
)
def test_a_malformed_manifest_is_not_read(broken):
    fields = {
        "file": '"w.pth"', "size": "1", "sha256": f'"{SHA256}"', "url": '"https://weights.invalid/w"',
        "licence": '"MIT"', "purpose": '"p"',
    }  # fmt: skip
    parse("[a]\n" + "\n".join(f"{k} = {v}" for k, v in fields.items()))
    key, _, value = broken.partition(" = ")
    with pytest.raises(ValueError, match="'a' is not well formed"):
        parse("[a]\n" + "\n".join(f"{k} = {v}" for k, v in (fields | {key: value}).items()))


# --- adding


def test_a_known_file_is_recognised_by_its_hash_whatever_it_is_called(cache, good):
    held = cache.add(good)
    assert (held.name, held.state) == ("net", "verified")
    assert held.path == cache.root / "net" / "net-published.pth"
    assert held.path.read_bytes() == CONTENT
    assert good.exists()
    assert cache.resolve("net") == held.path
    assert sorted(p.name for p in held.path.parent.iterdir()) == ["net-published.pth", "record.json"]
    assert json.loads((held.path.parent / "record.json").read_text())["origin"] == str(good)


@pytest.mark.parametrize(("file", "name"), [("net-published.pth", None), ("net-elsewhere.pth", None), ("x.pth", "net")])
def test_a_wrong_file_is_refused_with_both_hashes(cache, tmp_path, file, name):
    path = tmp_path / file
    path.write_bytes(OTHER)
    with pytest.raises(WeightsError) as caught:
        cache.add(path, name=name)
    for told in (str(path), "net", f"found     {sha(OTHER)}", f"expected  {SHA256}"):
        assert told in str(caught.value)
    assert not cache.root.exists()
    assert cache.resolve("net") is None


def test_an_unknown_file_needs_a_name_and_keeps_its_own_hash(cache, tmp_path):
    path = tmp_path / "mine.safetensors"
    path.write_bytes(OTHER)
    with pytest.raises(WeightsError, match=f"neither its name nor its sha256 {sha(OTHER)} is known; .*--name NAME"):
        cache.add(path)
    held = cache.add(path, name="mine")
    assert (held.state, held.entry, held.path.name) == ("verified", None, "mine.safetensors")
    assert held.record.sha256 == held.expected == sha(OTHER)
    assert cache.names() == ["net", "mine"]
    cache.add(path, name="mine")  # the same again


def test_a_name_of_its_own_is_not_taken_over_unasked(cache, tmp_path):
    first, second = tmp_path / "a.pt", tmp_path / "b.safetensors"
    first.write_bytes(b"a")
    second.write_bytes(b"b")
    cache.add(first, name="mine")
    with pytest.raises(WeightsError, match=f"taken by another file .sha256 {sha(b'a')}.*--replace"):
        cache.add(second, name="mine")
    held = cache.add(second, name="mine", replace=True)
    assert cache.resolve("mine").read_bytes() == b"b"
    assert sorted(p.name for p in held.path.parent.iterdir()) == ["mine.safetensors", "record.json"]


def test_a_hash_may_be_demanded(cache, tmp_path, good):
    path = tmp_path / "mine.pt"
    path.write_bytes(OTHER)
    with pytest.raises(WeightsError, match=f"found     {sha(OTHER)}\n  sha256 expected  {SHA256}"):
        cache.add(path, name="mine", sha256=SHA256)
    with pytest.raises(WeightsError, match="64 hexadecimal digits; found 8 characters"):
        cache.add(path, name="mine", sha256="6726825d")
    assert cache.add(path, name="mine", sha256=f"sha256:{sha(OTHER).upper()}").state == "verified"
    with pytest.raises(WeightsError, match=f"is not net:\n  sha256 found     {SHA256}"):
        cache.add(good, name="net", sha256=sha(OTHER))


@pytest.mark.parametrize("name", ["", "..", ".", "a/b", "../net", "Net", "a" * 65, "net\n", "a.", "-a", "a b"])
def test_names_that_could_be_paths_are_refused(cache, good, name):
    with pytest.raises(WeightsError, match=r"weights name .*: allowed are 1 to 64 lower case letters"):
        cache.add(good, name=name)
    with pytest.raises(WeightsError, match="weights name"):
        cache.resolve(name)


def test_what_is_no_file_is_told(cache, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, told in ((tmp_path / "none", "no such file"), (tmp_path, "not a regular"), (tmp_path / "pipe", "not a")):
        with pytest.raises(WeightsError, match=told):
            cache.add(path, name="mine")


# --- converting


def reversed_bytes(source, target):
    target.write_bytes(source.read_bytes()[::-1])


def test_a_converted_file_stands_for_the_published_one(cache, good, hashings):
    held = cache.add(good, convert=reversed_bytes)
    assert (held.path.name, held.state) == ("net-published.safetensors", "verified")
    assert held.record.converted_from == SHA256
    assert held.expected == sha(CONTENT[::-1])
    del hashings[:]
    assert cache.resolve("net") == held.path
    assert hashings == []
    os.utime(held.path)
    assert cache.resolve("net") == held.path
    assert hashings == ["net-published.safetensors"]
    assert cache.held("net").record.converted_from == SHA256
    # The published file takes its place again, and the other way round.
    cache.add(good)
    assert sorted(p.name for p in held.path.parent.iterdir()) == ["net-published.pth", "record.json"]
    cache.add(good, convert=reversed_bytes)
    assert sorted(p.name for p in held.path.parent.iterdir()) == ["net-published.safetensors", "record.json"]


def test_a_wrong_file_is_never_given_to_the_converter(cache, tmp_path):
    path = tmp_path / "x.pth"
    path.write_bytes(OTHER)
    with pytest.raises(WeightsError, match="expected"):
        cache.add(path, name="net", convert=lambda source, target: pytest.fail("it was read"))


def test_a_failed_conversion_leaves_nothing(cache, good):
    def fail(source, target):
        target.write_bytes(b"half")
        raise WeightsError("no tensors")

    with pytest.raises(WeightsError, match="no tensors"):
        cache.add(good, convert=fail)
    assert list((cache.root / "net").iterdir()) == []


# --- using


def test_an_untouched_file_is_not_hashed_again(cache, good, hashings):
    path = cache.add(good).path
    del hashings[:]
    for _ in range(3):
        assert cache.resolve("net") == path
        assert WeightsCache(cache.root, cache.entries).held("net").state == "verified"
    assert hashings == []


def test_a_touched_file_is_hashed_once_more(cache, good, hashings):
    path = cache.add(good).path
    del hashings[:]
    os.utime(path, ns=(1, 1))
    assert cache.held("net").state == "unchecked"
    assert cache.resolve("net") == cache.resolve("net") == path
    assert hashings == ["net-published.pth"]


@pytest.mark.parametrize("own", [False, True])
def test_a_changed_file_is_refused_with_both_hashes(cache, good, own):
    name = "mine" if own else "net"
    path = cache.add(good, name=name).path
    path.write_bytes(OTHER)
    for _ in range(2):
        with pytest.raises(WeightsError) as caught:
            cache.resolve(name)
        for told in (str(path), f"is not {name}", f"found     {sha(OTHER)}", f"expected  {SHA256}"):
            assert told in str(caught.value)
    path.write_bytes(CONTENT)
    assert cache.resolve(name) == path


def test_a_change_that_kept_size_and_time_is_found_by_verify_and_then_refused(cache, good):
    path = cache.add(good).path
    before = path.stat()
    flipped = bytearray(CONTENT)
    flipped[1000] ^= 1
    path.write_bytes(flipped)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert cache.resolve("net") == path  # what size and time cannot tell
    held = cache.verify("net")
    assert (held.state, held.record.sha256, held.expected) == ("wrong", sha(bytes(flipped)), SHA256)
    with pytest.raises(WeightsError, match="is not net"):
        cache.resolve("net")


@pytest.mark.parametrize("file", ["net-published.pth", "net-elsewhere.pth"])
def test_a_file_laid_there_by_hand_is_hashed_before_it_is_used(cache, file):
    folder = cache.root / "net"
    folder.mkdir(parents=True)
    (folder / file).write_bytes(CONTENT)
    assert cache.held("net").state == "unchecked"
    assert cache.resolve("net") == folder / file
    assert cache.held("net").state == "verified"
    (folder / "record.json").unlink()
    (folder / file).write_bytes(OTHER)
    with pytest.raises(WeightsError, match=f"found     {sha(OTHER)}"):
        cache.resolve("net")


@pytest.mark.parametrize(
    "record", ["", "{}", "[]", "{", '{"file": "../../x", "sha256": "0", "size": 0, "mtime_ns": 0}']
)
def test_a_broken_record_counts_as_none(cache, good, record):
    path = cache.add(good).path
    (path.parent / "record.json").write_text(record)
    assert cache.held("net").state == "unchecked"
    assert cache.resolve("net") == path
    own = cache.add(good, name="mine").path
    (own.parent / "record.json").write_text(record)
    assert cache.resolve("mine") is None  # without its hash nobody knows what it should be


def test_a_record_of_another_hash_does_not_outdo_the_manifest(cache, tmp_path):
    """A record that says a wrong file is fine: the manifest is asked all the same."""
    path = tmp_path / "x.pth"
    path.write_bytes(OTHER)
    WeightsCache(cache.root, {}).add(path, name="net")
    assert cache.held("net").state == "wrong"
    with pytest.raises(WeightsError, match=f"expected  {SHA256}"):
        cache.resolve("net")


def test_absent_files_resolve_to_nothing(cache):
    assert cache.resolve("net") is None
    assert cache.resolve("never-heard-of") is None
    assert cache.verify("net").state == "absent"
    assert resolve("inception-v3") is None  # the tests' own cache is empty


# --- disks


class Usage:
    free = 12_345


def test_a_full_disk_is_told_before_anything_is_written(cache, good, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage)
    with pytest.raises(WeightsError) as caught:
        cache.add(good)
    for told in (
        "needs 300.0 kB (300000 bytes)",
        str(cache.root / "net"),
        "12.3 kB (12345 bytes) free",
        "GANAUDIT_CACHE",
    ):
        assert told in str(caught.value)
    assert list((cache.root / "net").iterdir()) == []


def test_a_disk_that_fills_while_writing_leaves_nothing(cache, good, monkeypatch):
    def full(source, target, length):
        target.write(source.read(1000))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(WeightsError, match=r"needs 300.0 kB .* free; make room"):
        cache.add(good)
    assert list((cache.root / "net").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_told(tmp_path, good):
    (tmp_path / "file").write_text("")
    with pytest.raises(WeightsError, match="cannot be written: Not a directory"):
        WeightsCache(tmp_path / "file", {"net": ENTRY}).add(good)


def test_a_file_that_changes_while_it_is_read_is_told(tmp_path, monkeypatch):
    path = tmp_path / "w"
    path.write_bytes(CONTENT)
    digest = hashlib.file_digest

    def slowly(file, how):
        found = digest(file, how)
        path.write_bytes(OTHER)
        return found

    monkeypatch.setattr(hashlib, "file_digest", slowly)
    with pytest.raises(WeightsError, match="was changed while it was read"):
        files.hashed(path)


def test_entries_are_frozen():
    with pytest.raises(AttributeError):
        ENTRY.sha256 = "0" * 64
    assert isinstance(ENTRY, Entry)
