"""What stands around foreign Python code while it runs: where it is looked for, and what of the process is put back.

This is no protection: such code can do whatever the process can. It keeps honest code from changing an audit unawares.
"""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

__all__ = ["foreign_code"]


@contextlib.contextmanager
def foreign_code(name: str, seed: int = 0) -> Iterator[None]:
    """Run foreign code inside: found from the working folder first, its random numbers decided by ``seed``.

    It sees ``name`` as the only argument of the program: ganaudit's own are none of its business. Put back at the end
    are torch's, NumPy's and Python's random numbers, torch's default type, device and gradient mode, the arguments and
    the working folder, which is then searched last, for what is imported later.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=[]))
        stack.enter_context(contextlib.chdir(Path.cwd()))
        stack.callback(random.setstate, random.getstate())
        stack.callback(np.random.set_state, np.random.get_state())  # noqa: NPY002 - foreign code may use it
        stack.callback(setattr, sys, "argv", sys.argv)
        stack.callback(torch.set_default_dtype, torch.get_default_dtype())
        stack.callback(torch.set_grad_enabled, torch.is_grad_enabled())
        stack.callback(_put_back_device, torch.get_default_device())
        stack.enter_context(_searched(str(Path.cwd())))
        sys.argv = [name]
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        random.seed(seed)
        torch.set_grad_enabled(True)
        yield


@contextlib.contextmanager
def _searched(folder: str) -> Iterator[None]:
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        # No longer first: a file there must not stand in for a module that ganaudit imports later.
        with contextlib.suppress(ValueError):
            sys.path.remove(folder)
        if folder not in sys.path:
            sys.path.append(folder)


def _put_back_device(device: torch.device) -> None:
    if torch.get_default_device() != device:
        torch.set_default_device(device)
