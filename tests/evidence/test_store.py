"""The store: whole entries or none, under every kind of harm."""

import json
import subprocess
import sys
import threading

import pytest
import torch

from ganaudit.evidence.store import Store, digest_of

KEY = {"node": "fake", "seed": 3, "nested": {"b": 1, "a": [1, 2]}}
TENSORS = {"features": torch.arange(12.0).reshape(4, 3), "scores": torch.arange(4, dtype=torch.float64)}


def equal(found):
    return (
        found is not None
        and found.keys() == TENSORS.keys()
        and all(torch.equal(found[name], value) and found[name].dtype == value.dtype for name, value in TENSORS.items())
    )


def entry(store):
    (path,) = store.root.rglob("*.safetensors")
    return path


def test_what_is_kept_is_found_again(tmp_path):
    store = Store(tmp_path)
    assert store.read(KEY) is None
    store.write(KEY, TENSORS)
    assert equal(store.read(KEY))
    assert (store.hits, store.misses, store.problem) == (1, 1, None)
    assert equal(Store(tmp_path).read(KEY))
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [entry(store)]


def test_a_key_is_all_of_its_fields_in_any_order():
    turned = {"nested": {"a": [1, 2], "b": 1}, "seed": 3, "node": "fake"}
    assert digest_of(turned) == digest_of(KEY)
    for change in ({"seed": 4}, {"node": "real"}, {"nested": {"a": [2, 1], "b": 1}}, {"more": None}):
        assert digest_of(KEY | change) != digest_of(KEY)
    with pytest.raises(ValueError, match="JSON"):
        digest_of({"seed": float("nan")})


def test_rows_that_are_not_contiguous_are_kept_as_they_read(tmp_path):
    store = Store(tmp_path)
    turned = torch.arange(12.0).reshape(3, 4).T
    store.write(KEY, {"features": turned})
    assert torch.equal(store.read(KEY)["features"], turned)


@pytest.mark.parametrize("harm", ["emptied", "truncated", "header", "flipped", "foreign", "folder"])
def test_a_damaged_entry_is_absent_and_written_anew(tmp_path, harm):
    store = Store(tmp_path)
    store.write(KEY, TENSORS)
    path = entry(store)
    content = bytearray(path.read_bytes())
    if harm == "emptied":
        path.write_bytes(b"")
    elif harm == "truncated":
        path.write_bytes(content[:-1])
    elif harm == "header":
        path.write_bytes(b"\xff" * len(content))
    elif harm == "flipped":
        content[-1] ^= 1  # one bit of one number
        path.write_bytes(content)
    elif harm == "foreign":
        from safetensors.torch import save

        path.write_bytes(save(TENSORS))
    else:
        path.unlink()
        path.mkdir()
    assert store.read(KEY) is None
    assert store.misses == 1
    if harm == "folder":
        store.write(KEY, TENSORS)
        assert "cannot write" in store.problem
        return
    store.write(KEY, TENSORS)
    assert equal(store.read(KEY))
    assert store.problem is None


def test_without_a_root_nothing_is_kept():
    store = Store(None)
    store.write(KEY, TENSORS)
    assert store.read(KEY) is None
    assert (store.hits, store.misses) == (0, 1)


def test_a_root_that_cannot_be_written_is_told_and_not_fatal(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    store = Store(tmp_path / "file" / "sub")
    assert store.read(KEY) is None
    store.write(KEY, TENSORS)
    assert "cannot write" in store.problem
    assert str(tmp_path / "file") in store.problem


def test_many_threads_write_one_key(tmp_path):
    found, errors = [], []

    def work():
        store = Store(tmp_path)
        try:
            for _ in range(20):
                store.write(KEY, TENSORS)
                found.append(equal(store.read(KEY)))
            assert store.problem is None
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert found == [True] * 80
    assert len(list(tmp_path.rglob("*.safetensors"))) == 1
    assert [p for p in tmp_path.rglob(".*") if p.is_file()] == []


def test_a_writer_that_is_killed_leaves_a_whole_entry_or_none(tmp_path):
    code = """
import json, sys
from pathlib import Path
from tests.evidence.test_store import KEY, TENSORS, Store
store = Store(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    store.write(KEY, TENSORS)
"""
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    store = Store(tmp_path)
    seen = [store.read(KEY) for _ in range(200)]
    for writer in writers:
        writer.kill()
        writer.wait()
        writer.stdout.close()
    assert all(found is None or equal(found) for found in seen)
    assert store.read(KEY) is None or equal(store.read(KEY))
    store.write(KEY, TENSORS)
    assert equal(store.read(KEY))


def test_an_entry_tells_what_it_is(tmp_path):
    store = Store(tmp_path)
    store.write(KEY, TENSORS)
    content = entry(store).read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert json.loads(header["__metadata__"]["key"]) == KEY
