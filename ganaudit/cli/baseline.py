"""``ganaudit baseline``: accepts an audit as what the next one is held against, and shows what was accepted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganaudit.cli.console import Console, cell
from ganaudit.cli.verbs import verb

if TYPE_CHECKING:
    from ganaudit.document.baselines import Baseline
    from ganaudit.document.model import AuditDocument

__all__ = ["STORE", "against_of", "baseline", "unchanged_against"]

STORE = Path("baselines")
"""Where baselines lie; they belong under version control, where others review them."""

baseline = typer.Typer(
    name="baseline",
    help="Accept an audit as a baseline, and show what was accepted.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def accept(
    console: Console,
    document: Annotated[Path, typer.Argument(help="document.json, or the folder that holds it.")],
    author: Annotated[str, typer.Option(help="Who accepts it.")],
    reason: Annotated[str, typer.Option(help="Why: what changed, and why that is good.")],
    name: Annotated[str, typer.Option(help="The baseline's name.")] = "main",
    anchor: Annotated[
        bool, typer.Option("--anchor", help="Sum the drift anew from this audit on; the first is the anchor anyway.")
    ] = False,
    despite_failures: Annotated[
        bool, typer.Option("--despite-failures", help="Accept an audit with failed gates; say why in the reason.")
    ] = False,
    store: Annotated[Path, typer.Option(help="Folder of the baselines.")] = STORE,
) -> int:
    """Accept DOCUMENT: later audits are held against its numbers."""
    from ganaudit.document.baselines import entry_of
    from ganaudit.document.errors import ConfigError
    from ganaudit.document.files import read_document, write_baseline
    from ganaudit.document.grounds import grounds_apart
    from ganaudit.document.names import unseen_in

    told = {"author": author, "reason": reason}
    empty = [
        f"--{key} is empty; a baseline names who accepted it and why" for key, text in told.items() if not text.strip()
    ]
    unseen = unseen_in(author.strip())
    empty += [f"--author {author!r}: {unseen}"] if unseen else []
    path = _path(name, store)
    audited, changed = read_document(document)
    held, altered = _held(name, path)
    refused = empty + _refusals(audited, changed, despite_failures) + ([altered] if altered else [])
    if refused:
        raise ConfigError(refused)
    now = datetime.now(UTC).replace(microsecond=0).isoformat()
    entry = entry_of(audited, author=author, reason=reason, accepted=now, anchor=anchor)
    last = held.last
    # Options of single evaluators are left to their gates.
    differing = [] if last is None or anchor else grounds_apart(audited, last)
    if differing:
        way = "--anchor begins anew with it, --name gives it a baseline of its own"
        fields = "; ".join(one.words("the last one") for one in differing)
        raise ConfigError(f"it rests on other ground than the last audit accepted as {name!r}: {fields}; {way}")
    doubled = held.last is not None and held.last.document == entry.document and not anchor
    if not doubled:
        held = held.with_entry(entry)
        write_baseline(held, path)
    if console.as_json:
        console.data({"baseline": str(path), "entries": len(held.entries), "numbers": len(entry.numbers)})
    words = "is what it holds already" if doubled else "is its anchor" if held.entries[-1].anchor else "was added"
    console.text(f"{path}: {audited.subject.name}, {len(entry.numbers)} numbers, accepted by {author}")
    console.last(0, f"{len(held.entries)} audits accepted as {name!r}; this one {words}")
    return 0


def show(
    console: Console,
    name: Annotated[str, typer.Argument(help="The baseline's name.")] = "main",
    store: Annotated[Path, typer.Option(help="Folder of the baselines.")] = STORE,
) -> int:
    """Show the numbers that the next audit is held against, and how far they moved since the anchor."""
    held = _known(console, name, store)
    last, anchor = held.last, held.anchor
    assert last is not None
    assert anchor is not None
    if console.as_json:
        console.data(last.model_dump(mode="json"))
    apart = anchor.comparability.fields != last.comparability.fields
    rows = []
    for measure, number in last.numbers.items():
        span = f"[{cell(number.interval.low)}, {cell(number.interval.high)}]" if number.interval else "-"
        first = None if apart else anchor.numbers.get(measure)
        drift = "-" if first is None else f"{number.value - first.value:+.4g}"
        rows.append([measure, cell(number.value), span, str(number.n), number.better, drift])
    title = f"{name}: {last.name}, accepted {last.accepted} by {last.author}: {last.reason}"
    console.table(title, ["number", "value", "interval", "n", "better", "since the anchor"], rows)
    console.last(0, f"{len(held.entries)} audits accepted as {name!r}; anchor {anchor.accepted}")
    return 0


def history(
    console: Console,
    name: Annotated[str, typer.Argument(help="The baseline's name.")] = "main",
    measure: Annotated[list[str] | None, typer.Option(help="A number to follow; may be repeated.")] = None,
    store: Annotated[Path, typer.Option(help="Folder of the baselines.")] = STORE,
) -> int:
    """Show every accepted audit, oldest first, with the numbers asked for."""
    from ganaudit.document.errors import ConfigError, nearest

    held = _known(console, name, store)
    followed = measure or []
    known = {key for entry in held.entries for key in entry.numbers}
    lost = [f"--measure {m!r}: never accepted; {nearest(m, known)}" for m in followed if m not in known]
    if lost:
        raise ConfigError(lost)
    if console.as_json:
        kept = [
            {
                **entry.model_dump(mode="json", exclude={"numbers", "comparability", "environment"}),
                "numbers": {m: entry.numbers[m].model_dump(mode="json") for m in followed if m in entry.numbers},
            }
            for entry in held.entries
        ]
        console.data(kept)
    rows = [
        [
            entry.accepted,
            "anchor" if entry.anchor else "",
            entry.name,
            entry.author,
            entry.reason,
            *(cell(entry.numbers[m].value) if m in entry.numbers else "-" for m in followed),
        ]
        for entry in held.entries
    ]
    console.table(name, ["accepted", "", "subject", "author", "reason", *followed], rows)
    console.last(0, f"{len(held.entries)} audits accepted as {name!r}")
    return 0


def against_of(given: Path, store: Path) -> AuditDocument | Baseline:
    """Return what ``--baseline`` names: a document or its folder, a baseline file, or a baseline of the store.

    A bare name that the store does not hold is a baseline with nothing accepted yet: its gates are missing, not passed,
    and tell the nearest names. So are those of a file that was changed since it was written, and tell what was changed.
    Raises DocumentError for a path where nothing lies.
    """
    from ganaudit.document.baselines import BASELINE_SCHEMA, NoBaseline
    from ganaudit.document.errors import DocumentError, nearest
    from ganaudit.document.files import read_baseline, read_document, schema_of

    if given.exists():
        is_baseline = given.is_file() and schema_of(given) == BASELINE_SCHEMA
        return _believed(given, read_baseline(given) if is_baseline else read_document(given))
    if given.name != str(given) or given.suffix:
        beside = _names(given.parent)
        near = f"; {nearest(given.stem, beside)}" if beside else ""
        allowed = "allowed: a document, its folder, the file of a baseline, or the name of one"
        raise DocumentError(f"--baseline {given}: no such file or folder{near}; {allowed}")
    path = _path(str(given), store)
    if path.exists():
        return _believed(given, read_baseline(path))
    return NoBaseline(name=str(given), store=str(store), others=_names(store))


def unchanged_against(given: Path, store: Path) -> AuditDocument | Baseline:
    """Return what ``against_of`` does; raises DocumentError for a file that was changed since it was written.

    It is for verbs that have no verdict in which to say so.
    """
    from ganaudit.document.baselines import ChangedBaseline
    from ganaudit.document.errors import DocumentError

    held = against_of(given, store)
    if isinstance(held, ChangedBaseline):
        raise DocumentError(f"--baseline {given}: {held.told}")
    return held


def _believed(
    given: Path, read: tuple[AuditDocument, str | None] | tuple[Baseline, str | None]
) -> AuditDocument | Baseline:
    from ganaudit.document.baselines import ChangedBaseline

    held, changed = read
    return held if changed is None else ChangedBaseline(name=str(given), told=changed)


def _names(store: Path) -> tuple[str, ...]:
    """Return the names of the baselines in a folder; other JSON files in it are none."""
    from ganaudit.document.baselines import BASELINE_SCHEMA
    from ganaudit.document.files import schema_of

    return tuple(sorted(path.stem for path in store.glob("*.json") if schema_of(path) == BASELINE_SCHEMA))


def _refusals(document: AuditDocument, changed: str | None, despite_failures: bool) -> list[str]:
    from ganaudit.document.judge import exit_of

    problems = [changed] if changed else []
    code, words = exit_of(document, None)
    if code:
        problems.append(f"the audit is {words}; a baseline needs a whole one")
    failed = [v.name for v in document.verdicts if v.blocking and v.outcome == "failed"]
    if failed and not despite_failures:
        problems.append(
            f"gates failed: {', '.join(failed)}; --despite-failures accepts it all the same, with the reason"
        )
    if document.plan.get("profile") == "quick":
        problems.append(
            "it is a quick audit: its numbers are too rough to hold others against; audit with --profile standard"
        )
    return problems


def _path(name: str, store: Path) -> Path:
    from ganaudit.document.errors import ConfigError

    if not name or name.startswith(".") or any(not (c.isalnum() or c in "-_.") for c in name):
        raise ConfigError(f"baseline {name!r}: a name is letters, digits, hyphens, dots and underscores")
    return store / f"{name}.json"


def _held(name: str, path: Path) -> tuple[Baseline, str | None]:
    from ganaudit.document.baselines import Baseline
    from ganaudit.document.files import read_baseline

    return read_baseline(path) if path.exists() else (Baseline(name=name), None)


def _known(console: Console, name: str, store: Path) -> Baseline:
    """Return a baseline to be shown, and caution of one that was changed or cannot tell."""
    from ganaudit.document.errors import ConfigError, nearest

    path = _path(name, store)
    held, altered = _held(name, path)
    for words in (altered, held.untold):
        if words:
            console.say(f"caution: {words}")
    if not held.entries:
        near = nearest(name, _names(store))
        raise ConfigError(f"no baseline {name!r} in {store}; {near}; `ganaudit baseline accept` makes one")
    return held


_VERBS: dict[str, Callable[..., int]] = {"accept": accept, "show": show, "history": history}
for _name, _function in _VERBS.items():
    baseline.command(_name)(verb(_function))
