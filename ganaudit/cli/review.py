"""``ganaudit review``: comments and signatures of reviewers, bound to the digests of what they saw."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganaudit.cli.baseline import STORE, unchanged_against
from ganaudit.cli.console import Console
from ganaudit.cli.verbs import verb
from ganaudit.document.errors import ConfigError, nearest

if TYPE_CHECKING:
    from ganaudit.document.baselines import Baseline
    from ganaudit.document.model import AuditDocument
    from ganaudit.reviewing.record import Comment, Decision, Row
    from ganaudit.reviewing.verifying import Verification

__all__ = ["review"]

review = typer.Typer(
    name="review",
    help="Comment on an audit, sign it off, and check that a signature still holds.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_Folder = Annotated[Path, typer.Argument(help="The folder that `ganaudit audit` has written.")]
_Reviewer = Annotated[str, typer.Option(help="Who says so.")]
_Role = Annotated[str, typer.Option(help="In which capacity.")]
_Subject = Annotated[Path | None, typer.Option(help="Where the subject lies, if not where the audit found it.")]
_Baseline = Annotated[
    Path | None, typer.Option(help="For gates with baseline = true: a document, or the name or file of a baseline.")
]
_Policy = Annotated[
    Path | None, typer.Option(help="The file of the policy that judged, if not where the audit found it.")
]
_Store = Annotated[Path, typer.Option(help="Folder of the baselines.")]


def status(
    console: Console,
    folder: _Folder,
    subject: _Subject = None,
    policy: _Policy = None,
    baseline: _Baseline = None,
    store: _Store = STORE,
) -> int:
    """Show the checklist, the entries and what they come to; writes nothing and judges nothing."""
    from ganaudit.reviewing.checklist import checklist
    from ganaudit.reviewing.folder import audit_folder
    from ganaudit.reviewing.signing import case_of
    from ganaudit.reviewing.verifying import verify

    place, against = audit_folder(folder), _against(baseline, store)
    verified = verify(place, subject=subject, policy=policy, baseline=against)
    rows = checklist(case_of(place, verified.review, subject, against, policy=policy))
    if console.as_json:
        console.data({**_state(verified), "checklist": [row.model_dump(mode="json") for row in rows]})
    _table_of_rows(console, "checklist", rows)
    _table_of_entries(console, verified)
    console.last(0, verified.words)
    return 0


def comment(
    console: Console,
    folder: _Folder,
    reviewer: _Reviewer,
    comment: Annotated[str, typer.Option(help="What there is to say.")],
    gate: Annotated[str, typer.Option(help="The gate it answers, or one slice of it as GATE[SLICE].")] = "",
    role: _Role = "",
) -> int:
    """Write a remark on the audit, or the answer to one of its gates, into review.json."""
    from ganaudit.reviewing.folder import audit_folder
    from ganaudit.reviewing.signing import comment as write

    entry = write(audit_folder(folder), reviewer=reviewer, text=comment, gate=gate, role=role)
    if console.as_json:
        console.data(entry.model_dump(mode="json"))
    about = f"gate {entry.gate}" if entry.gate else "the audit"
    console.text(f"entry {entry.number}: {entry.reviewer} on {about}")
    console.last(0, "comment written")
    return 0


def sign(
    console: Console,
    folder: _Folder,
    reviewer: _Reviewer,
    decision: Annotated[str, typer.Option(help="approve, conditions (listed in the comment) or reject.")],
    comment: Annotated[str, typer.Option(help="Why; with conditions: which.")] = "",
    role: _Role = "",
    acknowledge: Annotated[
        list[str] | None, typer.Option(help="Accept a row of the checklist as it is: environment.")
    ] = None,
    subject: _Subject = None,
    policy: _Policy = None,
    baseline: _Baseline = None,
    store: _Store = STORE,
) -> int:
    """Sign the audit: a decision bound to the digests of subject, document, policy, report and samples.

    An approval needs every row of the checklist; one that is unmet is told with what to do, and the code is 3.
    """
    from ganaudit.reviewing.folder import audit_folder
    from ganaudit.reviewing.signing import DECISIONS, NotSignedError, Signature
    from ganaudit.reviewing.signing import sign as write

    if decision not in DECISIONS:
        raise ConfigError(f"--decision {decision!r}: no such decision; {nearest(decision, DECISIONS)}")
    asked = Signature(reviewer, decision, comment, role, tuple(acknowledge or ()))  # type: ignore[arg-type]
    try:
        entry = write(audit_folder(folder), asked, subject=subject, policy=policy, baseline=_against(baseline, store))
    except NotSignedError as refused:
        if console.as_json:
            console.data({"signed": False, "unmet": [row.model_dump(mode="json") for row in refused.rows]})
        _table_of_rows(console, "not signed", refused.rows)
        for row in refused.rows:
            console.error(f"{row.question} {row.found}; to do: {row.todo}")
        console.last(3, f"not signed: {len(refused.rows)} of the checklist's rows unmet; nothing was written")
        return 3
    if console.as_json:
        console.data({"signed": True, **entry.model_dump(mode="json")})
    _bound(console, entry)
    console.last(0, f"signed: {entry.decision} by {entry.reviewer}; entry {entry.number}, {entry.digest}")
    return 0


def verify(
    console: Console,
    folder: _Folder,
    subject: _Subject = None,
    policy: _Policy = None,
    baseline: _Baseline = None,
    store: _Store = STORE,
    head: Annotated[
        str | None, typer.Option(help="Digest of an entry that must be there, as sign told it: nothing was cut off.")
    ] = None,
) -> int:
    """Take every digest again, judge the document again, and say whether the signature holds.

    0 approved and unchanged; 1 anything changed since, or rejected; 3 nobody has signed, or not enough of those asked.
    """
    from ganaudit.reviewing.folder import audit_folder
    from ganaudit.reviewing.verifying import verify as check

    found = check(audit_folder(folder), subject=subject, policy=policy, baseline=_against(baseline, store), head=head)
    if console.as_json:
        console.data(_state(found))
    _table_of_entries(console, found)
    for problem in found.problems:
        console.error(problem)
    for told in found.told:
        console.say(told)
    console.last(found.exit_code, found.words)
    return found.exit_code


def export(
    console: Console,
    folder: _Folder,
    format: Annotated[str, typer.Option(help="in-toto (test result) or vsa (SLSA verification summary).")],
    out: Annotated[Path | None, typer.Option(help="Where to write; stdout where it is not given.")] = None,
    verifier: Annotated[str | None, typer.Option(help="With vsa: the address of who answers for it.")] = None,
    resource: Annotated[str | None, typer.Option(help="With vsa: the address the subject is used at.")] = None,
    subject: _Subject = None,
    policy: _Policy = None,
    baseline: _Baseline = None,
    store: _Store = STORE,
) -> int:
    """Write a review that holds as a statement for others' tools; it is not signed with a key."""
    from ganaudit.document.files import write_atomically
    from ganaudit.reviewing.attestation import statement
    from ganaudit.reviewing.folder import audit_folder
    from ganaudit.reviewing.verifying import verify as check

    if format not in ("in-toto", "vsa"):
        raise ConfigError(f"--format {format!r}: no such format; {nearest(format, ['in-toto', 'vsa'])}")
    place = audit_folder(folder)
    found = check(place, subject=subject, policy=policy, baseline=_against(baseline, store))
    if found.state in ("void", "incomplete", "unsigned"):
        console.error(f"nothing to export: {found.words}")
        console.last(found.exit_code, f"not exported: {found.words}")
        return found.exit_code
    made = statement(place, found, format, verifier=verifier, resource=resource)  # type: ignore[arg-type]
    if out is not None:
        write_atomically(out, (json.dumps(made, indent=2, ensure_ascii=True) + "\n").encode())
        console.text(f"statement: {out}")
    if out is None or console.as_json:
        console.data(made)
    console.last(0, f"exported, not signed with a key: {found.words}")
    return 0


def open_(
    console: Console,
    folder: _Folder,
    port: Annotated[int, typer.Option(min=0, max=65535, help="On 127.0.0.1; 0: one that is free.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only say the address.")] = False,
    subject: _Subject = None,
    policy: _Policy = None,
    baseline: _Baseline = None,
    store: _Store = STORE,
) -> int:
    """Read, comment and sign in a browser, on this machine alone, until Ctrl-C."""
    from ganaudit.reviewing.desk import Desk
    from ganaudit.reviewing.folder import audit_folder, check_review_writable, load_audit
    from ganaudit.reviewing.server import ReviewServer, show

    place = audit_folder(folder)
    load_audit(place)
    check_review_writable(place)
    with ReviewServer(Desk(place, subject, _against(baseline, store), policy), port, console.say) as server:
        if console.as_json:
            console.data({"address": server.address})
        console.text(f"review: {server.address}")
        console.say("it answers this machine alone, and only with the token in the address; Ctrl-C ends it")
        if not no_browser:
            show(server.address)
        with contextlib.suppress(KeyboardInterrupt):  # the way to end it
            server.serve_forever()
    console.last(0, "the page is closed; review.json holds what was written")
    return 0


def _against(baseline: Path | None, store: Path) -> AuditDocument | Baseline | None:
    return unchanged_against(baseline, store) if baseline is not None else None


def _state(found: Verification) -> dict[str, Any]:
    return {
        "state": found.state,
        "exit_code": found.exit_code,
        "words": found.words,
        "problems": list(found.problems),
        "told": list(found.told),
        "stands": [decision.number for decision in found.stands],
        "void": {str(number): told for number, told in found.void.items()},
        "head": found.review.head,
        "entries": [entry.model_dump(mode="json") for entry in found.review.entries],
    }


def _table_of_rows(console: Console, title: str, rows: Sequence[Row]) -> None:
    order = {"unmet": 0, "told": 1, "met": 2}
    cells = [
        [row.state.upper() if row.state == "unmet" else row.state, row.question, row.found, row.todo]
        for row in sorted(rows, key=lambda row: order[row.state])
    ]
    console.table(title, ["state", "question", "found", "to do"], cells)


def _table_of_entries(console: Console, found: Verification) -> None:
    cells = [
        [str(e.number), e.time, f"{e.reviewer}{f' ({e.role})' if e.role else ''}", _what(e, found), e.text]
        for e in found.review.entries
    ]
    if cells:
        console.table("review.json", ["entry", "time", "reviewer", "what", "text"], cells)


def _what(entry: Comment | Decision, found: Verification) -> str:
    if entry.kind == "comment":
        return f"comment on {entry.gate}" if entry.gate else "comment"
    if entry.number in found.void:
        return f"{entry.decision}, VOID: {'; '.join(found.void[entry.number])}"
    return entry.decision


def _bound(console: Console, entry: Decision) -> None:
    console.table("bound to", ["what", "digest", "over"], [[b.what, b.digest, b.words] for b in entry.bound])


_VERBS: dict[str, Callable[..., int]] = {
    "status": status,
    "comment": comment,
    "sign": sign,
    "verify": verify,
    "export": export,
    "open": open_,
}
for _name, _function in _VERBS.items():
    review.command(_name)(verb(_function))
