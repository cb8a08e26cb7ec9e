"""``ganaudit audit``: audits a subject, writes document, report and samples, judges where a policy is given."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganaudit.cli.baseline import STORE, against_of
from ganaudit.cli.console import Console, cell
from ganaudit.cli.gate import judged, verdict_table
from ganaudit.cli.outlets import Outlets, source_of, with_outlets
from ganaudit.cli.report import MOST_BYTES, Layout, LayoutOption, MostBytesOption, Shape, write_report
from ganaudit.cli.trust import TrustCode, short_name, stdout_is_ours
from ganaudit.document.errors import ConfigError
from ganaudit.locations import cache_dir

if TYPE_CHECKING:
    from ganaudit.auditing import Audited, Setting
    from ganaudit.config import AuditPlan
    from ganaudit.document.baselines import Baseline
    from ganaudit.document.gates import Policy
    from ganaudit.document.judge import Judgement
    from ganaudit.document.model import AuditDocument, Measurement, PolicyFile
    from ganaudit.evidence.others import Other

__all__ = ["audit", "size_of"]


@with_outlets
def audit(
    console: Console,
    subject: Annotated[
        str | None,
        typer.Argument(
            help="A reference model, a train directory, .pt2, .pt, .onnx, samples, or PACKAGE.MODULE:FACTORY."
        ),
    ] = None,
    discriminator: Annotated[Path | None, typer.Option(help="For formats that hold only a generator.")] = None,
    trust_code: TrustCode = False,
    other: Annotated[
        list[str] | None, typer.Option(help="NAME=SUBJECT, a subject to try attacks and thresholds on; repeatable.")
    ] = None,
    reference: Annotated[str | None, typer.Option(help="A built-in set, a path, or train=PATH,test=PATH.")] = None,
    against: Annotated[str | None, typer.Option(help="Split of reals to compare with: test, train, all.")] = None,
    config: Annotated[Path | None, typer.Option(help="audit.toml, or a pyproject.toml with [tool.ganaudit].")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for document.json, report.html, samples/.")] = None,
    evaluators: Annotated[str | None, typer.Option(help="Only these, comma separated.")] = None,
    extractor: Annotated[str | None, typer.Option(help="Feature extractor; see `ganaudit list`.")] = None,
    extractor_weights: Annotated[Path | None, typer.Option(help="Weights file of the extractor.")] = None,
    samples: Annotated[int | None, typer.Option(help="Generated samples; default: as many as the reals.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random choice.")] = None,
    profile: Annotated[str | None, typer.Option(help="quick, standard or full: samples, effort of attacks.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:N.")] = None,
    precision: Annotated[str | None, typer.Option(help="Precision of the extractor: fp32 or bf16.")] = None,
    protocol: Annotated[str | None, typer.Option(help="Conventions to follow; see `ganaudit list`.")] = None,
    until_interval: Annotated[
        str | None, typer.Option(help="EVALUATOR/KEY=5% or =0.1: draw samples until half the interval is that narrow.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Samples in memory at once; never changes a number.")] = None,
    latent: Annotated[int | None, typer.Option(help="Latent size, for files that do not tell it.")] = None,
    value_range: Annotated[
        str | None, typer.Option("--range", envvar="GANAUDIT_AUDIT_RANGE", help="Range of float samples, such as -1,1.")
    ] = None,
    classes: Annotated[int | None, typer.Option(help="Classes of a conditional generator.")] = None,
    score_sign: Annotated[
        str | None, typer.Option(help="Which scores of the discriminator mean real: larger-real or smaller-real.")
    ] = None,
    resize: Annotated[str | None, typer.Option(help="WxH: resize every image, antialiased bicubic.")] = None,
    skip_unreadable: Annotated[bool, typer.Option("--skip-unreadable", help="Leave broken images out.")] = False,
    no_real_samples: Annotated[
        bool,
        typer.Option("--no-real-samples", help="Put into no file a real sample, or a generated one that copies it."),
    ] = False,
    policy: Annotated[Path | None, typer.Option(help="Gates to judge the audit by.")] = None,
    author: Annotated[
        list[str] | None, typer.Option(help="Who made the subject or runs the audit: cannot approve alone; repeatable.")
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(help="For gates with baseline = true: a document, or the name or file of a baseline.")
    ] = None,
    store: Annotated[Path, typer.Option(help="Folder of the baselines.")] = STORE,
    layout: LayoutOption = Layout.FILE,
    max_bytes: MostBytesOption = MOST_BYTES,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Keep and reuse neither evidence nor what evaluators found.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do none of it.")] = False,
    *,
    outlets: Outlets,
) -> int:
    """Audit SUBJECT against real samples."""
    from ganaudit import registry
    from ganaudit.config import load_plan

    if subject is None and config is None and Path("audit.toml").is_file():
        config = Path("audit.toml")
    given: dict[str, Any] = {
        "subject": subject,
        "discriminator": discriminator,
        "trust_code": trust_code or None,
        "others": _others(other or []),
        "reference": reference,
        "against": against,
        "samples": samples,
        "seed": seed,
        "profile": profile,
        "device": device,
        "precision": precision,
        "protocol": protocol,
        "until": _until(until_interval),
        "batch_size": batch_size,
        "latent": latent,
        "range": _range(value_range),
        "classes": classes,
        "score_sign": score_sign,
        "resize": size_of(resize),
        "skip_unreadable": skip_unreadable or None,
        "real_samples": False if no_real_samples else None,
        "cache": False if no_cache else None,
        "extractor": _present({"id": extractor, "weights": extractor_weights}),
        "evaluators": _names(evaluators),
        "policy": _present({"file": policy}),
        "review": _present({"authors": author or None}),
    }
    plan = load_plan(config, _present(given), registry.names("evaluators"))
    if not plan.subject:
        raise ConfigError("subject: required; name a reference model or a path, or give --config with subject = ...")
    folder = out or Path("reports") / short_name(plan.subject)
    shape = Shape(layout, max_bytes, cache_dir() / "charts" if plan.cache else None)
    if dry_run:
        return _dry_run(console, plan, folder)
    ends = _Ends(folder, shape, against_of(baseline, store) if baseline else None, outlets)
    return _audited(console, plan, ends)


@dataclass(frozen=True, slots=True)
class _Ends:
    """Where an audit goes and what it is held against once it is made."""

    folder: Path
    shape: Shape
    against: AuditDocument | Baseline | None
    outlets: Outlets


@dataclass(frozen=True, slots=True)
class _Rules:
    """The policy an audit is judged by, as it was before the audit began."""

    policy: Policy
    path: Path
    file: PolicyFile | None
    """What the document keeps of it; None for a preset."""


def _rules(path: Path | None, folder: Path) -> _Rules | None:
    from ganaudit.document.policy import load_policy
    from ganaudit.document.policy_files import policy_file

    return None if path is None else _Rules(load_policy(path), path, policy_file(path, folder))


def _audited(console: Console, plan: AuditPlan, ends: _Ends) -> int:
    from ganaudit.document.files import check_writable

    rules = _rules(plan.policy.file, ends.folder)
    check_writable(ends.folder)
    ends.outlets.check()
    from ganaudit.auditing import run
    from ganaudit.evidence.ranks import device_of, launched

    with launched(plan.device) as ranks:
        # One process speaks and writes; the others have the same document and leave it at that.
        speaks = ranks.rank == 0
        plan = plan.model_copy(update={"device": device_of(plan.device, ranks)})
        with stdout_is_ours(plan.trust_code):
            audited = run(plan, progress=console if speaks else None, command=["ganaudit", *sys.argv[1:]], ranks=ranks)
        return _told(console, audited, rules, ends) if speaks else 0


def _told(console: Console, audited: Audited, rules: _Rules | None, ends: _Ends) -> int:
    """Judge the audit, write its files and say how it went; return the exit code."""
    from ganaudit.auditing.session import write
    from ganaudit.document.files import sealed
    from ganaudit.document.judge import exit_of, judge
    from ganaudit.report.judged import Judged, PolicySource

    document, judgement = audited.document, None
    for remark in audited.remarks:
        console.say(f"caution: {remark}")
    try:
        if rules is not None:
            judgement = judge(document, rules.policy, ends.against)
            document = judged(document, rules.policy, judgement, file=rules.file)
    finally:
        # A misspelt gate must not lose the finished audit.
        write(replace(audited, document=document), ends.folder)
    document = sealed(document)
    _write_report(console, document, audited.files, ends.folder, ends.shape)
    code, words = exit_of(document, judgement)
    source = PolicySource() if rules is None else source_of(rules.path, rules.policy)
    with ends.outlets.told(console, Judged(document, code, words, source, ends.against)):
        _show(console, document, judgement)
    console.last(code, words)
    return code


def _show(console: Console, document: AuditDocument, judgement: Judgement | None) -> None:
    """Write every number and verdict to stdout."""
    if console.as_json:
        console.data(document.model_dump(mode="json", by_alias=True))
    summary_table(console, document)
    shift = document.extractor.shift
    if shift is not None:
        console.text(
            f"{document.extractor.precision}: on {shift.samples} + {shift.samples} samples fd is {shift.fd:.5g}, "
            f"in fp32 {shift.fd_fp32:.5g}: a shift of {100 * shift.relative:+.3f} %"
        )
    if judgement is not None:
        verdict_table(console, judgement)


def _write_report(
    console: Console, document: AuditDocument, files: dict[str, bytes], folder: Path, shape: Shape
) -> None:
    """Write report.html and, where asked, the folder report beside it: what a reviewer signs is the one file."""
    page = write_report(document, files, folder / "report.html", replace(shape, layout=Layout.FILE))
    if shape.layout is Layout.DIR:
        page = write_report(document, files, folder / "report", shape)
    console.text(f"report: {page}")


def summary_table(console: Console, document: AuditDocument) -> None:
    """Write every number of the document, and what was not measured, as one table."""
    rows = []
    skipped = [r.evaluator for r in document.results if r.status == "skipped"]
    for result in document.results:
        for m in result.measurements:
            interval = f"[{cell(m.interval.low)}, {cell(m.interval.high)}]" if m.interval else "-"
            better = m.better if m.better != "none" else "-"
            rows.append([f"{result.evaluator}/{m.key}", cell(m.value), interval, _null(m), str(m.n), better])
        if result.status in ("not_assessable", "failed"):
            words = f"{result.status.replace('_', ' ')}: {result.reason}"
            rows.append([result.evaluator, words, "", "", "", ""])
    title = f"{document.subject.name} against {document.reference.name}/{document.reference.against}"
    title += f", extractor {document.extractor.id}"
    console.table(title, ["measure", "value", "95 % interval", "null", "n", "better"], rows)
    if skipped:
        console.text(f"not asked for: {', '.join(skipped)}")
    for warning in document.warnings:
        console.text(f"caution: {warning}")
    for result in document.results:
        for warning in result.warnings:
            console.text(f"caution: {result.evaluator}: {warning}")
        without = dict.fromkeys(m.reason for m in result.measurements if m.value is None)
        for reason in without:
            keys = [m.key for m in result.measurements if m.value is None and m.reason == reason]
            console.text(f"no value: {result.evaluator}: {', '.join(keys)}: {reason}")


def _null(m: Measurement) -> str:
    """Return the null of a number with what makes it another than reals against reals at the same n: never silent."""
    if m.null is None:
        return "-"
    other = [f"n = {m.null.n}"] if m.null.n != m.n else []
    other += [m.null.otherwise] if m.null.otherwise else []
    return f"{cell(m.null.value)} ({', '.join(other)})" if other else cell(m.null.value)


def _dry_run(console: Console, plan: AuditPlan, folder: Path) -> int:
    from ganaudit.auditing import settle

    with stdout_is_ours(plan.trust_code):
        setting = settle(plan, None, None, console)
    resolved = _resolved(setting, folder)
    if console.as_json:
        console.data(resolved)
    console.table("dry run", ["key", "value"], [[key, str(value)] for key, value in resolved.items()])
    console.last(0, "dry run, nothing was generated, extracted or written")
    return 0


def _resolved(setting: Setting, folder: Path) -> dict[str, Any]:
    evidence = setting.evidence
    asked = {}
    for name, evaluator in setting.evaluators.items():
        reason = evaluator.spec.unmet(evidence.missing)
        asked[name] = "will be measured" if reason is None else f"not assessable: {reason}"
    return {
        "subject": f"{setting.subject.name} ({setting.subject.kind}, {setting.subject.digest})",
        "sample": setting.subject.sample.describe(),
        "reference": setting.reference.name,
        "splits": {name: len(samples) for name, samples in setting.reference.splits.items()},
        "against": evidence.plan.against,
        "null": evidence.null.rule,
        "samples": evidence.plan.samples,
        "seed": evidence.plan.seed,
        "extractor": f"{setting.choice.id}: {setting.choice.why}",
        "evaluators": asked,
        **({"others": _described(evidence.others)} if evidence.others else {}),
        "warnings": list(setting.warnings),
        "out": str(folder),
    }


def _described(others: Mapping[str, Other]) -> dict[str, str]:
    return {
        name: f"{other.subject.name} ({other.subject.kind}, {other.subject.digest}{_after(other.converted)})"
        for name, other in others.items()
    }


def _after(words: str | None) -> str:
    return f"; {words}" if words else ""


def _others(texts: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return other subjects by name, of ``NAME=SUBJECT`` or of ``SUBJECT``, which is then named by its last part."""
    found: dict[str, dict[str, str]] = {}
    for text in texts:
        name, equals, subject = text.partition("=")
        # A path may hold the sign as well, as in runs/rate=0.1.
        if not equals or Path(text).exists() or "/" in name or os.sep in name:
            subject, path = text, Path(text)
            name = path.name if path.is_dir() else short_name(text)
        if not name or not subject:
            raise ConfigError(f"--other {text!r}: NAME=SUBJECT is asked for, such as --other early=runs/a")
        if name in found:
            raise ConfigError(f"--other {text!r}: {name!r} was named before; give each a name of its own, NAME=SUBJECT")
        found[name] = {"subject": subject}
    return found


def _present(values: dict[str, Any]) -> dict[str, Any]:
    """Return what was given: an option that was not leaves the file's value alone."""
    return {key: value for key, value in values.items() if value is not None and value != {}}


def _names(text: str | None) -> dict[str, dict[str, Any]] | None:
    if text is None:
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise ConfigError(f"--evaluators {text!r}: names no evaluator; `ganaudit list evaluators` shows them")
    return {name: {} for name in names}


def _range(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"--range {text!r}: two numbers with a comma are asked for, such as --range=-1,1") from None
    return low, high


def _until(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    measure, _, width = text.rpartition("=")
    relative = width.endswith("%")
    try:
        asked = float(width.removesuffix("%")) / (100 if relative else 1)
    except ValueError:
        asked = 0.0
    if "/" not in measure or not 0 < asked < float("inf"):
        raise ConfigError(
            f"--until-interval {text!r}: a number and a width are asked for, such as frechet-distance/fd-corrected=5% "
            "(of its value) or kernel-distance/kd=0.01"
        )
    return {"measure": measure, "width": asked, "relative": relative}


def size_of(text: str | None) -> tuple[int, int] | None:
    """Return (width, height) of ``WxH``; raises ConfigError for anything else."""
    if text is None:
        return None
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise ConfigError(f"--resize {text!r}: WIDTHxHEIGHT is asked for, such as --resize 64x64") from None
    return width, height
