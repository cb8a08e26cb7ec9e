"""Hostile exported programs, each made from a good one: none is run, and each is shown to work without vetting."""

import io
import json
import pickle
import struct
import sys
import zipfile
import zlib

import pytest
import torch

from ganaudit.document.errors import SubjectError
from ganaudit.programs import vetting
from ganaudit.programs.exported import read_program
from ganaudit.programs.vetting import vetted_exported_program

from .networks import members, zipped

ROOT = "dynamic/"
MODEL = ROOT + "models/model.json"
WEIGHTS = ROOT + "data/weights/model_weights_config.json"
INPUTS = ROOT + "data/sample_inputs/model.pt"
CONSTANTS = ROOT + "data/constants/model_constants_config.json"


def command(mark):
    return f"__import__('os').system('touch {mark}')"


def edited(content, name, change):
    data = json.loads(content[name])
    change(data)
    content[name] = json.dumps(data).encode()


def pickled(value, **more):
    buffer = io.BytesIO()
    torch.save(value, buffer, **more)
    return buffer.getvalue()


def pickled_weight(content, trap):
    def change(data):
        name = next(iter(data["config"]))
        data["config"][name]["use_pickle"] = True
        content[ROOT + "data/weights/" + data["config"][name]["path_name"]] = pickled(trap)

    edited(content, WEIGHTS, change)


def guard(content, trap):
    edited(content, MODEL, lambda data: data.update(guards_code=[f"{command(trap.mark)} == 0"]))


def expression(content, trap):
    def change(data):
        for value in data["graph_module"]["graph"]["tensor_values"].values():
            for size in value["sizes"]:
                if "as_expr" in size:
                    size["as_expr"]["expr_str"] = command(trap.mark)

    edited(content, MODEL, change)


def sample_inputs(content, trap):
    content[INPUTS] = pickled((trap, {}))


def opaque_constant(content, trap):
    meta = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}
    edited(content, CONSTANTS, lambda data: data["config"].update(x=meta))
    content[ROOT + "data/constants/opaque_obj_0"] = pickle.dumps(trap)


def old_pickle_before_an_archive(content, trap):
    content[INPUTS] = pickled(trap, _use_new_zipfile_serialization=False) + content[INPUTS]


def pickle_in_capitals(content, trap):
    nested = io.BytesIO(pickled((trap, {})))
    renamed = io.BytesIO()
    with zipfile.ZipFile(nested) as old, zipfile.ZipFile(renamed, "w") as new:
        for info in old.infolist():
            new.writestr(info.filename.replace("data.pkl", "data.PKL"), old.read(info))
    content[INPUTS] = renamed.getvalue()


def model_in_capitals(content, trap):
    guard(content, trap)
    content[ROOT + "models/model.jSon"] = content.pop(MODEL)


def module_of_a_structure(content, trap, structure=None):
    folder = trap.mark.parent
    (folder / "brought_by_the_attacker.py").write_text(f"import os\nos.system('touch {trap.mark}')\nx = int\n")
    leaf = {"type": None, "context": None, "children_spec": []}
    context = {
        "default_factory_module": "brought_by_the_attacker",
        "default_factory_name": "x",
        "dict_context": ["a"],
    }
    structure = structure or {"type": "collections.defaultdict", "context": context, "children_spec": [leaf]}

    def change(data):
        data["graph_module"]["module_call_graph"][0]["signature"]["out_spec"] = json.dumps([1, structure])

    edited(content, MODEL, change)


def enumeration_of_a_structure(content, trap):
    leaf = {"type": None, "context": None, "children_spec": []}
    enum = [{"__enum__": True, "fqn": "brought_by_the_attacker:x", "name": "x"}]
    structure = {"type": "builtins.dict", "context": json.dumps(enum), "children_spec": [leaf]}
    module_of_a_structure(content, trap, structure)


def input_name(content, trap):
    evil = json.dumps(f"z={command(trap.mark)}")
    content[MODEL] = (
        content[MODEL].replace(b'"name": "z"', f'"name": {evil}'.encode()).replace(b'"z":', f"{evil}:".encode())
    )


def reading_operator(content, trap):
    arguments = [
        {"name": "filename", "arg": {"as_string": str(trap.mark)}, "kind": 1},
        {"name": "shared", "arg": {"as_bool": True}, "kind": 1},
        {"name": "size", "arg": {"as_int": 192}, "kind": 1},
    ]

    def change(data):
        node = next(n for n in data["graph_module"]["graph"]["nodes"] if n["target"].endswith("tanh.default"))
        node.update(target="torch.ops.aten.from_file.default", inputs=arguments)

    edited(content, MODEL, change)


# Those that torch falls for when nobody vets: the list is what makes the tests of refusal mean something.
WORKING = [
    pickled_weight,
    guard,
    expression,
    sample_inputs,
    opaque_constant,
    old_pickle_before_an_archive,
    pickle_in_capitals,
    model_in_capitals,
    module_of_a_structure,
    enumeration_of_a_structure,
    input_name,
    reading_operator,
]


def run_unvetted(path):
    try:
        torch.export.load(str(path)).module()(torch.zeros(4, 8))
    except Exception:  # the attack is over by then
        return


@pytest.fixture
def hostile(programs, tmp_path, trap, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "brought_by_the_attacker", raising=False)

    def make(attack):
        content = members(programs["dynamic"])
        attack(content, trap)
        return zipped(tmp_path / "dynamic.pt2", content)

    yield make
    sys.modules.pop("brought_by_the_attacker", None)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("attack", WORKING, ids=lambda attack: attack.__name__)
def test_an_attack_that_works_on_torch_is_refused_before_torch_sees_it(hostile, trap, attack):
    path = hostile(attack)
    with pytest.raises(SubjectError) as caught:
        read_program(path, "cpu")
    assert str(path) in str(caught.value)
    assert not trap.mark.exists()
    assert "brought_by_the_attacker" not in sys.modules
    run_unvetted(path)
    if not trap.mark.exists():
        pytest.skip("this torch withstands the attack without help")


@pytest.mark.parametrize(
    "put",
    [
        lambda data, name: data["graph_module"]["module_call_graph"][0]["signature"].update(forward_arg_names=[name]),
        lambda data, name: data["graph_module"]["graph"]["nodes"][0].update(name=name),
        lambda data, name: data["graph_module"]["graph"]["outputs"][0]["as_tensor"].update(name=name),
        lambda data, name: data["graph_module"]["graph"]["tensor_values"].update({name: {}}),
        lambda data, name: data["graph_module"]["signature"]["input_specs"][0]["parameter"].update(parameter_name=name),
        lambda data, name: data["range_constraints"].update({name: {"min_val": 2, "max_val": 3}}),
    ],
)
@pytest.mark.parametrize("name", ["z=print(1)", 'a"b', "a'b", "a(b)", "a\nb", "a:b", "a\\b", "a#b", "a;b"])
def test_a_name_that_would_be_more_in_source_is_refused(hostile, put, name):
    path = hostile(lambda content, trap: edited(content, MODEL, lambda data: put(data, name)))
    with pytest.raises(SubjectError, match=r"refused unread: .* more than"):
        read_program(path, "cpu")


def set_target(target):
    def attack(content, trap):
        def change(data):
            data["graph_module"]["graph"]["nodes"][0]["target"] = target

        edited(content, MODEL, change)

    return attack


@pytest.mark.parametrize(
    "target",
    [
        "torch.os.system",
        "torch.ops.aten.save",
        "torch.ops.higher_order.flat_apply",
        "torch.ops.higher_order.call_torchbind",
        "torch.load",
        "torch.ops.load_library",
        "torch.classes.load_library",
        "_operator.attrgetter",
        "_operator.methodcaller",
        "_operator.call",
        "math.__loader__",
        "#anything",
        "os.system",
        "torch.ops.aten.tanh.default\n",
        "",
    ],
)
def test_what_is_no_operator_is_not_called(hostile, trap, target):
    with pytest.raises(SubjectError, match=r"refused unread: .* which is not an operator it may use"):
        read_program(hostile(set_target(target)), "cpu")
    assert not trap.mark.exists()


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('x')",
        "L['z'].__class__",
        "(lambda: 1)()",
        "[x for x in y]",
        "eval('1')",
        "L['z'].size.__call__(0)",
        "torch.os.system('x') == 0",
        "torch.sym_max.__globals__",
        "Symbol('__import__(1)')",
        "1 == 1 # \n",
        "(1 == 1 # a comment\n)",
        "f'{1}' == 1",
        "x := 1",
        "Symbol('a b')",
        'L["z"] == 1',
        "a if b else c",
        "getattr(a, 'b')",
    ],
)
@pytest.mark.parametrize("where", ["guard", "size"])
def test_an_expression_is_arithmetic_and_nothing_else(hostile, text, where):
    def attack(content, trap):
        if where == "guard":
            edited(content, MODEL, lambda data: data.update(guards_code=[text]))
        else:
            expr = {"as_expr": {"expr_str": text, "hint": None}}
            edited(content, MODEL, lambda data: data["graph_module"]["graph"]["sym_int_values"].update(s=expr))

    with pytest.raises(SubjectError, match="more than arithmetic on sizes"):
        read_program(hostile(attack), "cpu")


@pytest.mark.parametrize(
    "text",
    [
        "L['z'].size()[0] >= 2",
        "((8*L['z'].size()[0]) % (2*(L['z'].size()[0] // 2))) == 0",
        "torch.sym_max(1, L['z'].size()[0] // 2) != 1",
        "math.floor(2.5*L['z'].size()[0]) <= 4096",
        "not (L['z'].size()[0] == 3) and True",
    ],
)
def test_the_guards_that_torch_writes_pass(hostile, text):
    def attack(content, trap):
        edited(content, MODEL, lambda data: data.update(guards_code=[text]))

    assert read_program(hostile(attack), "cpu").latent == 8


def raw(change):
    def attack(content, trap):
        change(content)

    return attack


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda c: c.update({ROOT + "data/constants/custom_obj_0": b"x"}), "an object or compiled code"),
        (lambda c: c.update({ROOT + "data/Constants/Custom_Obj_0": b"x"}), "an object or compiled code"),
        (lambda c: c.update({ROOT + "data/aotinductor/model/m.so": b"x"}), "an object or compiled code"),
        (lambda c: c.update({ROOT + "extra/run.py": b"x"}), "an object or compiled code"),
        (lambda c: c.update({INPUTS: b"\x80\x04."}), "a pickle in an old format"),
        (lambda c: c.update({INPUTS: c[INPUTS][:-30]}), "not a whole zip archive"),
        (lambda c: c.update({MODEL: b"{"}), "JSON that cannot be read"),
        (lambda c: c.update({MODEL: b"\xff"}), "JSON that cannot be read"),
        (lambda c: c.update({MODEL: b"[" * 100_000}), "JSON that cannot be read"),
        (lambda c: c.update({MODEL: b"{}"}), "torch cannot read it"),
        (lambda c: c.pop(MODEL), "holds no program"),
        (lambda c: c.pop(WEIGHTS), "torch cannot read it"),
        (lambda c: c.pop(ROOT + "data/weights/weight_0"), "torch cannot read it"),
        (lambda c: c.update({MODEL.upper(): c[MODEL]}), "two entries of one name"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_an_archive_that_is_not_what_torch_writes_is_refused(hostile, change, told):
    path = hostile(raw(change))
    with pytest.raises(SubjectError, match=told) as caught:
        read_program(path, "cpu")
    assert str(path) in str(caught.value)


def test_entries_that_torch_does_not_need_are_not_given_to_it(hostile):
    path = hostile(raw(lambda c: c.update({ROOT + "extra/note.txt": b"hello", "other/models/model.json": b"{}"})))
    with zipfile.ZipFile(vetted_exported_program(path)) as archive:
        names = archive.namelist()
        assert archive.read("program/data/sample_inputs/model.pt") == b""
    assert not [name for name in names if "extra" in name or "other" in name]
    assert read_program(path, "cpu").latent == 8


def test_a_compressed_or_corrupt_archive_is_told(programs, tmp_path, monkeypatch):
    content = members(programs["dynamic"])
    path = zipped(tmp_path / "dynamic.pt2", content, zipfile.ZIP_DEFLATED)
    assert read_program(path, "cpu").latent == 8
    monkeypatch.setattr(vetting, "_MAX_UNPACKED", 100_000)
    zipped(path, content | {ROOT + "bomb": b"0" * 100_001}, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 50_000
    with pytest.raises(SubjectError, match=r"would unpack to \d+ bytes; allowed: 100000"):
        read_program(path, "cpu")
    content = programs["dynamic"].read_bytes()
    for cut in (0, 1, 50, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:cut])
        with pytest.raises(SubjectError, match="not a whole zip archive") as caught:
            read_program(path, "cpu")
        assert str(path) in str(caught.value)
    place = content.index(b'"graph_module"')
    path.write_bytes(content[:place] + b"X" + content[place + 1 :])
    with pytest.raises(SubjectError, match="not a whole zip archive"):
        read_program(path, "cpu")


def test_entries_over_one_another_are_refused(tmp_path):
    data = b"\0" * 100_000
    path = zipped(tmp_path / "a.pt2", {"a/models/x": data})
    content = bytearray(path.read_bytes())
    end = content.rindex(b"PK\5\6")
    size, offset = struct.unpack("<II", content[end + 12 : end + 20])
    entry = bytes(content[offset : offset + size])
    entries = b"".join(entry.replace(b"models/x", f"models/{chr(97 + i)}".encode()) for i in range(9))
    tail = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 9, 9, len(entries), offset, 0)
    path.write_bytes(bytes(content[:offset]) + entries + tail)
    with pytest.raises(SubjectError, match="claim more bytes than the file has"):
        read_program(path, "cpu")


def two_directories(good, evil):
    """Return an archive that zipfile reads as ``good`` and torch's reader as ``evil``.

    Where the central directory does not end at the end record, zipfile shifts every offset by the gap; torch does not.
    """
    places = []
    for content in (good, evil):
        end = content.rindex(b"PK\5\6")
        places.append((end, *struct.unpack("<HII", content[end + 10 : end + 20])))
    (_, _, size, offset), (evil_end, count, evil_size, evil_offset) = places
    assert size == evil_size
    head, body, directory = evil[:evil_end], good[:offset], bytearray(good[offset : offset + size])
    gap, at = len(head) + len(body) - evil_offset, 0
    while at < size:
        lengths = struct.unpack("<HHH", directory[at + 28 : at + 34])
        (start,) = struct.unpack("<I", directory[at + 42 : at + 46])
        directory[at + 42 : at + 46] = struct.pack("<I", (len(head) + start - gap) & 0xFFFFFFFF)
        at += 46 + sum(lengths)
    tail = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, size, evil_offset, 0)
    return head + body + bytes(directory) + tail


def test_torch_reads_the_archive_that_was_vetted(programs, tmp_path, trap):
    content = members(programs["dynamic"])
    good = zipped(tmp_path / "good.pt2", content).read_bytes()
    guard(content, trap)
    evil = zipped(tmp_path / "evil.pt2", content).read_bytes()
    path = tmp_path / "dynamic.pt2"
    path.write_bytes(two_directories(good, evil))
    assert zlib.crc32(members(path)[MODEL]) == zlib.crc32(members(programs["dynamic"])[MODEL])
    read_program(path, "cpu").module(torch.zeros(4, 8))
    assert not trap.mark.exists()
    run_unvetted(path)
    assert trap.mark.exists()
