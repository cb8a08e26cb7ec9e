"""``ganaudit init``: a first policy from a measured audit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ganaudit.cli.console import Console

__all__ = ["init"]


def init(
    console: Console,
    document: Annotated[Path, typer.Argument(help="The audit to start from: document.json or its folder.")],
    preset: Annotated[
        str, typer.Option(help="smoke, standard or strict: how many gates, and how much room.")
    ] = "standard",
    out: Annotated[Path, typer.Option(help="Where to write.")] = Path("policy.toml"),
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> int:
    """Write a commented policy that DOCUMENT passes, with what was measured beside every limit."""
    from ganaudit.document.drafting import draft_policy
    from ganaudit.document.errors import ConfigError, OutputError, nearest
    from ganaudit.document.files import read_document, write_atomically
    from ganaudit.document.presets import PRESETS

    if preset not in PRESETS:
        raise ConfigError(f"--preset {preset!r}: unknown; {nearest(preset, PRESETS)}")
    if out.exists() and not force:
        raise OutputError(f"{out} is there already; --force writes over it, --out names another file")
    audited, changed = read_document(document)
    text = draft_policy(audited.model_copy(update={"changed": changed}), preset)
    write_atomically(out, text.encode())
    gates = text.count("[[gate]]")
    if changed is not None:
        console.say(f"caution: {changed}")
    if console.as_json:
        console.data({"policy": str(out), "gates": gates})
    console.text(f"policy: {out}")
    console.last(0, f"{gates} gates drafted; read them before you trust them")
    return 0
