"""The store: whole entries or none, under every kind of harm; and chunks that outlive the run that made them."""

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
import threading
import time

import pytest
import torch
from safetensors.torch import load_file, save

from ganaudit.data.storage import size_words
from ganaudit.document.errors import OutputError
from ganaudit.evidence import store as module
from ganaudit.evidence.rows import Column
from ganaudit.evidence.store import Store, digest_of

KEY = {"node": "fake", "seed": 3, "nested": {"b": 1, "a": [1, 2]}}
TENSORS = {
    "features": torch.arange(1.0, 16.0).reshape(5, 3),
    "labels": torch.arange(5),
    "pixels": torch.arange(5, dtype=torch.uint8),
    "scores": torch.arange(5, dtype=torch.float64) / 7,
}
COLUMNS = [Column.of(name, value) for name, value in TENSORS.items()]
N, CHUNK = 5, 2


def begun(store, chunk=CHUNK):
    return store.entry(KEY, COLUMNS, N, chunk)


def part(number, chunk=CHUNK):
    return {name: value[number * chunk : (number + 1) * chunk] for name, value in TENSORS.items()}


def fill(entry, chunk=CHUNK):
    """Fill what is missing and return which chunks that were."""
    missing = [i for i in range(-(-N // chunk)) if not entry.has(i)]
    for number in missing:
        entry.write(number, part(number, chunk))
    return missing


def write(store, chunk=CHUNK):
    entry = begun(store, chunk)
    if entry is not None:
        fill(entry, chunk)
        entry.finish()


def read(store):
    return store.read(KEY, COLUMNS, N)


def equal(found):
    return (
        found is not None
        and found.keys() == TENSORS.keys()
        and all(torch.equal(found[k].tensor, v) and found[k].tensor.dtype == v.dtype for k, v in TENSORS.items())
    )


def entry_file(store):
    (path,) = store.root.rglob("*.safetensors")
    return path


def journal(store):
    (path,) = store.root.rglob("*.journal")
    return path


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1  # one bit of one number
    path.write_bytes(content)


# --- what is kept


def test_what_is_kept_is_found_again(tmp_path):
    store = Store(tmp_path)
    assert read(store) is None
    entry = begun(store)
    assert fill(entry) == [0, 1, 2]
    assert equal(entry.finish())
    assert equal(read(store))
    assert (store.hits, store.misses, store.problem) == (1, 1, None)
    assert equal(read(Store(tmp_path)))
    assert {p for p in tmp_path.rglob("*") if p.is_file()} == {entry_file(store), journal(store)}


def test_an_entry_is_a_safetensors_file_that_tells_what_it_is(tmp_path):
    store = Store(tmp_path)
    write(store)
    found = load_file(entry_file(store))
    assert found.keys() == TENSORS.keys()
    assert all(torch.equal(found[name], value) for name, value in TENSORS.items())
    content = entry_file(store).read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert json.loads(header["__metadata__"]["key"]) == KEY
    assert entry_file(store) == store.path(KEY)


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
    entry = store.entry(KEY, [Column("features", torch.float32, (3,))], 4, 4)
    entry.write(0, {"features": turned})
    assert torch.equal(entry.finish()["features"].tensor, turned)


@pytest.mark.parametrize(
    ("columns", "n"),
    [(COLUMNS, 4), (COLUMNS, 6), (COLUMNS[:3], N), ([*COLUMNS[:3], Column("scores", torch.int64, ())], N)],
)
def test_what_is_not_of_the_form_asked_for_is_absent(tmp_path, columns, n):
    store = Store(tmp_path)
    write(store)
    assert store.read(KEY, columns, n) is None
    assert equal(store.read(KEY, COLUMNS[::-1], N))  # the order in which columns are named is none of their form


# --- harm


def _with_wider_header(content):
    size = int.from_bytes(content[:8], "little")
    return (size + 64).to_bytes(8, "little") + content[8 : 8 + size] + b" " * 64 + content[8 + size :]


HARM = {
    "emptied": lambda content: b"",
    "truncated": lambda content: content[:-1],
    "longer": lambda content: content + b"\0",
    "header": lambda content: b"\xff" * len(content),
    "header of another size": _with_wider_header,
    "renamed column": lambda content: content.replace(b'"features"', b'"geatures"'),
    "foreign": lambda content: save(TENSORS),
    "last byte": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
}
HARM_OF_JOURNAL = {
    "foreign": lambda content: b"\x89PNG\r\n",
    "emptied": lambda content: b"",
    "cut short": lambda content: content[:-9],
    "first lines lost": lambda content: content[content.rindex(b"\n") :],
    "another chunk's digest": lambda content: content.replace(b'"chunk": 0', b'"chunk": 3'),
}


@pytest.mark.parametrize(
    "harm", [*HARM, *(f"journal {name}" for name in HARM_OF_JOURNAL), "file deleted", "no journal"]
)
def test_a_damaged_entry_is_absent_and_written_anew(tmp_path, harm):
    store = Store(tmp_path)
    write(store)
    whole = entry_file(store).read_bytes()
    if harm in HARM:
        entry_file(store).write_bytes(HARM[harm](whole))
    elif harm == "file deleted":
        entry_file(store).unlink()
    elif harm == "no journal":
        journal(store).unlink()
    else:
        journal(store).write_bytes(HARM_OF_JOURNAL[harm.removeprefix("journal ")](journal(store).read_bytes()))
    assert read(store) is None
    assert store.misses == 1
    entry = begun(store)
    assert fill(entry) == [0, 1, 2]  # the file is a new one, whatever the journal says
    entry.finish()
    assert equal(read(store))
    assert entry_file(store).read_bytes() == whole
    assert store.problem is None


def test_no_byte_changes_unseen(tmp_path):
    store = Store(tmp_path)
    write(store)
    for place in range(entry_file(store).stat().st_size):
        flip(entry_file(store), place)
        assert read(store) is None, place
        flip(entry_file(store), place)
    assert equal(read(store))


def test_a_folder_in_the_way_is_told_and_not_fatal(tmp_path):
    store = Store(tmp_path)
    store.path(KEY).mkdir(parents=True)
    assert read(store) is None
    assert begun(store) is None
    assert "cannot write" in store.problem
    assert "a folder of this name" in store.problem


def test_without_a_root_nothing_is_kept():
    store = Store(None)
    assert begun(store) is None
    assert read(store) is None
    assert (store.hits, store.misses, store.problem) == (0, 1, None)


def test_a_root_that_cannot_be_written_is_told_and_not_fatal(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    store = Store(tmp_path / "file" / "sub")
    assert read(store) is None
    assert begun(store) is None
    assert "cannot write" in store.problem
    assert str(tmp_path / "file") in store.problem


# --- entries that are not finished


def test_an_entry_goes_on_where_it_was(tmp_path):
    store = Store(tmp_path)
    first = begun(store)
    first.write(1, part(1))
    first.write(2, part(2))
    assert read(store) is None  # not under its name before all is there
    first.close()
    again = begun(store)
    assert [again.has(i) for i in range(3)] == [False, True, True]
    for number in (1, 2):
        assert all(torch.equal(rows, part(number)[name]) for name, rows in again.read(number).items())
    assert fill(again) == [0]
    assert equal(again.finish())
    assert list(tmp_path.rglob("*.partial")) == []


@pytest.mark.parametrize("harm", ["flipped", "journal cut short", "header", "size", "emptied", "no journal"])
def test_a_chunk_whose_bytes_are_not_the_noted_ones_is_absent(tmp_path, harm):
    store = Store(tmp_path)
    entry = begun(store)
    entry.write(0, part(0))
    entry.write(1, part(1))
    entry.close()
    (partial,) = tmp_path.rglob("*.partial")
    if harm == "flipped":
        place = partial.read_bytes().index(TENSORS["features"][2].numpy().tobytes())  # row 2 is of chunk 1
        flip(partial, place)
    elif harm == "journal cut short":
        journal(store).write_bytes(journal(store).read_bytes()[:-1])
    elif harm == "header":
        flip(partial, 20)
    elif harm == "size":
        partial.write_bytes(partial.read_bytes() + b"\0")
    elif harm == "emptied":
        partial.write_bytes(b"")
    else:
        journal(store).unlink()
    again = begun(store)
    left = {"flipped": [1, 2], "journal cut short": [1, 2]}.get(harm, [0, 1, 2])
    assert fill(again) == left
    again.finish()
    # Also the line that follows one cut short is read.
    assert equal(read(store))


@pytest.mark.parametrize(
    "noise",
    [
        b"", b"\n\n", b"null", b"[]", b"3", b'{"chunk": 0}', b"\xff\xfe", b'{"chunk": 1e400, "rows": 2, "sha256": ""}',
        b'{"chunk": -1, "rows": 2, "sha256": ""}', b'{"chunk": 0, "rows": 0, "sha256": ""}', b"[" * 10**6,
        b'{"chunk": true, "rows": 2, "sha256": ""}', b'{"chunk": 0, "rows": -2, "sha256": ""}',
        b'{"chunk": %d, "rows": 2, "sha256": ""}' % 10**30, b'{"chunk": 0, "rows": %d, "sha256": null}' % 10**30,
    ],
)  # fmt: skip
def test_a_journal_may_say_anything(tmp_path, noise):
    store = Store(tmp_path)
    entry = begun(store)
    entry.write(0, part(0))
    entry.close()
    with journal(store).open("ab") as file:
        file.write(b"\n" + noise)
    again = begun(store)
    assert fill(again) == [1, 2]
    again.finish()
    assert equal(read(store))


def test_another_chunk_size_begins_anew_and_ends_in_the_same_bytes(tmp_path):
    (tmp_path / "other").mkdir()
    write(Store(tmp_path / "other"))
    store = Store(tmp_path)
    begun(store).write(0, part(0))
    entry = begun(store, 3)
    assert not entry.has(0)
    fill(entry, 3)
    assert equal(entry.finish())
    assert equal(read(store))
    assert store.path(KEY).read_bytes() == entry_file(Store(tmp_path / "other")).read_bytes()


def test_two_writers_with_other_chunk_sizes_do_not_spoil_the_journal_of_each_other(tmp_path):
    store = Store(tmp_path)
    one, two = begun(store, 2), begun(store, 3)
    one.write(0, part(0, 2))
    two.write(0, part(0, 3))
    two.write(1, part(1, 3))
    one.write(1, part(1, 2))
    assert equal(two.finish())
    assert equal(read(store))
    one.write(2, part(2, 2))
    assert equal(one.finish())
    assert equal(read(store))


def test_zeros_that_were_written_count_and_zeros_that_were_not_do_not(tmp_path):
    store = Store(tmp_path)
    columns = [Column("features", torch.float32, (3,))]
    entry = store.entry(KEY, columns, 4, 2)
    entry.write(1, {"features": torch.zeros(2, 3)})
    entry.close()
    again = store.entry(KEY, columns, 4, 2)
    assert [again.has(0), again.has(1)] == [False, True]


def test_what_a_third_has_begun_is_never_taken_for_finished(tmp_path):
    store = Store(tmp_path)
    one, two = begun(store), begun(store)
    fill(one)
    one.finish()
    third = begun(store)  # the file of both has its final name by now, so this one is new
    fill(two)
    assert equal(two.finish())
    assert equal(read(store))
    assert len(list(tmp_path.rglob("*.partial"))) == 1
    fill(third)
    assert equal(third.finish())
    assert list(tmp_path.rglob("*.partial")) == []


def test_a_file_that_is_finished_or_given_up_while_one_waits_for_it_is_not_taken(tmp_path, monkeypatch):
    store = Store(tmp_path)
    flock = fcntl.flock
    waits = []

    def flock_late(file, how):
        if how == fcntl.LOCK_EX and len(waits) < 3:
            (partial,) = tmp_path.rglob("*.partial")
            partial.unlink()
            waits.append(file)
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", flock_late)
    entry = begun(store)
    monkeypatch.undo()
    assert len(waits) == 3
    fill(entry)
    assert equal(entry.finish())
    assert equal(read(store))


def test_an_entry_that_is_taken_away_while_it_is_filled_is_told(tmp_path):
    store = Store(tmp_path / "store")
    entry = begun(store)
    entry.write(0, part(0))
    shutil.rmtree(tmp_path / "store")
    with pytest.raises(OutputError, match=r"cannot write .*the same command goes on"):
        entry.write(1, part(1))
    entry = begun(store)
    fill(entry)
    shutil.rmtree(tmp_path / "store")
    with pytest.raises(OutputError, match="cannot write"):
        entry.finish()


# --- the disk


@pytest.mark.parametrize("call", ["posix_fallocate", "ftruncate", "pwrite"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_stops_before_any_work_with_what_was_asked_and_what_is_free(tmp_path, monkeypatch, call, code):
    def full(*_):
        raise OSError(code, os.strerror(code))

    store = Store(tmp_path)
    monkeypatch.setattr(os, call, full)
    with pytest.raises(OutputError) as caught:
        store.entry(KEY, [Column("features", torch.float32, (2048,))], 50_000, 512)
    monkeypatch.undo()
    told = str(caught.value)
    assert "evidence needs 391 MiB in" in told  # 50000 * 2048 * 4 bytes
    assert str(tmp_path) in told
    assert f"where {size_words(shutil.disk_usage(tmp_path).free)[:2]}" in told
    assert os.strerror(code) in told
    assert "GANAUDIT_CACHE" in told
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []
    write(store)
    assert equal(read(store))


def test_a_disk_that_fills_up_in_the_middle_keeps_what_was_written(tmp_path, monkeypatch):
    store = Store(tmp_path)
    entry = begun(store)
    entry.write(0, part(0))

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OutputError, match=r"evidence needs .* are free .*the same command goes on with what was kept"):
        entry.write(1, part(1))
    entry.close()
    monkeypatch.undo()
    again = begun(store)
    assert fill(again) == [1, 2]
    assert equal(again.finish())


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.EINVAL])
def test_a_file_system_that_reserves_nothing_is_used_as_it_is(tmp_path, monkeypatch, code):
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    store = Store(tmp_path)
    write(store)
    assert equal(read(store))


def test_calls_that_take_or_give_less_than_asked_are_repeated(tmp_path, monkeypatch):
    pwrite, pread = os.pwrite, os.pread
    store = Store(tmp_path)
    monkeypatch.setattr(os, "pwrite", lambda file, content, place: pwrite(file, content[:5], place))
    entry = begun(store)
    entry.write(0, part(0))
    monkeypatch.setattr(os, "pread", lambda file, size, place: pread(file, min(size, 7) if place else size, place))
    assert all(torch.equal(rows, part(0)[name]) for name, rows in entry.read(0).items())
    entry.close()
    again = begun(store)
    assert fill(again) == [1, 2]
    again.finish()
    assert equal(read(store))


def test_a_chunk_larger_than_what_is_read_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_PIECE", 16)
    store = Store(tmp_path)
    write(store, 5)
    assert equal(read(store))
    assert all(torch.equal(rows, TENSORS[name]) for name, rows in _reread(store).items())


def _reread(store):
    store.path(KEY).rename(store.path(KEY).with_suffix(".partial"))
    entry = begun(store, 5)
    assert entry.has(0)
    return entry.read(0)


# --- many writers


def test_many_threads_write_one_key(tmp_path):
    found, errors = [], []

    def work(chunk):
        store = Store(tmp_path)
        try:
            for _ in range(15):
                write(store, chunk)
                found.append(equal(read(store)))
            assert store.problem is None
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(chunk,)) for chunk in (1, 2, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert found == [True] * 60
    assert len(list(tmp_path.rglob("*.safetensors"))) == 1
    assert list(tmp_path.rglob("*.partial")) == []


def test_a_writer_that_is_killed_leaves_a_whole_entry_or_none(tmp_path):
    code = """
import sys
from pathlib import Path
from tests.evidence.test_store import Store, write
store = Store(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    write(store)
"""
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    store = Store(tmp_path)
    seen, deadline = [], time.monotonic() + 30
    while len(seen) < 200 or (not any(equal(found) for found in seen) and time.monotonic() < deadline):
        seen.append(read(store))
    for writer in writers:
        writer.kill()
        writer.wait()
        writer.stdout.close()
    assert any(equal(found) for found in seen)
    assert all(found is None or equal(found) for found in seen)
    assert read(store) is None or equal(read(store))
    write(store)
    assert equal(read(store))
