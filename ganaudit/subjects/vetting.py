"""Proves that an exported program cannot run Python while torch reads it.

The format is meant to hold operators and tensors only, yet torch's reader unpickles entries that ask for it and
evaluates symbolic sizes and guards as expressions. An archive that uses any of these beyond plain arithmetic is
refused before torch sees it.
"""

from __future__ import annotations

import ast
import io
import json
import pickletools
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ganaudit.document.errors import SubjectError

__all__ = ["vet_exported_program"]

_MAX_JSON = 256 * 2**20
_MAX_MEMBERS = 200_000
# What torch itself writes for a symbolic size: symbols with assumptions, integers, arithmetic.
_FUNCTIONS = {
    "Symbol", "Integer", "Add", "Mul", "Pow", "Max", "Min", "Mod", "PythonMod", "FloorDiv", "CleanDiv", "CeilDiv",
    "Eq", "Ne", "Lt", "Le", "Gt", "Ge", "And", "Or", "Not", "Rational", "size", "shape", "stride", "dim", "len",
}  # fmt: skip
_EXPRESSION_NODES = (
    ast.Expression, ast.Call, ast.Name, ast.Load, ast.Constant, ast.keyword, ast.BinOp, ast.UnaryOp, ast.Compare,
    ast.BoolOp, ast.Subscript, ast.operator, ast.unaryop, ast.cmpop, ast.boolop, ast.Attribute,
)  # fmt: skip
# An operator is named by a path of attributes, and torch.os.system is such a path too.
_OPERATORS = re.compile(
    r"torch\.ops\.(aten|prims|prim|higher_order|quantized_decomposed)\.\w+(\.\w+)?"
    r"|_operator\.(?!methodcaller|attrgetter|call)\w+|math\.\w+|torch\.sym_\w+"
)
# A pickle of tensors needs these and nothing else.
_GLOBALS = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    "torch FloatStorage",
    "torch DoubleStorage",
    "torch HalfStorage",
    "torch BFloat16Storage",
    "torch LongStorage",
    "torch IntStorage",
    "torch BoolStorage",
    "torch ByteStorage",
}


def vet_exported_program(path: Path) -> None:
    """Raise SubjectError unless every entry of the archive is data torch can read without running Python."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > _MAX_MEMBERS:
                raise SubjectError(f"{path}: {len(members)} entries; allowed: {_MAX_MEMBERS}")
            for member in members:
                _vet_member(path, archive, member)
    except zipfile.BadZipFile:
        raise SubjectError(f"{path}: not an exported program (.pt2 files are zip archives)") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise SubjectError(f"{path}: holds JSON that cannot be read: {error}") from None


def _vet_member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    name = member.filename
    base = name.rsplit("/", 1)[-1]
    if base.startswith(("custom_obj", "opaque_obj")) or "/aotinductor/" in name or base.endswith((".so", ".py")):
        raise _refused(path, name, "it holds an object or compiled code, not tensors and operators")
    if base.endswith(".json"):
        if member.file_size > _MAX_JSON:
            raise _refused(path, name, f"{member.file_size} bytes of JSON; allowed: {_MAX_JSON}")
        _vet_json(path, name, json.loads(archive.read(member).decode("utf-8")))
    elif base.endswith(".pt") and member.file_size:
        _vet_pickles(path, name, archive.read(member))


def _vet_json(path: Path, name: str, value: Any) -> None:
    for key, found in _entries(value):
        if key == "use_pickle" and found:
            raise _refused(path, name, "it asks for unpickling")
        if key == "path_name" and str(found).startswith(("custom_obj", "opaque_obj")):
            raise _refused(path, name, "it asks for an object that is not a tensor")
        if key in ("target", "as_operator") and isinstance(found, str) and not _OPERATORS.fullmatch(found):
            raise _refused(path, name, f"it calls {found[:80]!r}, which is not an operator")
        if key == "expr_str":
            _vet_expression(path, name, str(found))
        if key == "guards_code":
            for guard in found or []:
                _vet_expression(path, name, str(guard))


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    pending = [value]
    while pending:
        current = pending.pop()
        if isinstance(current, dict):
            yield from current.items()
            pending.extend(current.values())
        elif isinstance(current, list):
            pending.extend(current)


def _vet_expression(path: Path, name: str, text: str) -> None:
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError):
        raise _refused(path, name, f"the expression {text[:80]!r} is not arithmetic") from None
    for node in ast.walk(tree):
        if not isinstance(node, _EXPRESSION_NODES) or not _plain(node):
            raise _refused(path, name, f"the expression {text[:80]!r} is more than arithmetic on sizes")


def _plain(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        function = node.func
        named = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
        return named in _FUNCTIONS
    if isinstance(node, ast.Attribute):
        return node.attr in _FUNCTIONS
    if isinstance(node, ast.Name):
        return "__" not in node.id
    if isinstance(node, ast.Constant):
        # sympify parses strings again, so a string may only be a symbol's name.
        return isinstance(node.value, int | float | bool) or (isinstance(node.value, str) and node.value.isidentifier())
    return True


def _vet_pickles(path: Path, name: str, content: bytes) -> None:
    """Refuse a nested ``torch.save`` archive whose pickle names anything but tensors."""
    if not zipfile.is_zipfile(io.BytesIO(content)):
        raise _refused(path, name, "it is a pickle in an old format")
    with zipfile.ZipFile(io.BytesIO(content)) as nested:
        for member in nested.namelist():
            if member.endswith(".pkl"):
                for found in _globals(nested.read(member)):
                    if found not in _GLOBALS:
                        raise _refused(path, f"{name}/{member}", f"its pickle asks for {found!r}")


def _globals(pickled: bytes) -> Iterator[str]:
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name in ("GLOBAL", "INST"):
            yield str(argument)
        elif opcode.name in ("STACK_GLOBAL", "EXT1", "EXT2", "EXT4"):
            # A name made on the stack cannot be told without running the pickle; torch.save never writes one.
            yield opcode.name


def _refused(path: Path, entry: str, why: str) -> SubjectError:
    return SubjectError(f"{path}: refused unread: in entry {entry!r} {why}; it could run Python while being loaded")
