"""``ganaudit train``: trains a GAN and leaves a subject directory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ganaudit.cli.console import Console

__all__ = ["train"]


def train(
    console: Console,
    config: Annotated[Path, typer.Argument(help="train.toml.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the subject; default runs/<name>.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the newest checkpoint in the folder.")] = False,
    stop_after: Annotated[int | None, typer.Option(min=1, help="Checkpoint and end after so many real images.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", envvar="GANAUDIT_TRAIN_SET", help="key=value laid over the file; repeatable."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights, data order and noise.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:N.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the resolved configuration and stop.")] = False,
) -> int:
    """Train the GAN that CONFIG describes."""
    from ganaudit.training.config import load_config

    overrides = list(set_ or [])
    overrides += [f"seed={seed}"] if seed is not None else []
    overrides += [f"device={device!r}"] if device is not None else []
    plan = load_config(config, overrides)
    folder = out or Path("runs") / plan.name
    if dry_run:
        resolved = plan.model_dump(mode="json")
        if console.as_json:
            console.data(resolved)
        console.table("dry run", ["key", "value"], [[key, str(value)] for key, value in resolved.items()])
        console.last(0, "dry run, nothing was trained or written")
        return 0
    from ganaudit.document.files import check_writable
    from ganaudit.training.run import train as trained

    check_writable(folder)
    result = trained(plan, folder, resume=resume, stop_after=stop_after, progress=console)
    if console.as_json:
        console.data(
            {"out": str(folder), "images": result.images, "finished": result.finished, "seconds": result.seconds}
        )
    console.text(f"subject: {folder}" if result.finished else f"checkpoint: {folder}")
    code = 0 if result.finished else 130
    told = "trained" if result.finished else "stopped as asked; --resume goes on"
    console.last(code, f"{told}: {result.images} images in {result.seconds:.0f} s")
    return code
