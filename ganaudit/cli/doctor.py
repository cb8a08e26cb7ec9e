"""``ganaudit doctor``: whether this machine and installation can run an audit."""

from __future__ import annotations

import platform
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ganaudit.cli.console import Console

__all__ = ["doctor"]

_PACKAGES = ("torch", "torchvision", "torchmetrics", "torch-fidelity", "numpy", "scipy", "scikit-learn",
             "safetensors", "pydantic", "typer", "altair", "vl-convert-python", "pillow")  # fmt: skip


def doctor(console: Console) -> int:
    """Check the environment; exit code 3 when something an audit needs is broken."""
    checks = [*_packages(), _torch(), *_plugins(), *_models(), _cache()]
    if console.as_json:
        console.data([{"check": c, "ok": ok, "found": found} for c, ok, found in checks])
    console.table("doctor", ["check", "", "found"], [[c, "ok" if ok else "BROKEN", f] for c, ok, f in checks])
    broken = [c for c, ok, _ in checks if not ok]
    code = 3 if broken else 0
    console.last(code, f"broken: {', '.join(broken)}" if broken else f"all {len(checks)} checks are fine")
    return code


def _packages() -> list[tuple[str, bool, str]]:
    checks = [("python", True, platform.python_version())]
    for name in _PACKAGES:
        try:
            checks.append((name, True, version(name)))
        except PackageNotFoundError:
            checks.append((name, False, "not installed"))
    return checks


def _torch() -> tuple[str, bool, str]:
    try:
        import torch
        import torchvision  # noqa: F401 - the two must load together
    except (ImportError, RuntimeError, OSError) as error:
        return "torch with torchvision", False, f"cannot be imported together: {error}"
    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    cpu = f"cpu ({torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads)"
    return "devices", True, ", ".join([cpu, *devices])


def _plugins() -> list[tuple[str, bool, str]]:
    from ganaudit import registry
    from ganaudit.document.errors import GanauditError

    checks = []
    for kind in registry.KINDS:
        broken = []
        for name in registry.names(kind):
            try:
                registry.find(kind, name)
            except GanauditError as error:
                broken.append(str(error))
        checks.append((kind, not broken, "; ".join(broken) or ", ".join(registry.names(kind))))
    return checks


def _models() -> list[tuple[str, bool, str]]:
    from ganaudit.auditing.setting import open_subject
    from ganaudit.config import AuditPlan
    from ganaudit.document.errors import GanauditError
    from ganaudit.locations import reference_models
    from ganaudit.progress import Silent

    checks = []
    for name in reference_models():
        try:
            subject = open_subject(AuditPlan(subject=name), Silent())
            checks.append((f"model {name}", True, subject.digest))
        except GanauditError as error:
            checks.append((f"model {name}", False, str(error)))
    return checks


def _cache() -> tuple[str, bool, str]:
    from ganaudit.locations import cache_dir

    folder: Path = cache_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        return "cache", False, f"{folder}: {error.strerror}; set GANAUDIT_CACHE to a folder that can be written"
    return "cache", True, str(folder)
