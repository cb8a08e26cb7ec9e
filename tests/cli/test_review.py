"""``ganaudit review`` from the command line: codes, streams, and a real audit signed, verified and spoilt."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from ganaudit.document.files import load_document
from tests.architecture.test_architecture import probe
from tests.cli.conftest import Run
from tests.reviewing.conftest import Audit, _failing, _passing, failing, passing

__all__ = ["_failing", "_passing", "failing", "passing"]  # fixtures that are used here too

LAST = re.compile(r"exit (\d+): (.+)\n$")


def last(err: str) -> tuple[int, str]:
    found = LAST.search(err)
    assert found is not None, err
    return int(found[1]), found[2]


def sign(ganaudit: Run, folder: Path, decision: str = "approve", *more: str) -> int:
    asked = ["--reviewer", "Ada", "--decision", decision, "--comment", "seen", *more]
    return ganaudit("review", "sign", folder, *asked).code


def test_sign_verify_flip_a_byte_verify(ganaudit: Run, small_audit: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "audit"
    shutil.copytree(small_audit, folder)
    assert ganaudit("review", "verify", folder).code == 3
    signed = ganaudit("review", "sign", folder, "--reviewer", "Ada", "--decision", "reject", "--comment", "few samples")
    assert (signed.code, last(signed.err)[0]) == (0, 0)
    refused = ganaudit("review", "sign", folder, "--reviewer", "Ada", "--decision", "approve")
    # 70 samples without a generator are no smoke run: nothing more could be drawn.
    assert refused.code == 0
    checked = ganaudit("review", "verify", folder)
    assert (checked.code, last(checked.err)) == (0, (0, "approved by Ada; nothing changed since"))
    content = bytearray((folder / "document.json").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "document.json").write_bytes(bytes(content))
    spoilt = ganaudit("review", "verify", folder)
    assert (spoilt.code, last(spoilt.err)[0]) == (1, 1)
    assert "document changed" in spoilt.err


def test_an_audit_names_its_policy_and_a_changed_policy_voids(ganaudit: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    np.save("real.npy", rng.standard_normal((80, 4)))
    np.save("fake.npy", rng.standard_normal((70, 4)) + 0.3)
    gate = '[[gate]]\nid = "q"\nmeasure = "frechet-distance/fd"\nlimit = 99.0\n'
    Path("policy.toml").write_text(gate)
    asked = ["audit", "fake.npy", "--reference", "test=real.npy", "--extractor", "identity", "--out", "reports/a"]
    assert ganaudit(*asked, "--evaluators", "frechet-distance", "--policy", "policy.toml").code == 0
    kept = load_document(Path("reports/a")).environment.policy_file
    assert kept.name == "../../policy.toml"
    assert kept.digest == "sha256:" + hashlib.sha256(gate.encode()).hexdigest()
    assert sign(ganaudit, Path("reports/a")) == 0
    checked = ganaudit("review", "verify", "reports/a")
    assert checked.code == 0
    assert "policy: policy.toml is the file that judged, digest for digest" in " ".join(checked.err.split())
    Path("policy.toml").rename("kept.toml")
    gone = ganaudit("review", "verify", "reports/a", "--json")
    assert gone.code == 0
    assert ["not at hand" in one for one in json.loads(gone.out)["told"]] == [True, False]
    assert ganaudit("review", "verify", "reports/a", "--policy", "kept.toml").code == 0
    Path("kept.toml").write_text(gate.replace("99.0", "98.0"))
    spoilt = ganaudit("review", "verify", "reports/a", "--policy", "kept.toml")
    assert (spoilt.code, last(spoilt.err)[0]) == (1, 1)
    told = " ".join(spoilt.err.split())
    assert "policy file changed: policy.toml, kept.toml: sha256:" in told
    assert "kept.toml is not the policy that judged: gate.q.limit is 98.0, 99.0 judged" in told
    for verb in ("status", "export"):
        more = ["--format", "in-toto"] if verb == "export" else []
        assert ganaudit("review", verb, "reports/a", "--policy", "kept.toml", *more).code == (verb == "export")
    asked = ["--reviewer", "Ada", "--decision", "approve", "--policy", "kept.toml"]
    refused = ganaudit("review", "sign", "reports/a", *asked)
    assert refused.code == 3
    assert "kept.toml is not the policy that judged: gate.q.limit is 98.0, 99.0 judged" in " ".join(refused.err.split())
    assert ganaudit("review", "verify", "reports/a", "--policy", "nowhere.toml").code == 2


def test_every_verb_puts_one_json_value_on_stdout(ganaudit: Run, failing: Audit) -> None:
    folder = failing.folder
    said = ["--reviewer", "R", "--comment", "c"]
    calls = [
        (["status", folder], 0),
        (["comment", folder, *said, "--gate", "strict"], 0),
        (["sign", folder, *said, "--decision", "approve"], 3),
        (["comment", folder, *said, "--gate", "near"], 0),
        (["verify", folder], 3),
        (["export", folder, "--format", "in-toto"], 3),
        (["sign", folder, *said, "--decision", "conditions"], 0),
        (["verify", folder], 0),
        (["export", folder, "--format", "in-toto"], 0),
        (["export", folder, "--format", "vsa"], 0),
        (["status", folder], 0),
    ]
    for arguments, code in calls:
        got = ganaudit("review", *arguments, "--json")
        assert (got.code, last(got.err)[0]) == (code, code), arguments
        if got.out or arguments[0] != "export":
            assert isinstance(json.loads(got.out), dict)
        plain = ganaudit("review", *arguments, "-q") if arguments[0] in ("status", "verify", "export") else got
        assert plain.code == code


def test_a_refused_signature_tells_each_row_and_what_to_do(ganaudit: Run, failing: Audit) -> None:
    got = ganaudit("review", "sign", failing.folder, "--reviewer", "R", "--decision", "approve")
    assert got.code == 3
    assert "gate 'strict' is failed and nobody has answered it" in got.err
    assert "to do: say why it is acceptable: ganaudit review comment DIR --gate strict" in got.err
    assert "nothing was written" in last(got.err)[1]
    assert not (failing.folder / "review.json").exists()


def test_codes_of_verify(ganaudit: Run, passing: Audit) -> None:
    assert ganaudit("review", "verify", passing.folder).code == 3
    assert sign(ganaudit, passing.folder, "reject") == 0
    got = ganaudit("review", "verify", passing.folder)
    assert (got.code, last(got.err)[1]) == (1, "rejected by Ada; nothing changed since")
    assert sign(ganaudit, passing.folder) == 0
    assert ganaudit("review", "verify", passing.folder, "--head", f"sha256:{'0' * 64}").code == 1
    head = json.loads(ganaudit("review", "verify", passing.folder, "--json").out)["head"]
    assert ganaudit("review", "verify", passing.folder, "--head", head).code == 0
    (passing.folder / "report.html").write_text("other")
    assert ganaudit("review", "verify", passing.folder).code == 1
    assert ganaudit("review", "export", passing.folder, "--format", "vsa").code == 1
    assert ganaudit("review", "status", passing.folder).code == 0


@pytest.mark.parametrize("arguments", [
    ["status", "nowhere"],
    ["verify", "."],
    ["sign", "{}", "--reviewer", "R", "--decision", "aprove"],
    ["sign", "{}", "--reviewer", "R"],
    ["sign", "{}", "--reviewer", "R", "--decision", "conditions"],
    ["sign", "{}", "--reviewer", "", "--decision", "approve"],
    ["sign", "{}", "--reviewer", "R", "--decision", "approve", "--acknowledge", "samples"],
    ["sign", "{}", "--reviewer", "R", "--decision", "approve", "--subject", "nowhere"],
    ["comment", "{}", "--reviewer", "R", "--comment", "c", "--gate", "qualtiy"],
    ["comment", "{}", "--reviewer", "R"],
    ["export", "{}", "--format", "intoto"],
    ["open", "{}", "--port", "70000"],
])  # fmt: skip
def test_bad_usage_is_2_and_writes_nothing(ganaudit: Run, passing: Audit, arguments: list[str]) -> None:
    got = ganaudit("review", *[a.replace("{}", str(passing.folder)) for a in arguments])
    assert (got.code, last(got.err)[0]) == (2, 2)
    assert "Traceback" not in got.err
    assert not (passing.folder / "review.json").exists()


def test_a_document_in_place_of_its_folder_is_understood(ganaudit: Run, passing: Audit) -> None:
    assert sign(ganaudit, passing.document) == 0
    assert (passing.folder / "review.json").is_file()


def test_a_document_of_a_newer_schema_is_told(ganaudit: Run, passing: Audit) -> None:
    text = passing.document.read_text("utf-8")
    passing.document.write_text(text.replace("ganaudit.document/1", "ganaudit.document/9"), "utf-8")
    got = ganaudit("review", "sign", passing.folder, "--reviewer", "R", "--decision", "reject", "--comment", "c")
    assert (got.code, "ganaudit.document/9" in got.err) == (2, True)


def test_a_folder_that_cannot_be_written_is_told_before_any_work(
    ganaudit: Run, passing: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tempfile

    def refused(*_: object, **__: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", refused)
    for arguments in (["open", passing.folder, "--no-browser"],
                      ["comment", passing.folder, "--reviewer", "R", "--comment", "c"],
                      ["sign", passing.folder, "--reviewer", "R", "--decision", "approve"]):  # fmt: skip
        got = ganaudit("review", *arguments)
        assert got.code == 2
        assert "the folder cannot be written" in got.err
        assert "copy the whole folder" in got.err
        assert got.out == ""


def test_a_port_in_use_is_told(ganaudit: Run, passing: Audit) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        got = ganaudit("review", "open", passing.folder, "--no-browser", "--port", str(port))
    assert got.code == 2
    assert f"--port {port}: is in use by another program; leave --port out" in got.err


def test_open_serves_until_ctrl_c_and_ends_with_0(passing: Audit) -> None:
    program = subprocess.Popen(
        [sys.executable, "-m", "ganaudit", "review", "open", str(passing.folder), "--no-browser"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "CI": "1"},
    )  # fmt: skip
    try:
        assert program.stdout is not None
        address = program.stdout.readline().removeprefix("review: ").strip()
        with urllib.request.urlopen(address, timeout=30) as answer:
            assert b"Unsigned" in answer.read()
        time.sleep(0.1)
        program.send_signal(signal.SIGINT)
        _, err = program.communicate(timeout=30)
    finally:
        program.kill()
        program.wait()
    assert program.returncode == 0
    assert last(err) == (0, "the page is closed; review.json holds what was written")
    assert address.rsplit("/", 2)[1] not in err


def test_exports_are_files_or_stdout(ganaudit: Run, passing: Audit, tmp_path: Path) -> None:
    assert sign(ganaudit, passing.folder) == 0
    out = tmp_path / "statement.json"
    got = ganaudit("review", "export", passing.folder, "--format", "in-toto", "--out", out)
    assert (got.code, "exported, not signed with a key" in got.err) == (0, True)
    shown = ganaudit("review", "export", passing.folder, "--format", "in-toto").out
    assert json.loads(out.read_text()) == json.loads(shown)


def test_authors_are_told_to_the_audit(ganaudit: Run, tmp_path: Path) -> None:
    import numpy as np

    rng = np.random.default_rng(0)
    for name in ("real", "fake"):
        np.save(tmp_path / f"{name}.npy", rng.standard_normal((60, 3)))
    (tmp_path / "audit.toml").write_text('[review]\nauthors = ["Ada"]\napprovals = 2\n')
    audit = ["audit", "fake.npy", "--reference", "test=real.npy", "--extractor", "identity", "--out", "out"]
    assert ganaudit(*audit, "--config", "audit.toml").code == 0
    rules = load_document(tmp_path / "out").plan["review"]
    assert rules == {"authors": ["Ada"], "approvals": 2, "author_alone": False}
    assert sign(ganaudit, tmp_path / "out") == 3
    assert ganaudit(*audit, "--author", "Bob", "--author", "Carla Canary", "--config", "audit.toml").code == 0
    rules = load_document(tmp_path / "out").plan["review"]
    assert rules == {"authors": ["Bob", "Carla Canary"], "approvals": 2, "author_alone": False}


def test_a_review_fits_its_schema(ganaudit: Run, failing: Audit) -> None:
    import jsonschema

    assert ganaudit("review", "comment", failing.folder, "--reviewer", "R", "--comment", "c").code == 0
    assert sign(ganaudit, failing.folder, "reject") == 0
    schema = json.loads(ganaudit("schema", "review").out)
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    written = json.loads((failing.folder / "review.json").read_text("utf-8"))
    validator.validate(written)
    written["entries"][1]["decision"] = "maybe"
    assert not validator.is_valid(written)


def test_no_verb_of_a_review_imports_torch(passing: Audit) -> None:
    folder, said = str(passing.folder), ("--reviewer", "R", "--comment", "c")
    assert probe("review", "status", folder) == (0, [])
    assert probe("review", "comment", folder, *said) == (0, [])
    assert probe("review", "sign", folder, *said, "--decision", "approve") == (0, [])
    assert probe("review", "verify", folder) == (0, [])
    assert probe("review", "export", folder, "--format", "vsa") == (0, [])
    assert probe("review", "open", folder, "--port", "70000") == (2, [])
    code = "import sys, ganaudit.reviewing.server; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
