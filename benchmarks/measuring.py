"""How a ratio is taken: ours and the peer's in turn, in one run, on one machine."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "torch-fidelity", "torchmetrics")


@dataclass(frozen=True)
class Pair:
    """Seconds of ours and of the peer, and the median of the ratios of runs that followed each other."""

    ours: float
    peer: float
    ratio: float


def seconds(work: Callable[[], Any]) -> float:
    time.sleep(0.2)  # threads of the run before it still spin, and would count against this one
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def paired(ours: Callable[[], Any], peer: Callable[[], Any], repeats: int, warm: bool = True) -> Pair:
    """Return medians over ``repeats`` runs in turn; one run of each before them is not counted where ``warm``."""
    if warm:
        ours(), peer()
    times = [(seconds(ours), seconds(peer)) for _ in range(repeats)]
    return Pair(
        statistics.median(o for o, _ in times),
        statistics.median(p for _, p in times),
        statistics.median(p / o for o, p in times),
    )


def record(
    work: str, peer: str, pair: Pair, target: float | None, error: float | str | None, **more: Any
) -> dict[str, Any]:
    """Return one row of results.json; ratio > 1: ganaudit is faster."""
    return {
        "work": work,
        "peer": peer,
        "ours_seconds": round(pair.ours, 4),
        "peer_seconds": round(pair.peer, 4),
        "ratio": round(pair.ratio, 3),
        "target": target,
        "error": error,
        **more,
    }


class Worker:
    """A process of its own, ``python -m module`` that calls ``serve``: it does its work each time it is called."""

    def __init__(self, module: str, **how: Any) -> None:
        self._module = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, json.dumps(how)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def __call__(self) -> None:
        """Have the work done once; raises RuntimeError when the process has ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        if self._process.stdout.readline() != "done\n":
            raise RuntimeError(f"a worker of {self._module} ended")


def serve(work: Callable[[], Any]) -> None:
    """Do ``work`` once for each line of the standard input, until its end."""
    for _ in sys.stdin:
        work()
        print("done", flush=True)


@dataclass(frozen=True)
class Run:
    """One finished process."""

    seconds: float
    cpu_seconds: float
    """Of all its threads, and of the processes that it has waited for."""
    peak_bytes: int
    output: str


_STARTER = """
import json, os, subprocess, sys, time
start = time.perf_counter()
process = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(process.pid, 0)
told = [time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024]
os.write(int(sys.argv[1]), json.dumps([os.waitstatus_to_exitcode(status), *told]).encode())
"""
"""Starts the command from a process of 10 MB: the system counts the memory of whoever starts a process as its own."""


def run(command: Sequence[str], environment: Mapping[str, str] | None = None, cwd: Path | None = None) -> Run:
    """Run a command to its end; peak_bytes is its own largest resident set. Raises RuntimeError when it fails."""
    env = {**os.environ, **(environment or {})}
    told, tell = os.pipe()
    starter = [sys.executable, "-I", "-S", "-c", _STARTER, str(tell), *command]
    done = subprocess.run(
        starter, env=env, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, pass_fds=[tell]
    )
    os.close(tell)
    with os.fdopen(told) as pipe:
        code, seconds, cpu_seconds, peak_bytes = json.loads(pipe.read() or "[-1, 0, 0, 0]")
    if code:
        raise RuntimeError(f"{' '.join(command)}: exit {code}\n{done.stdout[-3000:]}")
    return Run(seconds, cpu_seconds, peak_bytes, done.stdout)


def machine() -> str:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        found = [line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = found[0] if found else model
    return f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"


def versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
