"""Lines of gates, held against what a TOML reader finds from that line on."""

from __future__ import annotations

import json
import random
import tomllib
from pathlib import Path

import pytest

from ganaudit.document.gates import Policy
from ganaudit.document.policy import load_policy
from ganaudit.report.judged import policy_source
from ganaudit.report.policy_lines import gate_lines


def test_a_plain_policy() -> None:
    text = '# a policy\nfail_on = "warn"\n\n[[gate]]\nid = "a"\n\n  [[ gate ]]  # the second\nid = "b"\n'
    assert gate_lines(text, 2) == [4, 7]


@pytest.mark.parametrize(
    "decoy",
    [
        "# [[gate]]\n",
        'x = """\n[[gate]]\n\\"""\n[[gate]]\n"""\n',
        "x = '''\n[[gate]]\n\"\"\"\n'''\n",
        "x = [\n  \"[[gate]]\", # [[gate]]\n  '[[gate]]',\n]\n",
        'x = "#" # "\n',
        "x = 'a\\'\n",
        'x = """a""""\n',
        "[[waiver]]\n",
        "[gate-keeper]\n[[gates]]\n[[other.gate]]\n",
        'x = { gate = [ { id = "z" } ] }\n',
    ],
)
def test_comments_strings_and_kin_are_no_gates(decoy: str) -> None:
    tomllib.loads(decoy)
    text = decoy + '[[gate]]\nid = "a"\n' + decoy.replace("x =", "y =") + '[["gate"]]\nid = "b"\n'
    first = decoy.count("\n") + 1
    assert gate_lines(text, 2) == [first, 2 * first + 1]


def test_gates_as_an_array_and_in_a_pyproject() -> None:
    array = 'gate = [\n  { id = "a}", slices = ["{"] },\n  # {\n\n  { id = "b",\n measure = "x" },\n]\n'
    assert gate_lines(array.replace("},\n  #", "},\n  #"), 2) == [2, 5]
    assert gate_lines("[tool.ganaudit]\n[[tool . ganaudit.gate]]\n", 1) == [2]
    assert gate_lines("[tool.ganaudit.policy]\nfile = 'x'\n[[tool.ganaudit.policy.gate]]\n", 1) == [3]
    assert gate_lines("[tool]\nganaudit.gate = [{}, {}]\n", 2) == [2, 2]


def test_no_line_where_the_counts_differ() -> None:
    assert gate_lines("[[gate]]\n", 2) == []
    assert gate_lines("", 1) == []


@pytest.mark.parametrize("seed", range(30))
def test_the_rest_of_the_file_from_the_line_on_begins_with_that_gate(seed: int) -> None:
    chance = random.Random(seed)
    pieces = ['# [[gate]] "', "", "note = ''''\n[[gate]]\n'''", 'note = ["[[gate]]",\n"a"] # [[gate]]', 'note = "]]"']
    text, ids = "", []
    for i in range(chance.randint(1, 8)):
        ids.append(f"g{i} {chance.choice(['[[gate]]', '#', '{', chr(34), chr(92)])}")
        text += f"{' ' * chance.randint(0, 3)}[[gate]]\nid = {json.dumps(ids[-1])}\n"
        text += chance.choice(pieces) + "\n"
        text += chance.choice(["", "[[waiver]]\nowner = '''\n[[gate]]\n'''\n"])
    assert [g["id"] for g in tomllib.loads(text)["gate"]] == ids
    lines = gate_lines(text, len(ids))
    assert len(lines) == len(ids)
    for line, name in zip(lines, ids, strict=True):
        assert tomllib.loads("\n".join(text.split("\n")[line - 1 :]))["gate"][0]["id"] == name


def test_the_source_of_a_policy_is_told_from_the_root(tmp_path: Path) -> None:
    file = tmp_path / "ci" / "policy.toml"
    file.parent.mkdir()
    file.write_text('\n[[gate]]\nid = "q"\nmeasure = "a/b"\nlimit = 1.0\n')
    policy = load_policy(file)
    source = policy_source(file, policy, tmp_path)
    assert (source.file, source.preset, dict(source.lines)) == ("ci/policy.toml", None, {"q": 2})
    # Folders above the root are told to nobody.
    assert policy_source(file, policy, tmp_path / "elsewhere").file == "policy.toml"
    preset = policy_source(Path("smoke"), Policy(), tmp_path)
    assert (preset.file, preset.preset) == (None, "smoke")
