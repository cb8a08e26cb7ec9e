"""Python factories, named as package.module:factory: found and called only when the user trusts them."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from ganaudit.document.digests import file_digest
from ganaudit.document.errors import GanauditError, SubjectError, nearest
from ganaudit.programs.surroundings import foreign_code

__all__ = [
    "Factory",
    "a_kind",
    "call",
    "export_command",
    "find_factory",
    "is_factory",
    "raised",
    "untrusted",
    "untrusted_factory",
]

_DOTTED = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_SPEC = re.compile(rf"({_DOTTED}):({_DOTTED})")


@dataclass(frozen=True, slots=True)
class Factory:
    """A callable that was named on the command line, and the file it stands in."""

    spec: str
    make: Callable[[], Any]
    source: str
    """sha256 of the file that defines it; empty where there is none."""


def is_factory(spec: str) -> bool:
    """Return whether ``spec`` is meant as package.module:factory: it has a colon and no such file is there."""
    module, colon, attribute = spec.partition(":")
    # A drive (C:\\) and an address (https://) have a colon too.
    return bool(colon and module) and not attribute.startswith(("/", "\\")) and not Path(spec).exists()


def untrusted(what: str, command: str) -> SubjectError:
    """Return the refusal of what would run code; ``command`` makes a file of it that holds none."""
    return SubjectError(
        f"{what} If you trust its code, add --trust-code (or set GANAUDIT_TRUST_CODE=1). If not, let somebody who does "
        f"export the network to a file that holds no Python, and audit that file:\n  {command}"
    )


def untrusted_factory(asked: str, spec: str, role: str = "generator", latent: int | None = None) -> SubjectError:
    """Return the refusal of a factory; nothing of it was imported."""
    module, _, attribute = _split(asked, spec)
    what = (
        f"{asked}: names a Python callable; to import and call it runs whatever code stands there, with all that you "
        "may do on this machine. Nothing of it was imported."
    )
    return untrusted(what, export_command(f"{module}.{attribute}()", role, latent, f"import {module}"))


def export_command(network: str, role: str, latent: int | None, imported: str = "") -> str:
    """Return the command line that exports the network of a Python expression to a .pt2 file."""
    shape = str(latent or "LATENT") if role == "generator" else "CHANNELS, HEIGHT, WIDTH"
    steps = [
        "import torch",
        *([imported] if imported else []),
        f"network = {network}.eval()",
        'batch = torch.export.Dim("batch")',
        f"program = torch.export.export(network, (torch.randn(4, {shape}),), dynamic_shapes=({{0: batch}},))",
        f'torch.export.save(program, "{role}.pt2")',
    ]
    return f"python -c {shlex.quote('; '.join(steps))}"


def find_factory(spec: str, asked: str) -> Factory:
    """Return the callable that ``spec`` names; its module is imported, which runs it.

    Raises SubjectError, beginning with ``asked``, when the module cannot be imported, has no such attribute, or that
    cannot be called without arguments.
    """
    name, _, attribute = _split(asked, spec)
    module = _imported(name, asked)
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            here = module.__name__ if found is module else f"{module.__name__}:{found.__name__}"
            callables = [n for n, value in vars(found).items() if callable(value) and n[0] != "_"]
            where = f" ({module.__file__})" if getattr(module, "__file__", None) else ""
            raise SubjectError(f"{asked}: {here}{where} has no {part!r}; {nearest(part, callables)}")
        found = getattr(found, part)
    _check_callable(found, spec, asked)
    return Factory(spec, found, _source(found, module))


def call(factory: Factory, asked: str, seed: int = 0) -> Any:
    """Return what the factory returns, its random numbers decided by ``seed``.

    Raises SubjectError, beginning with ``asked``, when it raises anything or ends the program.
    """
    try:
        with foreign_code(factory.spec, seed):
            return factory.make()
    except GanauditError as error:
        raise SubjectError(
            f"{asked}: {error}; what a Subject holds is set where the factory makes it, by latent=, value_range= and "
            "classes="
        ) from error
    except (Exception, SystemExit) as error:
        raise SubjectError(f"{asked}: the factory raised {raised(error)} (--debug shows where)") from error


def raised(error: BaseException) -> str:
    """Return the type of an error and the last line of its message."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[-1][:300]}" if lines else type(error).__name__


def _split(asked: str, spec: str) -> tuple[str, str, str]:
    found = _SPEC.fullmatch(spec)
    module, _, attribute = spec.partition(":")
    if found is None or module.endswith(".py"):
        dotted = ".".join(part for part in re.split(r"[/\\]", module.removesuffix(".py")) if part not in ("", "."))
        meant = f"{dotted}:{re.sub(r'[(].*', '', attribute)}"
        hint = f"; did you mean {meant}?" if _SPEC.fullmatch(meant) else ""
        raise SubjectError(
            f"{asked}: no such file, and no package.module:factory either, which is the name of a Python module with "
            f"dots, a colon and the name of a callable in it{hint}"
        )
    return found[1], ":", found[2]


def _imported(name: str, asked: str) -> ModuleType:
    importlib.invalidate_caches()
    try:
        with foreign_code(name):
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name == missing or name.startswith(f"{missing}."):
            raise SubjectError(
                f"{asked}: there is no module {missing!r}, neither in the working folder {Path.cwd()} nor among the "
                f"installed packages; {_nearest_module(missing)}"
            ) from None
        raise SubjectError(
            f"{asked}: importing {name} needs the module {missing!r}, which is not there; run ganaudit in the folder "
            f"that holds it, or install it beside ganaudit"
        ) from error
    except SystemExit as error:
        raise SubjectError(
            f"{asked}: importing {name} ended the program ({raised(error)}); does it read command line arguments, or "
            'do its work, outside of `if __name__ == "__main__":`?'
        ) from error
    except Exception as error:
        raise SubjectError(f"{asked}: importing {name} raised {raised(error)} (--debug shows where)") from error


def _nearest_module(missing: str) -> str:
    parent, _, last = missing.rpartition(".")
    places = list(getattr(sys.modules.get(parent), "__path__", [])) if parent else [str(Path.cwd())]
    return nearest(last, [module.name for module in pkgutil.iter_modules(places)])


def _check_callable(found: Any, spec: str, asked: str) -> None:
    if isinstance(found, nn.Module) or not callable(found):
        raise SubjectError(
            f"{asked}: is {a_kind(found)}, no callable that makes a network; write one beside it, such as\n"
            f"  def subject(): return {spec.partition(':')[2]}\nand name that"
        )
    try:
        signature = inspect.signature(found)
    except (ValueError, TypeError):  # something built in, which does not tell
        return
    needed = [
        p.name
        for p in signature.parameters.values()
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if needed:
        raise SubjectError(
            f"{asked}: needs the arguments {', '.join(needed)}; ganaudit calls it with none: write a function that "
            f"fills them in, and name that, such as\n  def subject(): return {spec.partition(':')[2]}({needed[0]}=...)"
        )


def a_kind(value: object) -> str:
    """Return the type of a value with its article, as an int."""
    kind = type(value).__name__
    return f"{'an' if kind[0] in 'AEIOUaeiou' else 'a'} {kind}"


def _source(found: Any, module: ModuleType) -> str:
    """Return the digest of the file that defines a callable, else of the file of its module."""
    try:
        file = inspect.getsourcefile(inspect.unwrap(found))
    except (TypeError, ValueError):  # something built in, or an object with __call__
        file = None
    path = Path(file or getattr(module, "__file__", None) or "")
    return file_digest(path) if path.is_file() else ""
