"""An audit as a run of TensorBoard."""

from __future__ import annotations

from pathlib import Path

from ganaudit.document.errors import ConfigError
from ganaudit.tracking.run import Run

__all__ = ["log_to_tensorboard"]


def log_to_tensorboard(run: Run, folder: Path) -> str:
    """Write a run's numbers as scalars of step 0, plan and tags as texts, into ``folder``; return the folder.

    TensorBoard keeps no files: document and report stay where they are. Raises ConfigError when it is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ConfigError(
            "--to tensorboard: TensorBoard is not installed; pip install 'ganaudit[tensorboard]'"
        ) from None
    writer = SummaryWriter(str(folder))
    try:
        for name, value in run.metrics.items():
            writer.add_scalar(name, value, 0)
        for name, entries in (("plan", run.params), ("tags", run.tags)):
            # Indented lines are code to TensorBoard, which reads Markdown: nothing in them is a mark.
            writer.add_text(
                name, "\n".join(f"    {key} = {' '.join(text.split())}" for key, text in entries.items()), 0
            )
    finally:
        writer.close()
    return str(folder)
