"""Proves that a model file cannot run Python, nor touch other files, while torch reads it or runs it.

Both formats are meant to hold operators and tensors only, yet torch's reader of exported programs unpickles entries
that ask for it, evaluates symbolic sizes and guards as expressions, imports modules that an input spec names and writes
names into source it compiles; and both know operators that open files. Everything is therefore held against what torch
itself writes, and what passes is packed anew: torch reads the bytes that were looked at, in an archive that cannot be
read in two ways, and none of the entries it does not need.
"""

from __future__ import annotations

import ast
import io
import json
import pickletools
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ganaudit.document.errors import SubjectError

__all__ = ["vetted_exported_program", "vetted_torchscript"]

_MAX_JSON = 256 * 2**20
_MAX_MEMBERS = 200_000
# torch compresses the code of TorchScript and nothing else.
_MAX_UNPACKED = 256 * 2**20
_OBJECTS = re.compile(
    r"(.*/)?((custom|opaque)_obj[^/]*|aotinductor/.*|executorch/.*|[^/]*\.(so|py|pyc|cubin))", re.IGNORECASE | re.DOTALL
)
# What torch reads of an exported program, below the archive's one root folder.
_JSON = re.compile(r"models/\w+\.json|data/weights/\w+_weights_config\.json|data/constants/\w+_constants_config\.json")
_PICKLES = re.compile(r"data/(sample_inputs|weights|constants)/\w+\.pt")
_PLAIN = re.compile(
    r"data/weights/weight_\d+|data/constants/tensor_\d+|archive_format|archive_version|byteorder|\.data/\w+"
)
# What torch itself writes for a symbolic size: symbols with assumptions, numbers, arithmetic.
_FUNCTIONS = {
    "Symbol", "Integer", "Float", "Rational", "Add", "Mul", "Pow", "Max", "Min", "Abs", "Mod", "PythonMod", "FloorDiv",
    "CleanDiv", "CeilDiv", "ModularIndexing", "Where", "CeilToInt", "FloorToInt", "TruncToInt", "TruncToFloat",
    "RoundToInt", "RoundDecimal", "ToFloat", "LShift", "RShift", "PowByNatural", "FloatPow", "FloatTrueDiv",
    "IntTrueDiv", "Identity", "Eq", "Ne", "Lt", "Le", "Gt", "Ge", "Equality", "Unequality", "StrictLessThan",
    "LessThan", "StrictGreaterThan", "GreaterThan", "And", "Or", "Not", "IsNonOverlappingAndDenseIndicator", "len",
}  # fmt: skip
_METHODS = {"size", "shape", "stride", "dim", "storage_offset"}
_OF_MODULES = {"torch": re.compile(r"sym_\w+"), "math": re.compile(r"[a-z]\w*")}
_EXPRESSION_NODES = (
    ast.Expression, ast.Call, ast.Name, ast.Load, ast.Constant, ast.keyword, ast.BinOp, ast.UnaryOp, ast.Compare,
    ast.BoolOp, ast.Subscript, ast.operator, ast.unaryop, ast.cmpop, ast.boolop, ast.Attribute,
)  # fmt: skip
_EXPRESSION = re.compile(r"[\w\s.,()\[\]'+\-*/%<>=!~&|^]*")
_LITERAL = re.compile(r"[A-Za-z_]\w*|[\d.e+-]+")
# An operator is named by a path of attributes, and torch.os.system is such a path too. Some operators open files, and
# operators of higher order may call what they are given.
_OPERATORS = re.compile(
    r"torch\.ops\.(aten|prims|prim|quantized_decomposed)\.(?!from_file|save|load|_print|rpc)\w+(\.\w+)?"
    r"|torch\.ops\.higher_order\.(cond|while_loop|scan|associative_scan|map_impl|wrap_with_\w+)"
    r"|_operator\.(add|sub|mul|floordiv|truediv|mod|pow|neg|pos|abs|eq|ne|lt|le|gt|ge|and_|or_|not_|lshift|rshift|getitem)"
    r"|math\.[a-z]\w*|torch\._?sym_\w+"
)
_CONTAINERS = {None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"}
# Strings that torch hands on as values, or that are vetted on their own; all others become names in source.
_NO_NAMES = {"target", "as_operator", "expr_str", "guards_code", "in_spec", "out_spec", "as_string", "as_strings"}
_NAME = re.compile(r"[\w./ -]*")
_VERSION = re.compile(r"[\w.+-]*")
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
_FILES = re.compile(r"\b(save|from_file|rpc_\w+|\w*_rpc)\b")


def vetted_exported_program(path: Path) -> io.BytesIO:
    """Return the archive at ``path``, packed anew from the entries that torch needs.

    Raises SubjectError unless each of them is data that torch can read and run without running Python.
    """
    members = _members(path)
    for name in members:
        if _OBJECTS.fullmatch(name):
            raise _refused(path, name, "it holds an object or compiled code, not tensors and operators")
    root = next((name.partition("/")[0] for name in members if "/" in name), "")
    kept = {}
    for name, content in members.items():
        inside = name.removeprefix(f"{root}/")
        if _JSON.fullmatch(inside):
            kept[inside] = _vetted_json(path, name, content)
        elif _PICKLES.fullmatch(inside) and content:
            tensors = _vetted_pickle(path, name, content)
            # Inputs shown at export are not needed: no pickle is better than a good one.
            kept[inside] = b"" if "sample_inputs" in inside else tensors
        elif _PLAIN.fullmatch(inside):
            kept[inside] = content
    if not any(inside.startswith("models/") for inside in kept):
        raise SubjectError(f"{path}: holds no program; save it with torch.export.save of torch 2.8 or later")
    return _packed({f"program/{inside}": content for inside, content in kept.items()})


def vetted_torchscript(path: Path) -> io.BytesIO:
    """Return the TorchScript archive at ``path``, packed anew; raises SubjectError when its code may open files."""
    members = _members(path)
    for name, content in members.items():
        if name.lower().endswith(".py"):
            found = _FILES.search(content.decode("utf-8", "replace"))
            if found:
                why = f"its code says {found[0]!r}, by which TorchScript reaches files"
                raise _refused(path, name, why, "touch files")
    return _packed(members)


def _members(path: Path, source: io.BytesIO | None = None, size: int | None = None) -> dict[str, bytes]:
    """Return the entries of a zip archive as torch writes one: each once, none over another, little of it compressed.

    The archive is the file at ``path``, or ``source`` of ``size`` bytes inside it.
    """
    size = path.stat().st_size if size is None else size
    try:
        with zipfile.ZipFile(source or path) as archive:
            infos = archive.infolist()
            if len(infos) > _MAX_MEMBERS:
                raise SubjectError(f"{path}: {len(infos)} entries; allowed: {_MAX_MEMBERS}")
            # torch finds entries without regard to case, so two may be one to it.
            if len({info.filename.casefold() for info in infos}) < len(infos):
                raise SubjectError(f"{path}: holds two entries of one name; save the program again")
            stored = [info.file_size for info in infos if info.compress_type == zipfile.ZIP_STORED]
            if sum(stored) > size:
                raise SubjectError(f"{path}: its entries claim more bytes than the file has; save the program again")
            unpacked = sum(info.file_size for info in infos) - sum(stored)
            if unpacked > _MAX_UNPACKED:
                raise SubjectError(f"{path}: would unpack to {unpacked} bytes; allowed: {_MAX_UNPACKED}")
            return {info.filename: archive.read(info) for info in infos}
    except SubjectError:
        raise
    except Exception as error:  # zipfile raises anything from struct.error to NotImplementedError on a broken archive
        raise SubjectError(f"{path}: not a whole zip archive, as torch writes one: {error}") from None


def _packed(members: dict[str, bytes]) -> io.BytesIO:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    packed.seek(0)
    return packed


def _vetted_json(path: Path, name: str, content: bytes) -> bytes:
    """Return the JSON without the metadata of nodes, which says where they come from and ends in comments of source."""
    if len(content) > _MAX_JSON:
        raise _refused(path, name, f"{len(content)} bytes of JSON; allowed: {_MAX_JSON}")
    try:
        value = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise SubjectError(f"{path}: entry {name!r} holds JSON that cannot be read: {error}") from None
    for key, found in _entries(value):
        problem = _problem(key, found)
        if problem:
            raise _refused(path, name, problem)
    return json.dumps(value).encode()


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every key with its value, and every element of a list with the key of the list."""
    pending: list[tuple[str, Any]] = [("", value)]
    while pending:
        key, current = pending.pop()
        if isinstance(current, dict):
            if isinstance(current.get("metadata"), dict):
                current["metadata"] = {}
            for inner, found in current.items():
                yield "" if key == "range_constraints" else "(key)", inner
                yield inner, found
                pending.append((inner, found))
        elif isinstance(current, list):
            for found in current:
                if isinstance(found, str):
                    yield key, found
                pending.append((key, found))


def _problem(key: str, found: Any) -> str | None:
    """Return what is wrong with one entry of the JSON, or None."""
    if key == "use_pickle" and found:
        return "it asks for unpickling"
    if key == "path_name" and str(found).startswith(("custom_obj", "opaque_obj")):
        return "it asks for an object that is not a tensor"
    if not isinstance(found, str):
        return None
    checks: dict[str, Callable[[str], str | None]] = {
        "target": _operator_problem,
        "as_operator": _operator_problem,
        "expr_str": _expression_problem,
        "guards_code": _expression_problem,
        "": _expression_problem,
        "in_spec": _spec_problem,
        "out_spec": _spec_problem,
    }
    if key in checks:
        return checks[key](found)
    allowed = _VERSION if key == "torch_version" else _NAME
    if key not in _NO_NAMES and not allowed.fullmatch(found):
        return f"the name {found[:80]!r} is more than a name"
    return None


def _operator_problem(text: str) -> str | None:
    return None if _OPERATORS.fullmatch(text) else f"it calls {text[:80]!r}, which is not an operator it may use"


def _spec_problem(text: str) -> str | None:
    """Return what is wrong with the description of nested inputs or outputs: containers and their keys, no more."""
    told = f"the structure {text[:80]!r} is more than tuples, lists and dicts"
    try:
        pending = [json.loads(text)]
        while pending:
            current = pending.pop()
            if isinstance(current, list):
                pending.extend(current)
            elif isinstance(current, dict):
                keys = json.loads(current["context"]) if current["context"] is not None else None
                plain = isinstance(keys, list) and all(isinstance(k, str) and k.isidentifier() for k in keys)
                if current["type"] not in _CONTAINERS or not (keys is None or plain):
                    return told
                pending.extend(current["children_spec"])
            elif not isinstance(current, int):
                return told
    except (ValueError, KeyError, TypeError, RecursionError):
        return told
    return None


def _expression_problem(text: str) -> str | None:
    told = f"the expression {text[:80]!r} is more than arithmetic on sizes"
    # Comments and line breaks would travel into the source that torch writes around a guard.
    if not _EXPRESSION.fullmatch(text) or "\n" in text or "\r" in text:
        return told
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return told
    good = all(isinstance(node, _EXPRESSION_NODES) and _plain(node) for node in ast.walk(tree))
    return None if good else told


def _plain(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        # A call of an attribute is held against the attributes below.
        function = node.func
        return function.id in _FUNCTIONS if isinstance(function, ast.Name) else isinstance(function, ast.Attribute)
    if isinstance(node, ast.Attribute):
        if isinstance(node.value, ast.Name) and node.value.id in _OF_MODULES:
            return _OF_MODULES[node.value.id].fullmatch(node.attr) is not None
        return node.attr in _METHODS
    if isinstance(node, ast.Name):
        return "__" not in node.id
    if isinstance(node, ast.Constant):
        # sympify parses strings again, so a string may only be a symbol's name or a number.
        value = node.value
        return isinstance(value, int | float) or (isinstance(value, str) and _LITERAL.fullmatch(value) is not None)
    return True


def _vetted_pickle(path: Path, name: str, content: bytes) -> bytes:
    """Return a nested ``torch.save`` archive, packed anew; refuse one whose pickle names anything but tensors."""
    # torch looks at the first bytes only, zipfile at the last: an old pickle with an archive behind it is both.
    if not content.startswith(b"PK\x03\x04"):
        raise _refused(path, name, "it is a pickle in an old format")
    members = _members(path, io.BytesIO(content), len(content))
    for member, pickled in members.items():
        if member.lower().endswith(".pkl"):
            problem = _pickle_problem(pickled)
            if problem:
                raise _refused(path, f"{name}/{member}", problem)
    return _packed(members).getvalue()


def _pickle_problem(pickled: bytes) -> str | None:
    try:
        return next((f"its pickle asks for {found!r}" for found in _globals(pickled) if found not in _GLOBALS), None)
    except Exception as error:  # pickletools raises anything on a broken pickle
        return f"its pickle cannot be read: {error}"


def _globals(pickled: bytes) -> Iterator[str]:
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name in ("GLOBAL", "INST"):
            yield str(argument)
        elif opcode.name in ("STACK_GLOBAL", "EXT1", "EXT2", "EXT4"):
            # A name made on the stack cannot be told without running the pickle; torch.save never writes one.
            yield opcode.name


def _refused(path: Path, entry: str, why: str, could: str = "run Python") -> SubjectError:
    return SubjectError(f"{path}: refused unread: in entry {entry!r} {why}; it could {could} while being loaded or run")
