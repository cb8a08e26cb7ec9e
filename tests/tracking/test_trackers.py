"""Audits in experiment trackers: stand-ins of two clients' interfaces, and TensorBoard itself."""

from __future__ import annotations

import re
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from ganaudit.cli.main import run
from ganaudit.document.errors import ConfigError, OutputError
from ganaudit.document.files import load_document, sealed, write_document
from ganaudit.document.model import Null
from ganaudit.tracking.run import run_of
from tests.document.documents import SUBJECT, document, number, result


@pytest.fixture
def audited(tmp_path: Path) -> Path:
    null = Null(value=0.5, n=100, rule="train against test")
    fd = number(1.25, (1.0, 1.5), null=null, null_reason=None)
    made = document(
        result(fd, number(None, key="fd-corrected")),
        result(number(2.0, key="x"), evaluator="other", declares=[]),
        plan={
            "seed": 0,
            "evaluators": {"frechet-distance": {"divisor": "n - 1"}},
            "budgets": [1, 2],
            "long": "l" * 900,
        },
    )
    file = tmp_path / "audit" / "document.json"
    write_document(sealed(made), file)
    (file.parent / "report.html").write_text("<p>")
    return file


def test_what_is_logged(audited: Path) -> None:
    made = run_of(load_document(audited), audited)
    assert dict(made.metrics) == {
        "frechet-distance/fd": 1.25,
        "frechet-distance/fd_n": 1000.0,
        "frechet-distance/fd_low": 1.0,
        "frechet-distance/fd_high": 1.5,
        "frechet-distance/fd_null": 0.5,
        "other/x": 2.0,
        "other/x_n": 1000.0,
    }
    assert made.params["seed"] == "0"
    assert made.params["evaluators.frechet-distance.divisor"] == "n - 1"
    assert made.params["budgets"] == "[1, 2]"
    assert len(made.params["long"]) == 500
    assert made.tags["ganaudit.subject"] == SUBJECT
    assert made.tags["ganaudit.document"] == load_document(audited).integrity
    assert [file.name for file in made.files] == ["document.json", "report.html"]
    assert (made.name, run_of(load_document(audited), audited, "mine").name) == ("g", "mine")


def test_names_are_such_as_every_tracker_takes(audited: Path) -> None:
    nasty = "../../etc/\n<b>::\x00é"
    made = document(result(number(1.0, key=nasty), evaluator=nasty, declares=[]), plan={nasty: 1})
    logged = run_of(made.model_copy(update={"subject": made.subject.model_copy(update={"name": nasty})}), audited)
    for name in (*logged.metrics, *logged.params, logged.name):
        assert re.fullmatch(r"[A-Za-z0-9_. /-]{1,250}", name)
        assert not set(name.split("/")) & {"", ".", ".."}


class Client:
    """Records every call; ``module`` stands in for a package that a tracker imports."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []

    def record(self, name: str) -> Any:
        def call(*args: Any, **more: Any) -> Any:
            self.calls.append((name, args or more))

        return call

    def of(self, name: str) -> list[Any]:
        return [given for called, given in self.calls if called == name]


class RefusedError(Exception):
    pass


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> Client:
    client = Client()

    class Active:
        info = types.SimpleNamespace(run_id="id-1")

        def __enter__(self) -> Active:
            return self

        def __exit__(self, *_: Any) -> None:
            client.calls.append(("end", ()))

    module, errors = types.ModuleType("mlflow"), types.ModuleType("mlflow.exceptions")
    for name in ("log_params", "log_metrics", "set_tags", "log_artifact", "set_experiment"):
        setattr(module, name, client.record(name))

    def start_run(run_name: str) -> Active:
        client.calls.append(("start_run", run_name))
        sys.stdout.write("View run at ...\n")  # as the client does
        return Active()

    module.start_run = start_run  # type: ignore[attr-defined]
    errors.MlflowException = RefusedError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mlflow", module)
    monkeypatch.setitem(sys.modules, "mlflow.exceptions", errors)
    client.module = module  # type: ignore[attr-defined]
    return client


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> Client:
    client = Client()
    active = types.SimpleNamespace(
        id="id-2",
        log=client.record("log"),
        log_artifact=client.record("log_artifact"),
        finish=client.record("finish"),
    )

    class Artifact:
        def __init__(self, name: str, type: str) -> None:
            client.calls.append(("artifact", (name, type)))
            self.add_file = client.record("add_file")

    module, errors = types.ModuleType("wandb"), types.ModuleType("wandb.errors")

    def init(**given: Any) -> Any:
        client.calls.append(("init", given))
        return active

    module.init, module.Artifact = init, Artifact  # type: ignore[attr-defined]
    errors.Error = RefusedError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", module)
    monkeypatch.setitem(sys.modules, "wandb.errors", errors)
    client.active = active  # type: ignore[attr-defined]
    return client


def test_mlflow_gets_numbers_plan_digests_and_files(audited: Path, mlflow: Client, capsys: Any) -> None:
    assert run(["log", str(audited.parent), "--to", "mlflow", "--run", "r", "--project", "e", "--json"]) == 0
    told = capsys.readouterr()
    assert '"id": "id-1"' in told.out
    assert "View run" in told.err  # stdout is one JSON value
    assert mlflow.of("set_experiment") == [("e",)]
    assert mlflow.of("start_run") == ["r"]
    logged = run_of(load_document(audited), audited)
    assert {k: v for (part,) in mlflow.of("log_metrics") for k, v in part.items()} == dict(logged.metrics)
    assert {k: v for (part,) in mlflow.of("log_params") for k, v in part.items()} == dict(logged.params)
    assert mlflow.of("set_tags") == [(dict(logged.tags),)]
    assert [Path(file).name for (file,) in mlflow.of("log_artifact")] == ["document.json", "report.html"]
    assert mlflow.calls[-1] == ("end", ())


def test_mlflow_is_given_no_more_at_once_than_it_takes(audited: Path, mlflow: Client) -> None:
    from ganaudit.tracking.mlflow import log_to_mlflow

    many = document(
        result(*(number(1.0, key=f"k{i}") for i in range(250)), declares=[]), plan={f"p{i}": i for i in range(250)}
    )
    log_to_mlflow(run_of(many, audited), None)
    assert mlflow.of("set_experiment") == []
    for name, n in (("log_params", 250), ("log_metrics", 500)):
        sizes = [len(part) for (part,) in mlflow.of(name)]
        assert max(sizes) <= 100
        assert sum(sizes) == n


def test_wandb_gets_numbers_plan_digests_and_one_artefact(audited: Path, wandb: Client) -> None:
    assert run(["log", str(audited), "--to", "wandb"]) == 0
    logged = run_of(load_document(audited), audited)
    (init,) = wandb.of("init")
    assert (init["project"], init["name"]) == ("ganaudit", "g")
    assert init["config"] == {**logged.params, **logged.tags}
    assert wandb.of("log") == [(dict(logged.metrics),)]
    assert wandb.of("artifact") == [("g", "audit")]
    assert [Path(file).name for (file,) in wandb.of("add_file")] == ["document.json", "report.html"]
    assert wandb.of("finish") == [{"exit_code": 0}]


def test_a_run_that_breaks_off_is_no_finished_one(audited: Path, wandb: Client) -> None:
    def refuse(_: Any) -> None:
        raise RefusedError("the server is away")

    wandb.active.log = refuse  # type: ignore[attr-defined]
    from ganaudit.tracking.wandb import log_to_wandb

    with pytest.raises(OutputError, match="the server is away"):
        log_to_wandb(run_of(load_document(audited), audited), None)
    assert wandb.of("finish") == [{"exit_code": 1}]


def test_a_refusal_of_mlflow_is_told(audited: Path, mlflow: Client) -> None:
    def refuse(_: Any) -> None:
        raise RefusedError("quota")

    mlflow.module.log_params = refuse  # type: ignore[attr-defined]
    assert run(["log", str(audited), "--to", "mlflow"]) == 2


@pytest.mark.parametrize("tracker", ["mlflow", "wandb"])
def test_what_is_not_installed_is_told_with_how_to(
    audited: Path, tracker: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setitem(sys.modules, tracker, None)  # as if it were not there
    assert run(["log", str(audited), "--to", tracker]) == 2
    assert f"pip install 'ganaudit[{tracker}]'" in capsys.readouterr().err


def test_tensorboard_reads_what_was_written(audited: Path, tmp_path: Path) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    assert run(["log", str(audited), "--to", "tensorboard", "--out", str(tmp_path / "tb")]) == 0
    found = reader.EventAccumulator(str(tmp_path / "tb" / "g"))
    found.Reload()
    logged = run_of(load_document(audited), audited)
    scalars = {tag: found.Scalars(tag)[0].value for tag in found.Tags()["scalars"]}
    assert scalars == pytest.approx(dict(logged.metrics))
    texts = {tag: found.Tensors(tag)[0].tensor_proto.string_val[0].decode() for tag in found.Tags()["tensors"]}
    assert f"    ganaudit.subject = {SUBJECT}" in texts["tags/text_summary"]
    assert all(line.startswith("    ") for text in texts.values() for line in text.split("\n"))


def test_tensorboard_that_is_not_there_is_told(audited: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ganaudit.tracking.tensorboard import log_to_tensorboard

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ConfigError, match="pip install 'ganaudit"):
        log_to_tensorboard(run_of(load_document(audited), audited), tmp_path)


def test_an_unknown_tracker_is_usage(audited: Path) -> None:
    assert run(["log", str(audited), "--to", "comet"]) == 2


def test_torch_is_imported_for_tensorboard_alone(audited: Path) -> None:
    code = (
        "import sys, types\n"
        "sys.modules['wandb'] = None\n"
        "from ganaudit.cli.main import run\n"
        f"assert run(['log', {str(audited)!r}, '--to', 'wandb']) == 2\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
