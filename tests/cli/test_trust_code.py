"""``--trust-code`` through the command line: nothing runs without it, and what it allowed is told in the audit."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import ganaudit as package
from ganaudit.cli.trust import short_name
from ganaudit.document.errors import SubjectError
from ganaudit.document.model import AuditDocument
from ganaudit.document.repeats import steady
from ganaudit.report.replay import replay_of

from ..foreign import NETWORKS, Write
from .conftest import Run
from .test_bad_input import refused

SUBJECT = "import ganaudit\ndef subject(): return ganaudit.Subject.from_modules(*pair(), latent=8, name='mine')\n"
LOUD = "print('imported')\n" + NETWORKS.replace(
    "        return self.linear(x", "        print(3)\n        return self.linear(x"
)
MARK = "open('it-ran', 'w').close()\n"
CAUTION = "brought Python code, which ran in the process of this audit (--trust-code) and could have changed any number"


@pytest.fixture
def light(tmp_path: Path) -> list[str]:
    """Options of an audit that takes little time: real samples of noise, their pixels as features, one evaluator."""
    rng = np.random.default_rng(0)
    np.save(tmp_path / "real.npy", rng.integers(0, 256, (80, 16, 16, 1), dtype=np.uint8))
    np.save(tmp_path / "held.npy", rng.integers(0, 256, (80, 16, 16, 1), dtype=np.uint8))
    return [
        *("--reference", "test=real.npy,calibration=held.npy", "--extractor", "pixels", "--samples", "60"),
        *("--evaluators", "kernel-distance,discriminator-detection", "--out", "out"),
    ]


def document(folder: str = "out") -> dict:
    return json.loads(Path(folder, "document.json").read_text())


# --- nothing runs unasked


@pytest.mark.parametrize(
    "arguments",
    [
        ["audit", "canary:generator", "--latent", "8"],
        ["audit", "g.pth", "--latent", "8"],
        ["audit", "g.pkl", "--latent", "8"],
        ["audit", "fake.npy", "--discriminator", "canary:discriminator"],
        ["audit", "fake.npy", "--discriminator", "g.pth"],
        ["audit", "digits", "--other", "canary:pair"],
        ["audit", "digits", "--other", "old=g.pth"],
        ["sample", "canary:generator", "--latent", "8", "--samples", "2"],
        ["sample", "g.pth", "--latent", "8", "--samples", "2"],
    ],
    ids=" ".join,
)
def test_without_the_option_nothing_is_imported_or_unpickled(
    ganaudit: Run, code: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.delenv("GANAUDIT_TRUST_CODE", raising=False)
    code(MARK + NETWORKS, "canary")
    np.save("fake.npy", np.zeros((8, 16, 16, 1), np.uint8))
    script = "import canary, torch, pickle; g = canary.generator(); torch.save(g, 'g.pth')\n"
    script += "with open('g.pkl', 'wb') as file: pickle.dump(g, file)"
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    Path("it-ran").unlink()
    words = ["--trust-code", "GANAUDIT_TRUST_CODE=1", "with all that you may do on this machine", "torch.export.save"]
    more = ["--reference", "digits"] if arguments[0] == "audit" else []
    refused(ganaudit(*arguments, *more, "--out", "out"), *words)
    assert not Path("it-ran").exists()
    assert "canary" not in sys.modules


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("name", ["audit.toml", "pyproject.toml"])
def test_no_file_can_say_whom_to_trust(ganaudit: Run, code: Write, name: str, named: bool) -> None:
    module = code(MARK + NETWORKS)
    table = "[tool.ganaudit]\n" if name == "pyproject.toml" else ""
    Path(name).write_text(f'{table}subject = "{module}:generator"\nlatent = 8\nsede = 1\ntrust_code = true\n')
    if name == "pyproject.toml" and not named:
        pytest.skip("a pyproject.toml is read only where it is named")
    called = ganaudit("audit", *(["--config", name] if named else []), "--out", "out")
    refused(called, f"{name}: trust_code: no file can say this", "--trust-code", "sede: unknown key; nearest: seed")
    assert not Path("it-ran").exists()
    # The same file without the key is refused as any other subject that is code.
    Path(name).write_text(f'{table}subject = "{module}:generator"\nlatent = 8\n')
    refused(ganaudit("audit", "--config", name, "--out", "out"), "names a Python callable")
    assert not Path("it-ran").exists()


# --- with it


def test_an_audit_of_trusted_code_says_so_everywhere(ganaudit: Run, code: Write, light: list[str]) -> None:
    module = code(NETWORKS + SUBJECT)
    called = ganaudit("audit", f"{module}:subject", "--trust-code", *light)
    assert called.code == 0, called.err
    made = document()
    assert (made["subject"]["trust"], made["subject"]["kind"], made["subject"]["name"]) == ("code", "factory", "mine")
    assert [warning for warning in made["warnings"] if CAUTION in warning] == [made["warnings"][0]]
    assert f"caution: the subject {CAUTION}" in called.out
    page = Path("out/report.html").read_text()
    cautions = page.partition('<section id="warnings"')[2].partition("</section>")[0]
    assert CAUTION in cautions
    assert "ran Python while being read" in page
    row = {r["evaluator"]: r["status"] for r in made["results"]}
    assert row["discriminator-detection"] == "measured"


def test_what_the_code_prints_stays_out_of_the_answer(ganaudit: Run, code: Write, light: list[str]) -> None:
    module = code(LOUD)
    called = ganaudit("audit", f"{module}:pair", "--latent", "8", "--trust-code", *light, "--json")
    assert called.code == 0, called.err
    assert json.loads(called.out)["subject"]["trust"] == "code"
    assert "imported" in called.err
    dry = ganaudit("audit", f"{module}:pair", "--latent", "8", "--trust-code", *light, "--json", "--dry-run")
    assert json.loads(dry.out)["subject"].startswith(f"{module}:pair (factory, sha256:")
    drawn = ganaudit(
        "sample", f"{module}:pair", "--latent", "8", "--trust-code", "--samples", "3", "--out", "x.npz", "--json"
    )
    assert json.loads(drawn.out)["samples"] == 3


def test_the_variable_stands_for_the_option_in_every_verb(
    ganaudit: Run, code: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = code()
    monkeypatch.setenv("GANAUDIT_TRUST_CODE", "1")
    called = ganaudit("sample", f"{module}:generator", "--latent", "8", "--samples", "5", "--out", "x.npz")
    assert called.code == 0, called.err
    found = np.load("x.npz")
    network = sys.modules[module].generator().eval()
    np.testing.assert_allclose(found["samples"], network(torch.from_numpy(found["latents"])).detach(), atol=1e-6)
    assert ganaudit("audit", f"{module}:pair", "--latent", "8", "--reference", "digits", "--dry-run").code == 0
    monkeypatch.setenv("GANAUDIT_TRUST_CODE", "0")
    assert ganaudit("audit", f"{module}:pair", "--latent", "8", "--reference", "digits", "--dry-run").code == 2


def test_equal_code_gives_equal_documents(ganaudit: Run, code: Write, light: list[str], tmp_path: Path) -> None:
    found = []
    for _ in range(2):
        module = code()  # imported anew, as a new process would
        assert ganaudit("audit", f"{module}:pair", "--latent", "8", "--trust-code", "--no-cache", *light).code == 0
        found.append(steady(document()))
    assert found[0] == found[1]


def test_others_of_trusted_code_are_told_by_their_names(ganaudit: Run, code: Write, light: list[str]) -> None:
    module = code()
    np.save("fake.npy", np.random.default_rng(1).integers(0, 256, (60, 16, 16, 1), dtype=np.uint8))
    others = ["--other", f"{module}:pair", "--other", f"old={module}:pair", "--latent", "8"]
    called = ganaudit("audit", "fake.npy", *others, "--trust-code", *light[:-4], "--evaluators", "kernel-distance",
                      "--out", "out")  # fmt: skip
    assert called.code == 0, called.err
    made = document()
    assert made["subject"]["trust"] == "data"
    assert {o["name"]: o["trust"] for o in made["others"]} == {"own_networks-pair": "code", "old": "code"}
    told = [warning.partition(" brought")[0] for warning in made["warnings"] if CAUTION in warning]
    assert told == ["other 'own_networks-pair'", "other 'old'"]


def test_trust_that_nothing_needs_is_silent(ganaudit: Run, light: list[str]) -> None:
    found = []
    for more in ([], ["--trust-code"]):
        called = ganaudit("audit", "digits", *more, *light[:-4], "--evaluators", "kernel-distance", "--out", "out")
        assert called.code == 0, called.err
        assert "trust" not in called.err + called.out
        found.append(steady(document()))
    assert found[0] == found[1]
    assert found[0]["subject"]["trust"] == "data"


def test_a_report_does_not_hand_trust_on(ganaudit: Run, code: Write, light: list[str]) -> None:
    """The command that draws a sample again is copied by readers, who have their own mind of the code."""
    module = code()
    assert ganaudit("audit", f"{module}:pair", "--latent", "8", "--trust-code", *light).code == 0
    made = AuditDocument.model_validate(document())
    command = replay_of(made)._start
    assert command.startswith(f"ganaudit sample {module}:pair")
    assert "--trust-code" not in command


def test_numbers_are_made_anew_where_code_beside_the_factory_changed(
    ganaudit: Run, code: Write, light: list[str]
) -> None:
    own = NETWORKS.replace("self.scale *", "factor() *") + "from helper import factor\n"
    values = []
    for factor in ("1.0", "0.1", "1.0"):
        code(own)
        code(f"def factor(): return {factor}\n", "helper")
        assert ganaudit("audit", "own_networks:pair", "--latent", "8", "--trust-code", *light).code == 0
        rows = {r["evaluator"]: r["measurements"] for r in document()["results"]}
        values.append(rows["kernel-distance"][0]["value"])
    assert values[0] == values[2] != values[1]


# --- what is wrong


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("own_netwroks:generator", "nearest: own_networks"),
        ("own_networks:generatr", "nearest: generator"),
        ("own_networks:raises", "the factory raised ValueError: no weights"),
        ("own_networks:number", "returned an int"),
        ("own_networks:seeded", "needs the arguments network; ganaudit calls it with none"),
        ("own_networks:wide", "--range LOW,HIGH"),
        ("own_networks.py:generator", "did you mean own_networks:generator?"),
        ("cut.pth", "was cut off"),
        ("zip.pth", "a zip archive, but none that torch writes; it holds data.txt"),
        ("weights.pth", "holds weights alone (linear.weight, linear.bias)"),
        ("page.pkl", "begins with b'<!DOCTYPE html>'"),
    ],
)
def test_bad_input_is_told_with_exit_2(ganaudit: Run, code: Write, light: list[str], spec: str, told: str) -> None:
    code(
        NETWORKS + "def raises(): raise ValueError('no weights')\n"
        "def number(): return 3\n"
        "def wide(): return seeded(Generator(scale=200.0))\n"
    )
    torch.save(torch.nn.Linear(2, 300), "whole.pth")
    Path("cut.pth").write_bytes(Path("whole.pth").read_bytes()[:1500])
    torch.save({"linear.weight": torch.zeros(3, 3), "linear.bias": torch.zeros(3)}, "weights.pth")
    Path("page.pkl").write_bytes(b"<!DOCTYPE html>")
    import zipfile

    with zipfile.ZipFile("zip.pth", "w") as archive:
        archive.writestr("data.txt", "no network")
    refused(ganaudit("audit", spec, "--trust-code", "--latent", "8", *light), told)


def test_the_command_of_the_refusal_exports_what_can_be_audited(ganaudit: Run, code: Write, tmp_path: Path) -> None:
    module = code()
    files = {}
    for role, spec, more in (
        ("generator", f"{module}:generator", []),
        ("discriminator", f"{module}:discriminator", ["--discriminator"]),
    ):
        asked = ["digits.npy", *more, spec] if more else [spec]
        np.save("digits.npy", np.zeros((8, 16, 16, 1), np.uint8))
        called = ganaudit("audit", *asked, "--latent", "8", "--reference", "digits", "--out", "out")
        line = next(line for line in called.err.splitlines() if line.startswith("  python -c "))
        line = line.replace("CHANNELS, HEIGHT, WIDTH", "1, 16, 16")
        subprocess.run([sys.executable, *shlex.split(line)[1:]], cwd=tmp_path, check=True, capture_output=True)
        files[role] = f"{role}.pt2"
        assert Path(files[role]).is_file()
    dry = ganaudit("audit", files["generator"], "--discriminator", files["discriminator"], "--reference", "digits",
                   "--dry-run", "--json")  # fmt: skip
    assert dry.code == 0, dry.err
    assert "exported-program" in json.loads(dry.out)["subject"]


# --- from Python, and names


def test_from_python_trust_is_an_argument(code: Write, tmp_path: Path, light: list[str]) -> None:
    module = code(NETWORKS + SUBJECT)
    options = {"samples": 60, "extractor": "pixels", "evaluators": {"kernel-distance": {}}, "cache": False}
    with pytest.raises(SubjectError, match="names a Python callable"):
        package.audit(f"{module}:subject", {"test": "real.npy"}, **options)
    made = package.audit(f"{module}:subject", {"test": "real.npy"}, trust_code=True, **options)
    assert made.subject.trust == "code"
    assert any(CAUTION in warning for warning in made.warnings)


@pytest.mark.parametrize(
    ("subject", "name"),
    [
        ("digits", "digits"),
        ("runs/rate=0.1", "rate=0"),
        ("deep/g.pt2", "g"),
        ("a.b:make", "b-make"),
        ("audit_me:Nested.make", "audit_me-Nested.make"),
        ("x:../../y", "x-..-..-y"),
    ],
)
def test_a_subject_has_a_short_name_that_is_no_path(subject: str, name: str) -> None:
    assert short_name(subject) == name
    assert Path(short_name(subject)).name == short_name(subject)


def test_the_default_folder_of_a_report_has_no_colon(ganaudit: Run, code: Write) -> None:
    module = code()
    called = ganaudit("audit", f"{module}:pair", "--latent", "8", "--trust-code", "--reference", "digits", "--dry-run",
                      "--json")  # fmt: skip
    assert json.loads(called.out)["out"] == "reports/own_networks-pair"
