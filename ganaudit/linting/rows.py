"""Turns nested data into claims: rows of ``metric, value``, tables with a column for each metric, JSON of any depth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ganaudit.linting.claim import Claim, Oddity
from ganaudit.linting.fields import NAMES_OF_METRIC, NAMES_OF_VALUE, SIDES, field_of, read_field
from ganaudit.linting.metrics import normal, recognise
from ganaudit.linting.tools import completed, tool_of
from ganaudit.linting.writing import measured, unsaid

__all__ = ["Reader"]

_SETTINGS = {"protocol", "config", "settings", "meta", "metadata", "conditions", "setup", "options"}
_NO_MODEL = {"results", "metrics", "scores", "summary", "data", "evaluation", "eval", "values", "rows"} | _SETTINGS
_DEEPEST = 64
MOST_KEYS = 2_000
"""Keys of one object or columns of one table; of more, no metric is looked for."""


@dataclass(slots=True)
class Reader:
    """Collects the claims of one file."""

    commas: bool = False
    """Whether a comma is the decimal mark."""
    claims: list[Claim] = field(default_factory=list)
    oddities: list[Oddity] = field(default_factory=list)

    def read(self, node: Any, where: str = "", said: Mapping[str, Any] | None = None, depth: int = 0) -> None:
        """Collect the claims in ``node``; ``said`` is what the levels above it say of all of them."""
        if depth > _DEEPEST:
            told = f"nested deeper than {_DEEPEST} levels; nothing below was read"
            self.oddities.append(Oddity("unread-field", _cut(where), "", told))
            return
        if isinstance(node, list):
            for index, item in enumerate(node, start=1):
                if isinstance(item, dict | list):
                    self.read(item, f"{where}[{index}]", said, depth + 1)
        elif isinstance(node, dict):
            self._read_table(node, where, dict(said or {}), depth)

    def _read_table(self, node: dict[str, Any], where: str, said: dict[str, Any], depth: int) -> None:
        if len(node) > MOST_KEYS:
            told = f"one object has {len(node)} keys; objects of at most {MOST_KEYS} are read"
            self.oddities.append(Oddity("unread-field", where, "", told))
            return
        said |= self._fields(node, where)
        tool = tool_of(list(node))
        if tool and "tool" not in said:
            said["tool"] = tool
        for key in node:
            if normal(key) in _SETTINGS and isinstance(node[key], dict):
                said |= self._fields(node[key], f"{where}/{key}")
        if self._read_row(node, where, said):
            return
        for key, value in node.items():
            place = f"{where}/{key}" if where else key
            if not self._read_cell(node, key, value, place, said) and isinstance(value, dict | list):
                named = {} if normal(key) in _NO_MODEL or field_of(key) or "model" in said else {"model": key}
                self.read(value, place, said | named, depth + 1)

    def _read_row(self, node: dict[str, Any], where: str, said: dict[str, Any]) -> bool:
        """Read a table that is one number: its metric in one cell, its value in another."""
        cells = {normal(key): value for key, value in node.items()}
        name = next((cells[key] for key in NAMES_OF_METRIC if isinstance(cells.get(key), str)), None)
        value = next((cells[key] for key in NAMES_OF_VALUE if key in cells), None)
        if name is None or isinstance(value, dict | list) or not any(key in cells for key in NAMES_OF_VALUE):
            return False
        found = recognise(name)
        if found is None:
            told = "no metric that is known; nothing was checked of it"
            self.oddities.append(Oddity("unknown-metric", where, name, told))
        elif not unsaid(value):
            self._claim(found, name, value, where, said)
        return True

    def _read_cell(self, node: dict[str, Any], key: str, value: Any, place: str, said: dict[str, Any]) -> bool:
        """Read a cell whose key is the name of a metric; return whether it was one."""
        plain = normal(key)
        if plain in NAMES_OF_METRIC or plain in NAMES_OF_VALUE or plain.rpartition("_")[2] in SIDES:
            return plain.rpartition("_")[2] in SIDES
        found = recognise(key)
        if found is None:
            return False
        if isinstance(value, dict):
            inner = next((value[k] for k in value if normal(k) in NAMES_OF_VALUE), None)
            if inner is None:
                return False
            self._claim(found, key, inner, place, said | self._fields(value, place))
            return True
        sides = self._sides(node, plain.removesuffix("_mean"))
        if isinstance(value, list) and len(value) == 2 and found[0] in ("kid", "is"):
            value, sides = value[0], {"std": read_std(value[1], self.commas), **sides}
        if measured(value, self.commas) is None:
            return False
        self._claim(found, key, value, place, said | sides)
        return True

    def _sides(self, node: dict[str, Any], stem: str) -> dict[str, Any]:
        """Return what keys such as ``<stem>_std`` and ``<stem>_ci`` say."""
        found: dict[str, Any] = {}
        for key, value in node.items():
            plain = normal(key)
            if not plain.startswith(f"{stem}_"):
                continue
            rest = plain.removeprefix(f"{stem}_")
            meant = field_of(SIDES.get(rest, rest))
            if meant is not None and meant.name not in ("split", "model", "selection"):
                found |= read_field(meant, value, self.commas) or {}
        return found

    def _fields(self, node: Mapping[str, Any], where: str) -> dict[str, Any]:
        said: dict[str, Any] = {}
        for key, value in node.items():
            meant = field_of(key)
            if meant is None or (isinstance(value, dict | list) and "+" not in meant.name and meant.name != "range"):
                continue
            found = read_field(meant, value, self.commas)
            if found is None and meant.name == "threshold" and isinstance(value, str) and value.strip():
                said["threshold_source"] = value  # "best on test": how it was chosen stands where its value should
            elif found is None:
                told = f"{key} = {_cut(value)} cannot be read; asked for is {meant.asked}"
                self.oddities.append(Oddity("unread-field", where, str(key), told))
            else:
                said |= found
        return said

    def _claim(
        self, found: tuple[str, dict[str, Any]], name: str, cell: Any, where: str, said: Mapping[str, Any]
    ) -> None:
        metric, hints = found
        numbers = measured(cell, self.commas)
        if numbers is None:
            told = f"its value {_cut(cell)} is no number"
            self.oddities.append(Oddity("unread-field", where, name, told))
            return
        fields = {"value": None} | dict(hints) | dict(said) | numbers
        if metric in ("precision", "recall") and ("threshold" in fields or "base_rate" in fields):
            metric = {"precision": "detector-precision", "recall": "tpr"}[metric]
        self.claims.append(completed(Claim(metric=metric, name=name, where=where, **fields)))


def read_std(value: Any, commas: bool) -> float | None:
    """Return the second of two numbers that stand for a mean and a spread."""
    numbers = measured(value, commas)
    return None if numbers is None else float(numbers["value"])


def _cut(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
