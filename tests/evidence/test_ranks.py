"""Several real processes over gloo: each has the very bits that one process alone has."""

import os
import socket
import subprocess
import sys

import pytest
import torch

from ganaudit.document.errors import ConfigError
from ganaudit.evidence.ranks import SINGLE, device_of, is_launched, launched

LAUNCH = {"RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"}

# One launch does all cases after another: a process takes seconds to begin.
PROCESS = """
import os, sys
from pathlib import Path
import torch
from ganaudit.evidence.ranks import launched
from ganaudit.evidence.store import Store
from tests.evidence.evidences import NODES, evidence, generating

folder, case = Path(sys.argv[1]), sys.argv[2].split(",")
torch.set_num_threads(1)

def reductions(ranks):
    r = ranks.rank
    made = {
        "float": torch.tensor([r + 0.5, -r / 3], dtype=torch.float64),
        "single": torch.arange(6.0).reshape(2, 3).T * (r + 1),  # not contiguous
        "int": torch.tensor([[r, -(2 ** 40) * r]]),
        "bool": torch.tensor([r == 0, True, False]),
        "none": torch.zeros(0, 3),
    }
    before = {name: value.clone() for name, value in made.items()}
    found = {f"total {name}": ranks.total(value) for name, value in made.items()}
    found |= {f"least {name}": ranks.least(value) for name, value in made.items()}
    assert all(torch.equal(before[name], value) for name, value in made.items())
    found["gathered"] = torch.tensor([v["rank"] for v in ranks.gathered({"rank": r})])
    found["mine"] = torch.tensor(list(ranks.mine(7)))
    return found

with launched("cpu") as ranks:
    saved = {"reductions": reductions(ranks), "where": (ranks.rank, ranks.size, ranks.is_writer)}
    for name in case:
        root = {
            "none": None,
            "one": folder / "one",
            "each": folder / f"each-{ranks.rank}",
            "some": folder / "some" if ranks.rank else folder / "a file",
        }[name]
        if name == "each":  # as on machines of one process each
            os.environ["LOCAL_RANK"] = "0"
            with launched("cpu") as ranks:
                saved["where each"] = (ranks.rank, ranks.size, ranks.is_writer)
        store = Store(root)
        made = evidence(store=store, ranks=ranks, batch=16)
        saved[name] = {node: made.node(node).clone() for node in NODES}
        saved[name]["blocks"] = torch.cat([rows for _, rows in made.blocks("features/fake")])
        moments = made.moments("fake").total
        saved[name] |= {"mean": moments.mean, "scatter": moments.scatter}
        saved[f"{name} generated"] = generating(made)
        saved[f"{name} store"] = (store.hits, store.misses, store.problem)
torch.save(saved, folder / f"saved-{os.environ.get('RANK', 0)}-of-{os.environ.get('WORLD_SIZE', 1)}.pt")
"""


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


def launch(folder, size, case):
    """Run ``PROCESS`` as torchrun would, and return what every rank has saved."""
    (folder / "a file").write_bytes(b"")
    port = str(free_port())
    processes = []
    for rank in range(size):
        environment = {name: value for name, value in os.environ.items() if name not in LAUNCH}
        if size > 1:
            environment |= {"RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_RANK": str(rank)}
            environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        environment |= {"OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", PROCESS, str(folder), ",".join(case)]
        processes.append(
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        )
    told = [process.communicate(timeout=400)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * size, "\n".join(told)
    return [torch.load(folder / f"saved-{rank}-of-{size}.pt", weights_only=True) for rank in range(size)]


CASES = ("none", "one", "some", "each")
"""Stores: none, one for all, one that the first rank cannot write, one for each machine."""


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return launch(tmp_path_factory.mktemp("alone"), 1, ["none", "one"])[0]


@pytest.fixture(scope="module", params=[2, 3])
def several(request, tmp_path_factory):
    """What each rank has, and the folder that all have worked in."""
    folder = tmp_path_factory.mktemp(f"ranks-{request.param}")
    return launch(folder, request.param, CASES), folder


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for node, rows in expected.items():
        if node in ("mean", "scatter"):
            # Sums over processes come in another order: float64 rounding of 75 rows, relative to the largest.
            assert float((found[node] - rows).abs().max()) <= 75 * 2**-52 * float(rows.abs().max()), node
        else:
            assert torch.equal(found[node], rows), node


def test_one_process_alone_is_no_launch(alone):
    assert alone["where"] == (0, 1, True)
    assert_same(alone["one"], alone["none"])


@pytest.mark.parametrize("case", CASES)
def test_every_rank_has_the_bits_of_one_process(alone, several, case):
    saved, _ = several
    for rank, found in enumerate(saved):
        assert found["where"] == (rank, len(saved), rank == 0)
        assert_same(found[case], alone["none"])
    # Bits, also of sums: every rank prints the same document.
    for found in saved[1:]:
        assert torch.equal(found[case]["scatter"], saved[0][case]["scatter"])
        assert torch.equal(found[case]["mean"], saved[0][case]["mean"])


@pytest.mark.parametrize("case", CASES)
def test_the_ranks_share_the_generation_without_doing_any_twice(alone, several, case):
    saved, _ = several
    shares = [found[f"{case} generated"] for found in saved]
    # 75 samples in chunks of 16, dealt out in turn.
    assert shares == [[16 * i for i in range(rank, 5, len(saved))] for rank in range(len(saved))]
    assert alone["none generated"] == [0, 16, 32, 48, 64]


def test_the_store_of_several_ranks_is_that_of_one(alone, several, tmp_path_factory):
    saved, folder = several
    kept = {path.name: path.read_bytes() for path in (folder / "one").rglob("*.safetensors")}
    single = next(path for path in tmp_path_factory.getbasetemp().glob("alone*"))
    assert kept == {path.name: path.read_bytes() for path in (single / "one").rglob("*.safetensors")}
    assert len(kept) == 7
    assert list(folder.rglob("one/**/*.partial")) == []
    assert [found["one store"] for found in saved] == [(0, 7, None)] * len(saved)


def test_where_one_rank_cannot_keep_it_none_does_and_that_one_says_why(several):
    saved, folder = several
    assert "cannot write" in saved[0]["some store"][2]
    assert saved[1]["some store"] == (0, 7, None)
    assert list(folder.rglob("some/**/*.safetensors")) == []


def test_machines_with_stores_of_their_own_each_keep_all(several):
    saved, folder = several
    size = len(saved)
    assert [found["where each"] for found in saved] == [(rank, size, True) for rank in range(size)]
    kept = [{p.name: p.read_bytes() for p in (folder / f"each-{rank}").rglob("*.safetensors")} for rank in range(size)]
    assert len(kept[0]) == 7
    assert all(one == kept[0] for one in kept)


def test_sums_and_least_values_are_those_over_all_ranks(several):
    saved, _ = several
    size = len(saved)
    ranks = torch.arange(size, dtype=torch.float64)
    expected = {
        "total float": torch.stack([(ranks + 0.5).sum(), -(ranks / 3).sum()]),
        "least float": torch.tensor([0.5, -(size - 1) / 3], dtype=torch.float64),
        "total single": torch.arange(6.0).reshape(2, 3).T * (size * (size + 1) // 2),
        "least single": torch.arange(6.0).reshape(2, 3).T,
        "total int": torch.tensor([[size * (size - 1) // 2, -(2**40) * (size * (size - 1) // 2)]]),
        "least int": torch.tensor([[0, -(2**40) * (size - 1)]]),
        "total bool": torch.tensor([True, True, False]),
        "least bool": torch.tensor([False, True, False]),
        "total none": torch.zeros(0, 3),
        "least none": torch.zeros(0, 3),
        "gathered": torch.arange(size),
    }
    for rank, found in enumerate(saved):
        made = dict(found["reductions"])
        assert made.pop("mine").tolist() == list(range(rank, 7, size))
        assert made.keys() == expected.keys()
        for name, value in expected.items():
            assert made[name].dtype == value.dtype, name
            if value.is_floating_point():
                torch.testing.assert_close(made[name], value, rtol=1e-15, atol=0)
            else:
                assert torch.equal(made[name], value), name


def test_one_process_is_a_world_of_its_own(alone):
    made = alone["reductions"]
    assert made["gathered"].tolist() == [0]
    assert made["mine"].tolist() == list(range(7))
    for name in ("float", "single", "int", "bool", "none"):
        assert torch.equal(made[f"total {name}"], made[f"least {name}"])


# --- launches that are none


@pytest.fixture
def environment(monkeypatch):
    for name in LAUNCH:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_without_a_launch_there_is_one_process(environment):
    with launched("cpu") as ranks:
        assert ranks is SINGLE
        assert device_of("cuda", ranks) == "cuda"
        assert device_of("cpu", ranks) == "cpu"
    environment.setenv("WORLD_SIZE", "1")
    assert not is_launched()


def test_a_launch_that_cannot_be_joined_is_told(environment):
    environment.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=r"RANK=not set, WORLD_SIZE=2, .*start them with torchrun"), launched("cpu"):
        pass
    assert not torch.distributed.is_initialized()


@pytest.mark.parametrize("value", ["two", ""])
def test_an_environment_that_says_nonsense_is_told(environment, value):
    environment.setenv("WORLD_SIZE", value)
    with pytest.raises(ConfigError, match="WORLD_SIZE"):
        is_launched()


def test_each_of_several_takes_the_gpu_of_its_number(environment):
    environment.setenv("LOCAL_RANK", "3")

    class Two:
        size = 2

    assert device_of("cuda", Two()) == "cuda:3"
    assert device_of("cuda:1", Two()) == "cuda:1"
    assert device_of("cpu", Two()) == "cpu"
