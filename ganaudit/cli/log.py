"""``ganaudit log``: hands an audit to an experiment tracker."""

from __future__ import annotations

import contextlib
import enum
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganaudit.cli.console import Console

if TYPE_CHECKING:
    from ganaudit.tracking.run import Run

__all__ = ["log"]


class Tracker(enum.StrEnum):
    """Where a run can go."""

    MLFLOW = "mlflow"
    WANDB = "wandb"
    TENSORBOARD = "tensorboard"


def log(
    console: Console,
    document: Annotated[Path, typer.Argument(help="document.json, or the folder that holds it.")],
    to: Annotated[Tracker, typer.Option(help="mlflow, wandb or tensorboard; each is an extra of its own.")],
    run: Annotated[str | None, typer.Option(help="Name of the run; default: the subject's.")] = None,
    project: Annotated[
        str | None, typer.Option(help="MLflow's experiment or W&B's project; default: MLflow's own, ganaudit.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for TensorBoard's files, one below it for the run.")] = Path(
        "runs/tensorboard"
    ),
) -> int:
    """Log the numbers of DOCUMENT with their intervals, its plan, digests and files to a tracker."""
    from ganaudit.document.files import load_document
    from ganaudit.tracking.run import run_of

    audited = load_document(document)
    file = document / "document.json" if document.is_dir() else document
    entry = run_of(audited, file, run)
    # Trackers say on stdout what is meant for people.
    with contextlib.redirect_stdout(sys.stderr):
        where = _logged(to, entry, project, out)
    if console.as_json:
        console.data({"to": to.value, "run": entry.name, "id": where, "metrics": len(entry.metrics)})
    console.text(f"{to.value}: {where}")
    if to is Tracker.TENSORBOARD:
        console.say("TensorBoard keeps no files: document and report stay where they are")
    console.last(0, f"{len(entry.metrics)} numbers logged as {entry.name}")
    return 0


def _logged(to: Tracker, entry: Run, project: str | None, out: Path) -> str:
    if to is Tracker.MLFLOW:
        from ganaudit.tracking.mlflow import log_to_mlflow

        return log_to_mlflow(entry, project)
    if to is Tracker.WANDB:
        from ganaudit.tracking.wandb import log_to_wandb

        return log_to_wandb(entry, project)
    from ganaudit.document.files import check_writable
    from ganaudit.tracking.tensorboard import log_to_tensorboard

    folder = out / entry.name
    check_writable(folder)
    return log_to_tensorboard(entry, folder)
