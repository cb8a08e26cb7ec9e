"""An audit as a run of MLflow; where it goes is MLflow's own matter (MLFLOW_TRACKING_URI)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from ganaudit.document.errors import ConfigError, OutputError
from ganaudit.tracking.run import Run

__all__ = ["log_to_mlflow"]

_AT_ONCE = 100
"""Entries of one call: MLflow refuses more parameters than these."""
_T = TypeVar("_T")


def log_to_mlflow(run: Run, project: str | None) -> str:
    """Log a run into the experiment ``project``, MLflow's default one where it is None; return the run's id.

    Raises ConfigError when MLflow is not installed, OutputError when it refuses.
    """
    try:
        import mlflow
        from mlflow.exceptions import MlflowException
    except ImportError:
        raise ConfigError("--to mlflow: MLflow is not installed; pip install 'ganaudit[mlflow]'") from None
    try:
        return _logged(mlflow, run, project)
    except MlflowException as error:
        raise OutputError(f"--to mlflow: MLflow refused: {error}; MLFLOW_TRACKING_URI names the server") from None


def _logged(mlflow: Any, run: Run, project: str | None) -> str:
    if project is not None:
        mlflow.set_experiment(project)
    with mlflow.start_run(run_name=run.name) as active:
        for params in _parts(run.params):
            mlflow.log_params(params)
        for metrics in _parts(run.metrics):
            mlflow.log_metrics(metrics)
        mlflow.set_tags(dict(run.tags))
        for file in run.files:
            mlflow.log_artifact(str(file))
        return str(active.info.run_id)


def _parts(entries: Mapping[str, _T]) -> Iterator[dict[str, _T]]:
    names = list(entries)
    for start in range(0, len(names), _AT_ONCE):
        yield {name: entries[name] for name in names[start : start + _AT_ONCE]}
