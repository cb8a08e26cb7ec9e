"""One audit by several processes, and one that was killed: the same document as one that ran through."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ganaudit.document.repeats import steady

# Attacks, timings and searches are done by each process for itself, and take most of a whole audit's time.
EVALUATORS = (
    "frechet-distance,kernel-distance,inception-score,precision-recall,diversity,discriminator-detection,"
    "discriminator-overfit,two-sample-test,memorisation,coverage-bias"
)
ASKED = ["audit", "digits", "--samples", "333", "--batch-size", "64", "--no-progress", "--evaluators", EVALUATORS]


def environment(folder, **more):
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GANAUDIT")}
    return {**kept, "OMP_NUM_THREADS": "1", "CI": "1", "GANAUDIT_CACHE": str(folder / "cache"), **more}


def audited(folder, size):
    """Run one audit by ``size`` processes and return its document."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = []
    for rank in range(size):
        launch = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size)}
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        command = [sys.executable, "-m", "ganaudit", *ASKED, "--out", str(folder / "out")]
        env = environment(folder, **(launch | address if size > 1 else {}))
        processes.append(
            subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        )
    outputs = [process.communicate(timeout=200)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * size, outputs
    assert all(not output.strip() for output in outputs[1:]), outputs  # one process speaks
    return json.loads((folder / "out" / "document.json").read_text())


def numbers(value, path=""):
    """Yield every number of a document with its place."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from numbers(part, f"{path}/{key}")
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from numbers(part, f"{path}/{index}")
    else:
        yield path, value


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return dict(numbers(steady(audited(tmp_path_factory.mktemp("alone"), 1))))


@pytest.mark.parametrize("size", [3])
def test_any_number_of_processes_gives_the_same_document(alone, tmp_path, size):
    found = dict(numbers(steady(audited(tmp_path, size))))
    assert found.keys() == alone.keys()
    for place, value in found.items():
        if isinstance(value, float) and not isinstance(alone[place], str):
            assert value == pytest.approx(alone[place], rel=1e-9, abs=1e-9), place
        else:
            assert value == alone[place], place


def test_a_killed_run_goes_on_from_the_store_and_ends_the_same(alone, tmp_path):
    command = [sys.executable, "-m", "ganaudit", *ASKED, "--out", str(tmp_path / "out")]
    env = environment(tmp_path)
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    store, deadline = tmp_path / "cache" / "evidence", time.monotonic() + 120
    while not list(store.glob("*/*.journal")) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert list(store.glob("*/*.journal"))  # it was in the middle of its evidence
    assert not (tmp_path / "out" / "document.json").exists()
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=200)
    found = dict(numbers(steady(json.loads(Path(tmp_path / "out" / "document.json").read_text()))))
    assert found == alone
