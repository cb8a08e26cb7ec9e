"""``ganaudit policy lint``: whether a policy asks for what can be told at all."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ganaudit.cli.baseline import STORE, unchanged_against
from ganaudit.cli.console import Console
from ganaudit.cli.verbs import verb

__all__ = ["policy"]

policy = typer.Typer(
    name="policy",
    help="Check a policy against a measured audit.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def lint(
    console: Console,
    policy: Annotated[Path, typer.Argument(help="TOML file with [[gate]] tables, or smoke, standard or strict.")],
    document: Annotated[Path, typer.Argument(help="An audit such as those to be judged: document.json or its folder.")],
    baseline: Annotated[Path | None, typer.Option(help="As `ganaudit gate` has it.")] = None,
    store: Annotated[Path, typer.Option(help="Folder of the baselines.")] = STORE,
    replicate: Annotated[
        list[Path] | None, typer.Option(help="An audit with another seed: the noise is measured too; may be repeated.")
    ] = None,
) -> int:
    """Say which gates of POLICY lie below the noise floor of DOCUMENT, or mislead in another way."""
    from datetime import UTC, datetime

    from ganaudit.document.files import load_document
    from ganaudit.document.noise import lint_policy
    from ganaudit.document.policy import load_policy

    rules, audited = load_policy(policy), load_document(document)
    held = unchanged_against(baseline, store) if baseline else None
    others = [load_document(path) for path in replicate or ()]
    remarks = lint_policy(rules, audited, held, datetime.now(UTC).date(), others)
    if console.as_json:
        console.data([{"gate": r.gate, "level": r.level, "message": r.message} for r in remarks])
    rows = [[r.level, r.gate or "(policy)", r.message] for r in remarks]
    if rows:
        console.table("policy", ["level", "gate", "what"], rows)
    errors = sum(r.level == "error" for r in remarks)
    code = 1 if errors else 0
    console.last(code, f"{len(rules.gate)} gates: {errors} errors, {len(remarks) - errors} warnings")
    return code


policy.command("lint")(verb(lint))
