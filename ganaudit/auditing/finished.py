"""What evaluators have found before, kept in the cache: the same question about the same evidence is answered once."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import platform
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from safetensors.torch import load, save
from torch import nn

import ganaudit
from ganaudit import locations, registry
from ganaudit.auditing.records import other_records, plan_record, reference_record, subject_record
from ganaudit.auditing.setting import Setting
from ganaudit.document.errors import OutputError
from ganaudit.document.files import write_atomically
from ganaudit.document.model import Detail, Measurement
from ganaudit.document.spec import Comparison, Exhibit, Findings
from ganaudit.evidence.store import digest_of
from ganaudit.features.extractor import Extractor
from ganaudit.subjects.digests import is_known, structure_of
from ganaudit.subjects.failures import Failures
from ganaudit.subjects.subject import Subject

__all__ = ["find", "keep", "key_of"]

_LOG = logging.getLogger("ganaudit")
_TRUSTED = ("data", "operators")
"""Levels of trust at which the digest of a subject tells all of it: Python code lies in no file that has one."""
_WORD = re.compile(r"[A-Za-z0-9_-]+")
_REQUIRED = re.compile(r"[A-Za-z0-9._-]+")
_MEASUREMENTS = TypeAdapter(list[Measurement])
_DETAILS = TypeAdapter(list[Detail])
_SHA = 64
"""Bytes of the digest in hexadecimal that a file begins with."""


def key_of(name: str, setting: Setting) -> dict[str, Any] | None:
    """Return everything that can change what an evaluator finds, or None where that cannot be told.

    It cannot where code takes part that is not ganaudit's own (evaluators, attacks, extractors and subjects of others),
    where an option names a file, and where a number is measured anew by each run, such as a time.
    """
    evaluator, evidence, options = setting.evaluators[name], setting.evidence, setting.options[name]
    subjects = [evidence.subject, *(other.subject for other in evidence.others.values())]
    is_told = (
        all(subject.trust in _TRUSTED for subject in subjects)
        and all(map(is_known, _networks(evidence.extractor, *subjects)))
        and all(_is_ours(part) for part in (evaluator, evidence.extractor))
        and not any(m.volatile for m in evaluator.spec.measurements)
        and all(_WORD.fullmatch(text) for text in _texts(options))
        and all(_is_ours(registry.find("attacks", attack)) for attack in options.get("attacks", ()))
    )
    if not is_told:
        return None
    device = evidence.subject.device
    return {
        "evaluator": name,
        "options": options,
        "subject": subject_record(setting).model_dump(mode="json"),
        "runtimes": [subject.runtime for subject in subjects],
        "networks": [structure_of(one) for one in _networks(None, *subjects)],
        "others": [other.model_dump(mode="json") for other in other_records(setting)],
        "reference": reference_record(setting).model_dump(mode="json"),
        "extractor": [evidence.extractor.id, evidence.extractor.digest, evidence.extractor.preprocessing],
        "plan": {k: v for k, v in plan_record(setting, None).items() if k not in ("evaluators", "review")},
        "protocol": setting.protocol.fingerprint,
        "processes": evidence.ranks.size,
        "code": _code(),
        "packages": _packages(),
        "device": device if device == "cpu" else torch.cuda.get_device_name(device),
        "machine": [platform.machine(), torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()],
    }


def find(key: dict[str, Any], failures: Failures, seed: int) -> Findings | None:
    """Return what was found under a key, or None where it is not there, or not as it was written.

    ``failures`` is told what was then known of the latents of ``seed`` that the generator failed on.
    """
    try:
        content = _path(key).read_bytes()
        digest, body = content[:_SHA], content[_SHA:]
        if hashlib.sha256(body).hexdigest().encode() != digest:
            return None
        found, failed = _unpacked(body)
    except FileNotFoundError:
        return None
    except Exception as error:  # whatever is wrong with a file of the cache, the work is only done again
        _LOG.info("%s cannot be read: %s", _path(key), error)
        return None
    for sample, redraws in failed.items():
        failures.note(seed, sample, redraws)
    return found


def keep(key: dict[str, Any], found: Findings, failures: Failures, seed: int) -> None:
    """Write what was found; where it cannot be written the next audit finds it again."""
    body = _packed(found, failures.of(seed))
    try:
        write_atomically(_path(key), hashlib.sha256(body).hexdigest().encode() + body)
    except OutputError as error:
        _LOG.info("%s", error)


def _path(key: Mapping[str, Any]) -> Path:
    digest = digest_of(dict(key))
    return locations.cache_dir() / "findings" / digest[:2] / f"{digest}.findings"


def _packed(found: Findings, failed: Mapping[int, int]) -> bytes:
    tensors: dict[str, torch.Tensor] = {}
    told = {
        "measurements": _MEASUREMENTS.dump_python(found.measurements, mode="json"),
        "details": _DETAILS.dump_python(found.details, mode="json"),
        "warnings": list(found.warnings),
        "failed": list(failed.items()),
        "conventions": dict(found.conventions),
        "exhibits": [_parts(e, f"exhibit {i}", tensors) for i, e in enumerate(found.exhibits)],
        "comparisons": [_parts(c, f"comparison {i}", tensors) for i, c in enumerate(found.comparisons)],
    }
    # A format without an empty file: one tensor is always there.
    tensors["none"] = torch.zeros(0)
    return save(tensors, {"findings": json.dumps(told, allow_nan=False)})


def _parts(row: Exhibit | Comparison, name: str, tensors: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Return the fields of a row that JSON holds; its tensors go where they belong, under the name of their field."""
    told: dict[str, Any] = {}
    for part in dataclasses.fields(row):
        value = getattr(row, part.name)
        if isinstance(value, torch.Tensor):
            tensors[f"{name} {part.name}"] = value.detach().cpu().contiguous()
        elif value is None or isinstance(value, str | float | int):
            told[part.name] = value
        else:
            told[part.name] = [one if isinstance(one, str) else _number(one) for one in value]
    return told


def _number(value: Any) -> int | float:
    plain = value.item() if hasattr(value, "item") else value
    return plain if isinstance(plain, int) else float(plain)


def _unpacked(body: bytes) -> tuple[Findings, dict[int, int]]:
    told = json.loads(_metadata(body)["findings"])
    tensors = load(body)
    rows: dict[str, list[Any]] = {"exhibit": [], "comparison": []}
    for kind, build in (("exhibit", Exhibit), ("comparison", Comparison)):
        for i, fields in enumerate(told[f"{kind}s"]):
            start = f"{kind} {i} "
            own: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
            own |= {name.removeprefix(start): t for name, t in tensors.items() if name.startswith(start)}
            rows[kind].append(build(**own))
    found = Findings(
        measurements=_MEASUREMENTS.validate_python(told["measurements"]),
        details=_DETAILS.validate_python(told["details"]),
        warnings=told["warnings"],
        conventions=told["conventions"],
        exhibits=rows["exhibit"],
        comparisons=rows["comparison"],
    )
    return found, {int(sample): int(redraws) for sample, redraws in told["failed"]}


def _metadata(body: bytes) -> dict[str, str]:
    size = int.from_bytes(body[:8], "little")
    found: dict[str, str] = json.loads(body[8 : 8 + size])["__metadata__"]
    return found


def _is_ours(part: Any) -> bool:
    kind = part if isinstance(part, type) else type(part)
    return kind.__module__.startswith("ganaudit.")


def _networks(extractor: Extractor | None, *subjects: Subject) -> Iterator[nn.Module]:
    yield from (one for one in getattr(extractor, "__dict__", {}).values() if isinstance(one, nn.Module))
    yield from (one for s in subjects for one in (s.generator, s.discriminator) if one is not None)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)


@cache
def _code() -> str:
    """Return the digest of all of ganaudit's own code: whatever is changed there, nothing older is believed."""
    root = Path(ganaudit.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


@cache
def _packages() -> dict[str, str]:
    """Return the versions of all that ganaudit may use: any of it may compute, or round, otherwise in another."""
    found = {}
    for line in requires("ganaudit") or []:
        named = _REQUIRED.match(line)
        assert named is not None, line
        try:
            found[named[0]] = version(named[0])
        except PackageNotFoundError:  # of an extra that is not installed
            found[named[0]] = ""
    return found
