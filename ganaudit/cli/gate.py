"""``ganaudit gate``: judges a document again, without weights and without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganaudit.cli.baseline import STORE, against_of
from ganaudit.cli.console import Console
from ganaudit.cli.outlets import Outlets, source_of, with_outlets

if TYPE_CHECKING:
    from ganaudit.document.gates import Policy
    from ganaudit.document.judge import Judgement
    from ganaudit.document.model import AuditDocument, PolicyFile

__all__ = ["gate", "judged", "verdict_table"]


@with_outlets
def gate(
    console: Console,
    document: Annotated[Path, typer.Argument(help="document.json, or the folder that holds it.")],
    policy: Annotated[Path, typer.Option(help="TOML file with [[gate]] tables, or smoke, standard or strict.")],
    baseline: Annotated[
        Path | None, typer.Option(help="For gates with baseline = true: a document, or the name or file of a baseline.")
    ] = None,
    store: Annotated[Path, typer.Option(help="Folder of the baselines.")] = STORE,
    replicate: Annotated[
        list[Path] | None, typer.Option(help="Another audit of the same plan with another seed; may be repeated.")
    ] = None,
    *,
    outlets: Outlets,
) -> int:
    """Judge DOCUMENT by a policy."""
    from ganaudit.document.files import load_document, read_document
    from ganaudit.document.judge import exit_of, judge
    from ganaudit.document.policy import load_policy
    from ganaudit.document.policy_files import policy_file
    from ganaudit.report.judged import Judged

    outlets.check()
    rules = load_policy(policy)
    audited, changed = read_document(document)
    others = [load_document(path) for path in replicate or ()]
    against = against_of(baseline, store) if baseline else None
    judgement = judge(audited, rules, against, replicates=others)
    folder = document if document.is_dir() else document.parent
    # With the file's record an audit and a gate by one policy come to one document, and to one number in SARIF.
    answered = judged(audited, rules, judgement, changed, policy_file(policy, folder))
    code, words = exit_of(answered, judgement)
    with outlets.told(console, Judged(answered, code, words, source_of(policy, rules), against)):
        if console.as_json:
            verdicts = [v.model_dump(mode="json") for v in judgement.verdicts]
            console.data({"exit_code": code, "summary": words, "verdicts": verdicts, "remarks": answered.remarks})
        verdict_table(console, judgement)
        for remark in answered.remarks:
            console.say(f"caution: {remark}")
    console.last(code, words)
    return code


def judged(
    document: AuditDocument,
    policy: Policy,
    judgement: Judgement,
    changed: str | None = None,
    file: PolicyFile | None = None,
) -> AuditDocument:
    """Return the document with its policy and the answer to it.

    ``changed`` tells how it is not as it was written, ``file`` is what a written document keeps of the policy's file.
    """
    from ganaudit.document.gates import Verdict
    from ganaudit.document.redaction import private_of_this_machine, redacted_values

    private = private_of_this_machine()
    told = redacted_values([v.model_dump(mode="json") for v in judgement.verdicts], private)
    return document.model_copy(
        update={
            "environment": document.environment.model_copy(update={"policy_file": file}),
            "policy": redacted_values(policy.model_dump(mode="json"), private),
            "verdicts": [Verdict.model_validate_json(json.dumps(one)) for one in told],
            "remarks": redacted_values([*judgement.remarks, *([changed] if changed else [])], private),
            "changed": redacted_values(changed, private),
        }
    )


def verdict_table(console: Console, judgement: Judgement) -> None:
    """Write all verdicts, what failed first."""
    order = {"failed": 0, "missing": 1, "inconclusive": 2, "waived": 3, "passed": 4}
    rows = [
        [v.outcome.upper() if v.blocking else v.outcome, v.name, v.measure, v.level, v.message]
        for v in sorted(judgement.verdicts, key=lambda v: order[v.outcome])
    ]
    console.table("verdicts", ["outcome", "gate", "measure", "level", "why"], rows)
