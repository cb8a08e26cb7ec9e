"""Reads a policy from TOML, collecting every problem at once."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ganaudit.document.errors import ConfigError, nearest
from ganaudit.document.gates import Gate, Policy, Waiver, doubled_ids, lost_waivers
from ganaudit.document.presets import PRESETS, preset

__all__ = ["Policy", "load_policy", "parse_policy", "problems_of", "pyproject_table"]


def problems_of(error: ValidationError, where: str, known: dict[str, list[str]] | None = None) -> list[str]:
    """Return one sentence per problem of a pydantic error, with the key, what was found and the nearest name."""
    sentences = []
    for problem in error.errors(include_url=False):
        key = ".".join(str(part) for part in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            section = str(problem["loc"][0]) if len(problem["loc"]) > 1 else ""
            message = _unknown(str(problem["loc"][-1]), section, known or {})
        elif problem["type"] == "missing":
            message = "required, but not given"
        elif problem["type"] in ("tuple_type", "list_type"):
            message = f"a list is asked for, in brackets (found {problem['input']!r})"
        else:
            message += f" (found {problem['input']!r})" if not isinstance(problem["input"], dict | list) else ""
        sentences.append(f"{where}: {key}: {message}" if key else f"{where}: {message}")
    return sentences


def _unknown(key: str, section: str, known: dict[str, list[str]]) -> str:
    """Return what to say of a key that a table has not: the table that has it, else the nearest one of its own."""
    others = [table or "the top level" for table, names in known.items() if key in names]
    if others:
        return f"unknown key; of this name there is one in {' and in '.join(others)}"
    names = known.get(section)
    return f"unknown key; {nearest(key, names)}" if names else "unknown key"


def parse_policy(data: dict[str, Any], where: str) -> Policy:
    """Return the policy in ``data``; raises ConfigError with every problem, each with its key."""
    known = {"": list(Policy.model_fields), "gate": list(Gate.model_fields), "waiver": list(Waiver.model_fields)}
    try:
        return Policy.model_validate(data)
    except ValidationError as error:
        told = problems_of(error, where, known)
        raise ConfigError(told + [problem for problem in _across(data, where) if problem not in told]) from None


def _across(data: dict[str, Any], where: str) -> list[str]:
    """Return what is wrong between the tables of a policy: pydantic does not get that far while one is wrong in itself.

    A table without a name that could be read says nothing of others.
    """
    ids, named = (_texts(data.get(table), key) for table, key in (("gate", "id"), ("waiver", "gate")))
    whole = isinstance(data.get("gate", []), list) and len(ids) == len(data.get("gate", []))
    found = {"gate": doubled_ids(ids), "waiver": lost_waivers(named, ids) if whole else None}
    return [f"{where}: {key}: {problem}" for key, problem in found.items() if problem]


def _texts(tables: Any, key: str) -> list[str]:
    rows = tables if isinstance(tables, list) else []
    return [row[key].strip() for row in rows if isinstance(row, dict) and isinstance(row.get(key), str)]


def load_policy(path: Path) -> Policy:
    """Read a policy file, or the ``[tool.ganaudit]`` or ``[tool.ganaudit.policy]`` table of a ``pyproject.toml``.

    The bare names of presets (smoke, standard, strict) are those policies, unless a file is called so.
    Raises ConfigError when the file is missing, is not TOML or holds anything a policy cannot.
    """
    if str(path) in PRESETS and not path.exists():
        return parse_policy(tomllib.loads(preset(str(path))), f"policy {path}")
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        near = f"; presets: {', '.join(PRESETS)}" if path.name == str(path) else ""
        raise ConfigError(
            f"policy {path}: no such file; --policy needs a TOML file with [[gate]] tables{near}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"policy {path}: cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"policy {path}: not valid TOML: {error}") from None
    if path.name == "pyproject.toml":
        data = _of_pyproject(pyproject_table(data))
    return parse_policy(data, f"policy {path}")


def pyproject_table(data: dict[str, Any]) -> dict[str, Any]:
    """Return the ``[tool.ganaudit]`` table of a ``pyproject.toml``, empty where there is none."""
    tool = data.get("tool")
    table = tool.get("ganaudit") if isinstance(tool, dict) else None
    return dict(table) if isinstance(table, dict) else {}


def _of_pyproject(table: dict[str, Any]) -> dict[str, Any]:
    # The table [tool.ganaudit.policy] may also hold ``file``, which is the plan's; without more it is no policy.
    nested = table.get("policy")
    own = {k: v for k, v in nested.items() if k != "file"} if isinstance(nested, dict) else {}
    return own or {k: v for k, v in table.items() if k in Policy.model_fields}
