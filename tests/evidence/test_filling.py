"""Tables filled chunk by chunk: each row is computed once, whoever is killed, and ends in the same bytes."""

import math
import os
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest
import torch

from ganaudit.document.errors import EvidenceError
from ganaudit.evidence.filling import Table, filled
from ganaudit.evidence.ranks import SINGLE
from ganaudit.evidence.rows import Column, Rows
from ganaudit.evidence.store import Store
from ganaudit.progress import Silent

KEY = {"node": "a test's"}
COLUMNS = (Column("features", torch.float32, (3,)), Column("scores", torch.float64, ()))
N, BLOCK = 75, 4


def rows_of(start, stop):
    """Rows that are a function of their number, as every evidence's are."""
    index = torch.arange(start, stop, dtype=torch.float64)
    return {"features": torch.stack([index.sin(), index.cos(), index.sqrt()], 1).float(), "scores": index / 7}


WHOLE = rows_of(0, N)


class Counting:
    """Computes rows and remembers which."""

    def __init__(self):
        self.spans = []

    def __call__(self, start, stop):
        self.spans.append((start, stop))
        return rows_of(start, stop)

    @property
    def rows(self):
        return [row for start, stop in self.spans for row in range(start, stop)]


def table(compute, chunk=16, known=None, n=N, columns=COLUMNS):
    return Table(KEY, columns, n, chunk, BLOCK, "a label", compute, known)


def fill(store, compute=rows_of, **more):
    return filled(table(compute, **more), store, SINGLE, Silent())


def is_whole(found, n=N):
    return found.keys() == WHOLE.keys() and all(torch.equal(found[k].tensor, WHOLE[k][:n]) for k in WHOLE)


@pytest.mark.parametrize("is_kept", [True, False])
@pytest.mark.parametrize("chunk", [1, 16, 25, 75, 512])
def test_every_row_is_computed_once(tmp_path, is_kept, chunk):
    compute = Counting()
    found = fill(Store(tmp_path if is_kept else None), compute, chunk=chunk)
    assert is_whole(found)
    assert compute.rows == list(range(N))
    assert all(stop - start == chunk for start, stop in compute.spans[:-1])
    assert (found["features"].mapping is not None) == is_kept


def test_what_is_kept_is_not_computed_again(tmp_path):
    store, compute = Store(tmp_path), Counting()
    fill(store)
    for chunk in (16, 25, 512):
        assert is_whole(fill(store, compute, chunk=chunk))
    assert compute.spans == []
    assert (store.hits, store.misses) == (3, 1)


def test_the_bytes_do_not_depend_on_the_chunks(tmp_path):
    files = []
    for chunk in (1, 16, 75):
        fill(Store(tmp_path / str(chunk)), chunk=chunk)
        (path,) = (tmp_path / str(chunk)).rglob("*.safetensors")
        files.append(path.read_bytes())
    assert len(set(files)) == 1


class StoppedError(Exception):
    pass


def test_a_run_that_stops_in_the_middle_is_gone_on_with(tmp_path):
    def until_48(start, stop):
        if start >= 48:
            raise StoppedError
        return rows_of(start, stop)

    with pytest.raises(StoppedError):
        fill(Store(tmp_path), until_48)
    compute = Counting()
    assert is_whole(fill(Store(tmp_path), compute))
    assert compute.rows == list(range(48, N))


@pytest.mark.parametrize("chunk", [8, 32])
def test_a_run_with_another_batch_size_begins_anew_and_is_right(tmp_path, chunk):
    def until_48(start, stop):
        if start >= 48:
            raise StoppedError
        return rows_of(start, stop)

    with pytest.raises(StoppedError):
        fill(Store(tmp_path), until_48)
    assert is_whole(fill(Store(tmp_path), chunk=chunk))
    assert is_whole(fill(Store(tmp_path), Counting()))


# --- killed, and side by side

RUN = """
import os, signal, sys
from pathlib import Path
from tests.evidence.test_filling import fill, rows_of, Store, is_whole

last = int(sys.argv[2])

def compute(start, stop):
    print(start, flush=True)
    if start == last:
        os.kill(os.getpid(), signal.SIGKILL)
    return rows_of(start, stop)

if len(sys.argv) > 3:
    print("ready", flush=True)
    sys.stdin.readline()
print("whole" if is_whole(fill(Store(Path(sys.argv[1])), compute)) else "wrong")
"""


def test_a_run_killed_in_the_middle_is_gone_on_with_and_ends_in_the_same_bytes(tmp_path):
    killed = subprocess.run(
        [sys.executable, "-c", RUN, str(tmp_path / "killed"), "48"], capture_output=True, text=True, check=False
    )
    assert killed.returncode == -9
    assert killed.stdout.split() == ["0", "16", "32", "48"]
    compute = Counting()
    assert is_whole(fill(Store(tmp_path / "killed"), compute))
    assert compute.spans == [(48, 64), (64, 75)]
    fill(Store(tmp_path / "whole"))
    one, other = (next((tmp_path / name).rglob("*.safetensors")).read_bytes() for name in ("killed", "whole"))
    assert one == other


def test_two_processes_that_fill_one_table_at_once_both_have_it(tmp_path):
    command = [sys.executable, "-c", RUN, str(tmp_path), "-1", "together"]
    both = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [process.communicate()[0].split()[-1] for process in both]
    assert told == ["whole", "whole"]
    compute = Counting()
    assert is_whole(fill(Store(tmp_path), compute))
    assert compute.spans == []
    assert list(tmp_path.rglob("*.partial")) == []


def test_two_runs_that_take_turns_both_have_it(tmp_path):
    """One stops before every chunk until the other has done one more: each sees files that the other is in."""
    turns = [threading.Semaphore(1), threading.Semaphore(0)]
    found, errors = [None, None], []

    def work(me):
        def compute(start, stop):
            turns[me].acquire(timeout=20)
            made = rows_of(start, stop)
            turns[1 - me].release()
            return made

        try:
            found[me] = fill(Store(tmp_path), compute)
        except Exception as error:
            errors.append(error)
        finally:
            turns[1 - me].release()

    threads = [threading.Thread(target=work, args=(me,)) for me in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert all(is_whole(rows) for rows in found)


# --- memory

GROWTH = """
import sys
from pathlib import Path
import torch
from ganaudit.evidence.filling import Table, filled
from ganaudit.evidence.ranks import SINGLE
from ganaudit.evidence.rows import Column
from ganaudit.evidence.store import Store
from ganaudit.progress import Silent

def resident(name):
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields[name].split()[0])

n = int(sys.argv[2])
row = torch.arange(2048.0)
column = Column("features", torch.float32, (2048,))
compute = lambda start, stop: {"features": row + torch.arange(start, stop)[:, None]}
compute(0, 512)["features"].amax(1).double().sum()
before = resident("VmRSS")
totals, kept = [], []
for _ in range(2):  # filled, then found
    table = Table({"a": 1}, [column], n, 512, 16, "", compute)
    rows = filled(table, Store(Path(sys.argv[1])), SINGLE, Silent())["features"]
    totals.append(sum(float(block.amax(1).double().sum()) for _, block in rows.blocks()))
    kept.append(resident("VmRSS") - before)
print(*totals, *kept, resident("VmHWM") - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_table_larger_than_memory_is_filled_found_and_swept_in_that_of_a_block(tmp_path):
    n = 300 * 2**20 // (4 * 2048)
    command = [sys.executable, "-c", GROWTH, str(tmp_path), str(n)]
    # What is freed goes back to the system at once, or the allocator's habits would be measured.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(2**17)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    *totals, filled_kb, found_kb, most_kb = map(float, done.stdout.split())
    assert totals == [n * 2047 + n * (n - 1) // 2] * 2  # every row was read
    # The file is of 300 MiB, a chunk of 4 and a block of 32.
    assert max(filled_kb, found_kb) < 24 * 1024
    assert most_kb < 64 * 1024


# --- what is known already


@pytest.mark.parametrize("is_kept", [True, False])
@pytest.mark.parametrize("n", [3, 4, 16, 30, 64, 74, 75])
def test_rows_known_from_before_are_taken_over_in_whole_blocks(tmp_path, is_kept, n):
    marked = {name: Rows(rows[:n] + 1) for name, rows in WHOLE.items()}  # to be told from computed ones
    compute = Counting()
    found = fill(Store(tmp_path if is_kept else None), compute, known=marked)
    taken = n if n == N else n // BLOCK * BLOCK
    assert compute.rows == list(range(taken, N))
    assert all(start % BLOCK == 0 for start, _ in compute.spans)
    for name, rows in WHOLE.items():
        assert torch.equal(found[name].tensor, torch.cat([rows[:taken] + 1, rows[taken:]]))


def test_what_is_taken_over_is_bit_equal_to_what_is_computed(tmp_path):
    earlier = fill(Store(tmp_path), n=30)
    found = filled(
        Table({**KEY, "n": N}, COLUMNS, N, 16, BLOCK, "", rows_of, earlier), Store(tmp_path), SINGLE, Silent()
    )
    assert is_whole(found)
    fill(Store(tmp_path / "other"))
    one = Store(tmp_path).path({**KEY, "n": N}).read_bytes()
    other = Store(tmp_path / "other").path(KEY).read_bytes()
    assert one[-N * 20 :] == other[-N * 20 :]  # all but the header, which tells the key


# --- what cannot be


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ({"features": torch.zeros(16, 3)}, r"scores of rows 0 to 16 should be \(16,\) of torch.float64; found nothing"),
        ({"features": torch.zeros(16, 4)}, r"should be \(16, 3\) of torch.float32; found \(16, 4\) of torch.float32"),
        ({"features": torch.zeros(16, 3).double()}, r"found \(16, 3\) of torch.float64"),
        ({"features": torch.zeros(15, 3)}, r"found \(15, 3\)"),
    ],
)
def test_rows_of_another_form_are_refused(tmp_path, made, told):
    with pytest.raises(EvidenceError, match=f"a label: .*{told}"):
        fill(Store(tmp_path), lambda start, stop: made)


def test_a_store_that_cannot_be_written_costs_no_row(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    store = Store(tmp_path / "file")
    assert is_whole(fill(store))
    assert "cannot write" in store.problem


class Heard:
    def __init__(self):
        self.told = []

    @contextmanager
    def task(self, label, total, unit="samples"):
        self.told.append((label, total, unit))
        yield self

    def advance(self, steps):
        self.told.append(steps)


def test_progress_is_told_chunk_by_chunk():
    heard = Heard()
    filled(table(rows_of), Store(None), SINGLE, heard)
    assert heard.told == [("a label", N, "samples"), 16, 16, 16, 16, 11]


# --- several processes, played by threads


class Together:
    """Ranks that are threads."""

    def __init__(self, size):
        self.values = [None] * size
        self.barrier = threading.Barrier(size, timeout=20)
        self.of = [self.One(self, rank, size) for rank in range(size)]

    class One:
        def __init__(self, all_, rank, size):
            self.all, self.rank, self.size, self.is_writer = all_, rank, size, rank == 0

        def gathered(self, value):
            self.all.values[self.rank] = value
            self.all.barrier.wait()
            values = list(self.all.values)
            self.all.barrier.wait()
            return values


@pytest.mark.parametrize("size", [1, 2, 3, 5, 6])
@pytest.mark.parametrize("kept", ["one", "none", "each", "some"])
def test_processes_share_the_chunks_and_all_have_all_rows(tmp_path, size, kept):
    (tmp_path / "file").write_bytes(b"")
    world = Together(size)
    places = {"one": lambda rank: tmp_path / "s", "none": lambda rank: None, "each": lambda rank: tmp_path / str(rank)}
    places["some"] = lambda rank: tmp_path / "file" if rank == size - 1 else tmp_path / "s"
    stores = [Store(places[kept](rank)) for rank in range(size)]
    computes, found = [Counting() for _ in range(size)], [None] * size

    def work(rank):
        if kept == "each":
            world.of[rank].is_writer = True
        found[rank] = filled(table(computes[rank]), stores[rank], world.of[rank], Silent())

    def together():
        threads = [threading.Thread(target=work, args=(rank,)) for rank in range(size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(is_whole(rows) for rows in found)

    together()
    chunks = math.ceil(N / 16)
    assert [len(compute.spans) for compute in computes] == [len(range(rank, chunks, size)) for rank in range(size)]
    assert sorted(row for compute in computes for row in compute.rows) == list(range(N))
    for compute in computes:
        compute.spans.clear()
    together()
    computed = [row for compute in computes for row in compute.rows]
    # Where one cannot keep it, none does: they all would have to take the same way again.
    assert sorted(computed) == (list(range(N)) if kept in ("none", "some") else [])
