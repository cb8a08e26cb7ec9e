"""The reviewer's page: the audit as it lies there, what was said of it, and forms that do what the verbs do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

import ganaudit
from ganaudit.document.baselines import Baseline
from ganaudit.document.errors import ConfigError, GanauditError
from ganaudit.document.gates import Verdict
from ganaudit.document.model import AuditDocument
from ganaudit.report.rendering import environment
from ganaudit.report.summary import summarise
from ganaudit.reviewing.binding import digest_of
from ganaudit.reviewing.checklist import ACKNOWLEDGED, Case, answers, checklist, open_gates
from ganaudit.reviewing.record import Comment, Decision, Row
from ganaudit.reviewing.signing import MOST_TEXT, NotSignedError, Signature, StaleError, case_of, comment, sign
from ganaudit.reviewing.verifying import Verification, verify

__all__ = ["Answer", "Desk", "Form"]

_GOOD, _BAD, _DOUBT, _CALM = ("good", "✓"), ("bad", "✕"), ("doubt", "!"), ("calm", "–")
_STATES = {
    "approved": _GOOD,
    "approved with conditions": _GOOD,
    "rejected": _BAD,
    "void": _BAD,
    "incomplete": _DOUBT,
    "unsigned": _CALM,
}
_ROWS = {"met": _GOOD, "unmet": _BAD, "told": _DOUBT}
_GATES = {"failed": _BAD, "missing": _DOUBT, "inconclusive": ("doubt", "?")}
_DECISIONS = (
    ("approve", "Approve"),
    ("conditions", "Approve with conditions"),
    ("reject", "Reject"),
)
_WORDS = {"approve": "approved", "conditions": "conditions", "reject": "rejected"}
_DONE = {"comment": "The comment stands in review.json.", "sign": "The signature stands in review.json."}
_LONGEST = 20_000

Form = Mapping[str, Sequence[str]]
"""Values by field, as a browser sends them."""


@dataclass(frozen=True, slots=True)
class _Message:
    tone: str
    mark: str
    title: str
    text: str = ""
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Given:
    """What the reviewer typed, kept when a form comes back."""

    reviewer: str = ""
    role: str = ""
    comment: str = ""
    gate: str = ""
    decision: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a form: a page, or where to go on."""

    status: int
    page: str = ""
    done: str = ""
    """What was written, comment or sign, where it was."""
    given: _Given = field(default_factory=_Given)


class Desk:
    """One audit under review, its files read anew for every page."""

    def __init__(
        self,
        folder: Path,
        subject: Path | None,
        baseline: AuditDocument | Baseline | None,
        policy: Path | None = None,
    ) -> None:
        self.folder = folder
        self._subject = subject
        self._baseline = baseline
        self._policy = policy

    def page(self, done: str = "", reviewer: str = "", role: str = "") -> str:
        """Return the page; ``done`` is what was just written, by whom."""
        message = _Message(*_GOOD, "Written.", _DONE[done]) if done in _DONE else None
        return self._page(message, _Given(reviewer[:200], role[:200]))

    def comment(self, form: Form) -> Answer:
        """Write a comment; what the form lacks comes back as a page that says so."""
        given = _given(form)

        def write() -> None:
            comment(self.folder, reviewer=given.reviewer, text=given.comment, gate=given.gate, role=given.role)

        return self._tried(write, "comment", given)

    def sign(self, form: Form) -> Answer:
        """Sign what the form showed; a checklist with unmet rows comes back as a page with them."""
        given = _given(form)
        seen = (_one(form, "head") or None, _one(form, "document"))

        def write() -> None:
            asked = Signature(
                given.reviewer,
                given.decision,  # type: ignore[arg-type]  # sign refuses any other word
                given.comment,
                given.role,
                tuple(form.get("acknowledge", ())),
            )
            sign(self.folder, asked, subject=self._subject, policy=self._policy, baseline=self._baseline, seen=seen)

        return self._tried(write, "sign", given)

    def _tried(self, write: Any, done: str, given: _Given) -> Answer:
        try:
            write()
        except NotSignedError as refused:
            lines = tuple(f"{row.question} {row.found}. To do: {row.todo}" for row in refused.rows)
            message = _Message(*_BAD, "Not signed.", "Rows of the checklist are unmet; nothing was written:", lines)
            return Answer(422, self._page(message, given))
        except StaleError as stale:
            return Answer(409, self._page(_Message(*_BAD, "Not signed.", str(stale)), given))
        except ConfigError as error:
            return Answer(422, self._page(_Message(*_BAD, "Not written.", "", error.problems), given))
        except GanauditError as error:
            return Answer(500, self._page(_Message(*_BAD, "Not written.", str(error)), given))
        return Answer(303, done=done, given=given)

    def _page(self, message: _Message | None, given: _Given) -> str:
        verified = verify(self.folder, subject=self._subject, policy=self._policy, baseline=self._baseline)
        case = case_of(self.folder, verified.review, self._subject, self._baseline, policy=self._policy)
        rows = checklist(case)
        return _template().render(
            subject=case.document.subject,
            summary=summarise(case.document),
            verified=verified,
            sentence=verified.words.removeprefix(f"{verified.state}: "),
            tone=_STATES[verified.state],
            folder=str(self.folder),
            document_digest=digest_of(case.bound, "document"),
            judged=bool(case.document.verdicts),
            gates=[_gate(verdict, case) for verdict in open_gates(case.document)],
            rows=sorted(rows, key=lambda row: ("unmet", "told", "met").index(row.state)),
            row_tones=_ROWS,
            bound=case.bound,
            has_report=(self.folder / "report.html").is_file(),
            to_acknowledge=_to_acknowledge(rows),
            entries=[_entry(entry, verified) for entry in reversed(verified.review.entries)],
            decisions=_DECISIONS,
            given=given,
            message=message,
            most_text=MOST_TEXT,
            version=ganaudit.__version__,
        )


def _to_acknowledge(rows: Sequence[Row]) -> list[str]:
    return [row.id for row in rows if row.state == "unmet" and row.id in ACKNOWLEDGED]


def _gate(verdict: Verdict, case: Case) -> dict[str, Any]:
    said = [c for c in case.review.comments if c.gate in (verdict.gate, verdict.name)]
    answered = bool(answers(case.review, verdict, digest_of(case.bound, "document")))
    return {"verdict": verdict, "tone": _GATES[verdict.outcome], "said": said, "answered": answered}


def _entry(entry: Comment | Decision, verified: Verification) -> dict[str, Any]:
    if isinstance(entry, Comment):
        return {"said": entry, "tone": _CALM, "word": "comment", "gate": entry.gate, "void": []}
    void = verified.void.get(entry.number, [])
    tone = _CALM if void else _BAD if entry.decision == "reject" else _GOOD
    word = f"{_WORDS[entry.decision]}, void" if void else _WORDS[entry.decision]
    return {"said": entry, "tone": tone, "word": word, "gate": "", "void": void}


def _one(form: Form, name: str) -> str:
    values = form.get(name, ())
    # Browsers send CR LF for the end of a line, whatever the system.
    return values[0].replace("\r\n", "\n") if values else ""


def _given(form: Form) -> _Given:
    return _Given(**{name: _one(form, name) for name in ("reviewer", "role", "comment", "gate", "decision")})


@cache
def _template() -> jinja2.Template:
    return environment(_LONGEST).get_template("review.html.j2")
