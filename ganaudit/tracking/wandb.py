"""An audit as a run of Weights & Biases; account, host and offline mode are its own matter (WANDB_*)."""

from __future__ import annotations

import re
from typing import Any

from ganaudit.document.errors import ConfigError, OutputError
from ganaudit.tracking.run import Run

__all__ = ["log_to_wandb"]


def log_to_wandb(run: Run, project: str | None) -> str:
    """Log a run into ``project``, ``ganaudit`` where it is None; return the run's id.

    Digests go into the configuration beside the plan: its tags hold no more than 64 characters. The files become one
    artefact of type ``audit``. Raises ConfigError when the package is not installed, OutputError when it refuses.
    """
    try:
        import wandb
        from wandb.errors import Error
    except ImportError:
        raise ConfigError("--to wandb: Weights & Biases is not installed; pip install 'ganaudit[wandb]'") from None
    try:
        return _logged(wandb, run, project)
    except Error as error:
        raise OutputError(
            f"--to wandb: Weights & Biases refused: {error}; WANDB_MODE=offline needs no server"
        ) from None


def _logged(wandb: Any, run: Run, project: str | None) -> str:
    active = wandb.init(project=project or "ganaudit", name=run.name, config={**run.params, **run.tags})
    failed = True
    try:
        active.log(dict(run.metrics))
        artefact = wandb.Artifact(re.sub(r"[^A-Za-z0-9_.-]", "-", run.name)[:100] or "audit", type="audit")
        for file in run.files:
            artefact.add_file(str(file))
        active.log_artifact(artefact)
        failed = False
    finally:
        active.finish(exit_code=1 if failed else 0)
    return str(active.id)
