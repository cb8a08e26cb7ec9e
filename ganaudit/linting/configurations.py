"""Reads TOML of ours: policies, and plans of audits."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from ganaudit import registry
from ganaudit.config import load_plan
from ganaudit.document.errors import SourceError
from ganaudit.document.gates import Policy
from ganaudit.document.policy import load_policy, pyproject_table
from ganaudit.linting.claim import Sheet
from ganaudit.linting.rows import Reader

__all__ = ["read_toml"]


def read_toml(file: Path, text: str) -> Sheet:
    """Return what a policy, a plan of an audit, a ``pyproject.toml`` with either, or a table of claims states.

    Raises ConfigError when a policy or plan cannot be read, SourceError when the file is none of these.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SourceError(f"{file}: not valid TOML: {error}") from None
    table = pyproject_table(data) if file.name == "pyproject.toml" else data
    if _keys(table) & _POLICY:
        policy = load_policy(file)
        # A pyproject.toml may hold both; a policy file holds nothing else.
        plan = load_plan(file, {}, registry.names("evaluators")) if set(table) & _OF_A_PLAN else None
        return Sheet("policy", policy=policy, plan=plan)
    if "generator" not in table and set(table) & _OF_A_PLAN:
        return Sheet("plan", plan=load_plan(file, {}, registry.names("evaluators")))
    reader = Reader()
    reader.read(table)
    if not reader.claims:
        raise SourceError(
            f"{file}: found neither gates of a policy, nor a plan of an audit, nor claims; a training configuration "
            "is checked by `ganaudit train CONFIG --dry-run`"
        )
    return Sheet("claims", tuple(reader.claims), tuple(reader.oddities))


_POLICY = set(Policy.model_fields)
_OF_A_PLAN = {"subject", "reference", "evaluators", "profile", "against", "until", "others", "protocol"}
"""Keys that only a plan of an audit has at its top."""


def _keys(table: dict[str, Any]) -> set[str]:
    nested = table.get("policy")
    own = set(nested) - {"file"} if isinstance(nested, dict) else set()
    return set(table) | own
