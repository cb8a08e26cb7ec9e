"""audit.toml, pyproject.toml and options: one plan, every error at once."""

from pathlib import Path

import pytest

from ganaudit.config import PROFILES, AuditPlan, load_plan, make_plan, plan_schema
from ganaudit.document.errors import ConfigError
from ganaudit.document.policy import load_policy

KNOWN = ["frechet-distance", "kernel-distance", "precision-recall"]


def write(tmp_path, text, name="audit.toml"):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def load(path, **overrides):
    return load_plan(path, overrides, KNOWN)


def problems(path, **overrides):
    with pytest.raises(ConfigError) as caught:
        load(path, **overrides)
    return caught.value.problems


def test_every_key_is_optional():
    plan = load(None)
    assert plan == AuditPlan()
    assert (plan.seed, plan.profile, plan.device, plan.precision) == (0, "standard", "cpu", "fp32")
    assert set(PROFILES) == {"quick", "standard", "full"}


def test_the_file_of_the_contract_is_read(tmp_path):
    text = """
subject = "digits"
discriminator = "d.pt"
reference = { train = "a/", test = "b/" }
against = "test"
samples = 2000
seed = 7
profile = "quick"
range = [0, 1]
resize = [16, 16]
[extractor]
id = "digits-cnn"
[evaluators.precision-recall]
neighbours = 5
boundary = "<"
[policy]
file = "policy.toml"
"""
    plan = load(write(tmp_path, text))
    assert plan.reference == {"train": "a/", "test": "b/"}
    assert plan.evaluators == {"precision-recall": {"neighbours": 5, "boundary": "<"}}
    assert (plan.samples, plan.seed, plan.range, plan.resize) == (2000, 7, (0.0, 1.0), (16, 16))
    assert plan.policy.file == Path("policy.toml")


def test_every_problem_is_told_at_once_with_its_key(tmp_path):
    text = """
sampels = 10
seed = -1
profile = "slow"
device = "tpu"
samples = 1
range = [1, -1]
precision = "fp8"
[extractor]
idd = "x"
[policy]
files = "x"
[evaluators.frechet-distanse]
[evaluators.nothing]
"""
    path = write(tmp_path, text)
    found = problems(path)
    for told in (
        "sampels: unknown key; nearest: samples",
        "seed: Input should be greater than or equal to 0 (found -1)",
        "profile: Input should be 'quick', 'standard' or 'full' (found 'slow')",
        "device: ",
        "samples: Input should be greater than or equal to 2 (found 1)",
        "range: low must be below high; found 1,-1",
        "precision: Input should be 'fp32' or 'bf16' (found 'fp8')",
        "extractor.idd: unknown key; nearest: id",
        "policy.files: unknown key; nearest: file",
        "evaluators.frechet-distanse: unknown evaluator; nearest: frechet-distance",
        "evaluators.nothing: unknown evaluator; ",
    ):
        assert sum(problem.startswith(f"{path}: {told}") for problem in found) == 1, told
    assert len(found) == 11


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"range": (1.0, 1.0)}, "options: range: low must be below high; found 1,1"),
        ({"range": (0.0, float("nan"))}, "options: range.1: Input should be a finite number"),
        ({"seed": 2**63}, "options: seed"),
        ({"device": "cuda:x"}, "options: device"),
        ({"batch_size": 0}, "options: batch_size"),
        ({"evaluators": {"frechet-distance": 3}}, "options: evaluators.frechet-distance"),
        ({"evaluators": ["frechet-distance"]}, "options: evaluators"),
        ({"evaluators": {"frechet": {}}}, "nearest: frechet-distance"),
        ({"reference": {"training": "a"}}, "'train', 'calibration' or 'test'"),
        ({"against": "tests"}, "'test', 'train', 'calibration' or 'all'"),
        ({"colour": 1}, "options: colour: unknown key"),
    ],
)
def test_options_from_python_are_checked(options, told):
    with pytest.raises(ConfigError) as caught:
        make_plan(options, "options", KNOWN)
    assert told in str(caught.value)
    assert caught.value.exit_code == 2


def test_authors_with_what_nobody_sees_are_refused(tmp_path):
    file = tmp_path / "audit.toml"
    file.write_text('subject = "digits"\n[review]\nauthors = ["Ann Lee", "Ann\u200b Lee"]\napprovals = 0\n')
    with pytest.raises(ConfigError) as caught:
        load_plan(file, {}, ["kernel-distance"])
    assert "approvals" in str(caught.value)
    file.write_text('subject = "digits"\n[review]\nauthors = ["Ann Lee", "Ann\u200b Lee"]\n')
    with pytest.raises(ConfigError, match=r"audit.toml: review: authors: 'Ann\\u200b Lee': U\+200B ZERO WIDTH SPACE"):
        load_plan(file, {}, ["kernel-distance"])
    with pytest.raises(ConfigError, match=r"U\+202E"):
        make_plan({"review": {"authors": ["\u202eAda"]}}, "options", [])


def test_options_beat_the_file_key_by_key(tmp_path):
    text = 'subject = "a"\nseed = 1\nsamples = 100\n[extractor]\nid = "pixels"\nweights = "w.pth"\n'
    plan = load(write(tmp_path, text), seed=2, extractor={"id": "random-conv"})
    assert (plan.subject, plan.seed, plan.samples) == ("a", 2, 100)
    assert plan.extractor.id == "random-conv"
    assert plan.extractor.weights == Path("w.pth")
    split = load(write(tmp_path, 'reference = "digits"\n'), reference={"test": "b"})
    assert split.reference == {"test": "b"}


def test_evaluators_picked_on_the_command_line_keep_the_options_of_the_file(tmp_path):
    path = write(tmp_path, "[evaluators.precision-recall]\nneighbours = 7\n[evaluators.kernel-distance]\nsubsets = 3\n")
    picked = load(path, evaluators={"precision-recall": {}, "frechet-distance": {}})
    assert picked.evaluators == {"precision-recall": {"neighbours": 7}, "frechet-distance": {}}
    assert load(path).evaluators == {"precision-recall": {"neighbours": 7}, "kernel-distance": {"subsets": 3}}
    found = problems(path, evaluators={"precision": {}})
    assert "unknown evaluator; nearest: precision-recall" in found[0]


def test_paths_beside_the_file_are_found_from_anywhere(tmp_path, monkeypatch):
    folder = tmp_path / "project"
    text = """
subject = "g.pt2"
discriminator = "d.pt2"
reference = { train = "real", test = "gone" }
[extractor]
weights = "w.pth"
[policy]
file = "policy.toml"
"""
    path = write(folder, text)
    for name in ("g.pt2", "d.pt2", "w.pth", "policy.toml"):
        (folder / name).write_bytes(b"")
    (folder / "real").mkdir()
    monkeypatch.chdir(tmp_path)
    plan = load(Path("project/audit.toml"))
    assert plan.subject == "project/g.pt2"
    assert plan.discriminator == Path("project/d.pt2")
    assert plan.reference == {"train": "project/real", "test": "gone"}  # a name that is no path stays one
    assert plan.extractor.weights == Path("project/w.pth")
    assert plan.policy.file == Path("project/policy.toml")
    for file in (plan.subject, plan.discriminator, plan.extractor.weights, plan.policy.file):
        assert Path(file).exists()
    absolute = load(write(folder, f'subject = "{folder / "g.pt2"}"\n', "b.toml"))
    assert absolute.subject == str(folder / "g.pt2")
    assert load(path, subject="g.pt2").subject == "g.pt2"  # an option is meant from where it is typed


def test_paths_in_a_string_of_splits_are_beside_the_file_too(tmp_path, monkeypatch):
    folder = tmp_path / "project"
    path = write(folder, 'reference = "train=a,b,test=c"\n')
    (folder / "a,b").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load(Path("project/audit.toml")).reference == "train=project/a,b,test=c"
    assert path.exists()


@pytest.mark.parametrize(("content", "told"), [(b"a = ", "cannot be read"), (b"\xff", "cannot be read")])
def test_a_file_that_is_no_toml_is_told(tmp_path, content, told):
    path = tmp_path / "audit.toml"
    path.write_bytes(content)
    (found,) = problems(path)
    assert told in found
    assert f"--config {path}" in found


def test_a_file_that_is_not_there_is_told(tmp_path):
    assert problems(tmp_path / "none.toml") == (f"--config {tmp_path / 'none.toml'}: no such file",)
    assert "cannot be read" in problems(tmp_path)[0]


def test_a_pyproject_is_read_at_its_table(tmp_path):
    path = write(tmp_path, '[project]\nname = "x"\n[tool.ganaudit]\nseed = 5\n', "pyproject.toml")
    assert load(path).seed == 5
    assert load(path).policy.file is None
    for text in ("[tool]\nother = 1\n", "tool = 1\n", "[tool]\nganaudit = 1\n"):
        assert load(write(tmp_path, text, "pyproject.toml")) == AuditPlan()
    wrong = write(tmp_path, "[tool.ganaudit]\nsede = 5\n", "pyproject.toml")
    assert "sede: unknown key; nearest: seed" in problems(wrong)[0]


@pytest.mark.parametrize("table", ["tool.ganaudit", "tool.ganaudit.policy"])
def test_gates_in_a_pyproject_are_the_policy_of_the_plan(tmp_path, table):
    text = f'[tool.ganaudit]\nseed = 5\n[[{table}.gate]]\nid = "g"\nmeasure = "frechet-distance/fd"\nlimit = 1.0\n'
    path = write(tmp_path, text, "pyproject.toml")
    plan = load(path)
    assert plan.seed == 5
    assert plan.policy.file == path
    assert load_policy(plan.policy.file).gate[0].id == "g"
    assert load(path, policy={"file": "other.toml"}).policy.file == Path("other.toml")


def test_the_schema_names_every_key():
    schema = plan_schema()
    # No file can say whom to trust, so no editor is to offer it.
    assert set(schema["properties"]) == set(AuditPlan.model_fields) - {"trust_code"}
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("value", ["true", "false", '"yes"'])
def test_no_file_says_whom_to_trust_and_its_other_faults_are_told_too(tmp_path, value):
    alone = problems(write(tmp_path, f"trust_code = {value}\n"))
    assert len(alone) == 1
    assert "trust_code: no file can say this" in alone[0]
    both = problems(write(tmp_path, f"sede = 1\ntrust_code = {value}\nsamples = 0\n"))
    assert len(both) == 3
    assert load(None, trust_code=True).trust_code
    assert load(write(tmp_path, "seed = 1\n"), trust_code=True).trust_code
    assert not load(write(tmp_path, "seed = 1\n")).trust_code
    nested = problems(write(tmp_path, f'[others.x]\nsubject = "a"\ntrust_code = {value}\n'))
    assert "others.x.trust_code" in nested[0]
