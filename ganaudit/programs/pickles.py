"""Networks in pickled files, by ``torch.save`` or Python's own pickle: read only when the user trusts them."""

from __future__ import annotations

import io
import json
import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from ganaudit.document.digests import bytes_digest
from ganaudit.document.errors import SubjectError
from ganaudit.programs.factories import a_kind, export_command, raised, untrusted
from ganaudit.programs.forms import Pickled, form_words, is_pickled, pickled
from ganaudit.programs.program import Program
from ganaudit.programs.surroundings import foreign_code

__all__ = ["SUFFIXES", "is_offered", "read_program"]

SUFFIXES = (".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin", ".ts")
_ALWAYS = (".pkl", ".safetensors")
"""Suffixes that no other reader takes: what such a file lacks is told here."""
_USUAL = re.compile(r"torch\..*|collections\..*|(__builtin__|builtins)\.set")
"""What every pickled network names; the message is about the others."""
_SHOWN = 3


def is_offered(path: Path) -> bool:
    """Return whether ``path`` is a file for this reader: pickled by its content, or by a suffix that no other takes."""
    suffix = path.suffix.lower()
    return path.is_file() and (suffix in _ALWAYS or (suffix in SUFFIXES and is_pickled(path)))


def read_program(path: Path, asked: str, device: str, *, trust: bool, role: str, latent: int | None = None) -> Program:
    """Return the network pickled in the file at ``path``.

    Raises SubjectError, beginning with ``asked``: without ``trust`` for every file, unpickling nothing; for weights
    without a network, with ``trust`` or not; for what cannot be unpickled or holds no network.
    """
    if path.suffix == ".safetensors":
        raise _weights_alone(path, asked, role, _names_of_safetensors(path, asked), "safetensors")
    if not is_pickled(path):
        raise SubjectError(f"{asked}: no pickled network: {form_words(path)}")
    found = pickled(path)
    if found.is_weights:
        raise _weights_alone(path, asked, role, found.tensors, "torch.save")
    if not trust:
        raise _untrusted(path, asked, found, role, latent)
    content = path.read_bytes()  # read once: what is digested is what is used
    network = _unpickled(content, asked, found, device)
    if not isinstance(network, nn.Module):
        raise SubjectError(
            f"{asked}: holds {_kind(network)}, and no network (an nn.Module) alone; write a Python function that picks "
            f"or builds it, and name that: {_factory_line(role)}"
        )
    try:
        return Program(network.eval().to(device), digest=bytes_digest(content), trust="code")
    except Exception as error:  # the code of a network of another version of torch raises anything
        raise SubjectError(f"{asked}: its network cannot be put to use: {raised(error)}") from error


def _untrusted(path: Path, asked: str, found: Pickled, role: str, latent: int | None) -> SubjectError:
    by = "Python's pickle" if found.form == "bare" else "torch.save"
    names = [name for name in found.names if not _USUAL.fullmatch(name)] or list(found.names)
    told = f", here {_some(names)}" if names else ""
    what = (
        f"{asked}: a pickled object, written by {by}; to unpickle it runs whatever code it names{told}, with all that "
        "you may do on this machine. It was not opened."
    )
    file = json.dumps(str(path), ensure_ascii=False)
    if found.form == "bare":
        command = export_command(f'pickle.load(open({file}, "rb"))', role, latent, "import pickle")
    else:
        command = export_command(f"torch.load({file}, weights_only=False)", role, latent)
    return untrusted(what, command)


def _weights_alone(path: Path, asked: str, role: str, names: tuple[str, ...], by: str) -> SubjectError:
    told = f" ({_some(list(names))})" if names else ""
    load = "torch.load(..., weights_only=True)" if by != "safetensors" else "safetensors.torch.load_file(...)"
    return SubjectError(
        f"{asked}: holds weights alone{told}, a state dict written by {by}, and no network: what is computed with them "
        f"stands in the code they were trained with. Write a Python function there that builds the network and loads "
        f"them:\n  def {role}():\n      network = ...  # the class, with the arguments it was trained with\n"
        f"      network.load_state_dict({load.replace('...', repr(path.name))})\n"
        f"      return network\nand name it: {_factory_line(role)}"
    )


def _factory_line(role: str) -> str:
    option = "--discriminator " if role == "discriminator" else ""
    return f"ganaudit audit {'SUBJECT ' if option else ''}{option}my_module:{role} --trust-code"


def _names_of_safetensors(path: Path, asked: str) -> tuple[str, ...]:
    try:
        with safe_open(path, framework="pt") as file:
            return tuple(file.keys())
    except (SafetensorError, OSError) as error:
        raise SubjectError(f"{asked}: cannot be read as safetensors: {error}") from None


def _unpickled(content: bytes, asked: str, found: Pickled, device: str) -> Any:
    try:
        with foreign_code(asked), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if found.form == "bare":
                return pickle.loads(content)  # noqa: S301 - the user trusts it
            return torch.load(io.BytesIO(content), map_location=device, weights_only=False)
    except ModuleNotFoundError as error:
        raise SubjectError(
            f"{asked}: it needs the module {error.name!r}, which is not there; run ganaudit in the folder that holds "
            "it (the working folder is searched), or install it beside ganaudit"
        ) from error
    except (Exception, SystemExit) as error:
        script = next((name for name in found.names if name.startswith("__main__.")), None)
        if script is not None and isinstance(error, AttributeError):
            raise SubjectError(
                f"{asked}: its class {script} was defined in a script, where no other program finds it; build the "
                "network in a Python function of a module, load its weights, and name that as package.module:factory"
            ) from error
        raise SubjectError(f"{asked}: cannot be unpickled: {raised(error)}") from error


def _kind(value: object) -> str:
    if isinstance(value, Mapping) and value:
        parts = [f"{str(key)[:40]}: {type(one).__name__}" for key, one in value.items()]
        return f"{a_kind(value)} ({_some(parts)})"
    return a_kind(value)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(name[:100] for name in names[:_SHOWN]) + more
