"""Audits to review: a subject directory, a document with samples, gates of every outcome, and its report."""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from PIL import Image

from ganaudit.document.files import sealed, write_document
from ganaudit.document.gates import Gate, Policy, Waiver
from ganaudit.document.judge import judge
from ganaudit.document.model import AuditDocument, Gallery, GalleryItem, Measurement, SelfTest
from ganaudit.report.html import read_samples, render_html
from ganaudit.subjects.description import identity_digest, read_subject_file
from tests.document.documents import document, number, result

NOW = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)
STARTED = "2026-11-22T00:00:00+00:00"
TODAY = date(2026, 11, 22)
FD = number(10.0, (9.0, 11.0))
GOOD = Gate(id="quality", measure="frechet-distance/fd", limit=12.0)


@dataclass(frozen=True)
class Audit:
    """Where an audit and its subject lie."""

    folder: Path
    subject: Path

    @property
    def document(self) -> Path:
        return self.folder / "document.json"

    def write(self, audited: AuditDocument, *, report: bool = True) -> None:
        write_document(sealed(audited), self.document)
        if report:
            self.render()

    def render(self) -> None:
        from ganaudit.document.files import load_document

        audited = load_document(self.folder)
        (self.folder / "report.html").write_text(render_html(audited, read_samples(audited, self.folder)), "utf-8")

    def bound_files(self) -> list[Path]:
        """Every file that a signature is bound to."""
        samples = sorted(p for p in (self.folder / "samples").rglob("*") if p.is_file())
        weights = sorted(self.subject.glob("*.safetensors"))
        return [self.document, self.folder / "report.html", *samples, self.subject / "subject.toml", *weights]


def picture(i: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (8, 8), 10 * i).save(buffer, "PNG")
    return buffer.getvalue()


def write_subject(folder: Path) -> str:
    """Write a train directory without networks behind it, and return its digest as an audit would record it."""
    folder.mkdir(parents=True)
    named: dict[str, Any] = {"schema": "ganaudit.subject/1", "name": "blobs", "latent": {"size": 8}}
    named["sample"] = {"shape": [1, 8, 8], "range": [-1.0, 1.0]}
    for role in ("generator", "discriminator"):
        content = hashlib.sha512(role.encode()).digest() * 40
        (folder / f"{role}.safetensors").write_bytes(content)
        sha = hashlib.sha256(content).hexdigest()
        named[role] = {"network": f"seed-{role}", "file": f"{role}.safetensors", "sha256": sha}
    (folder / "subject.toml").write_text(tomlkit.dumps(named))
    return identity_digest(read_subject_file(folder / "subject.toml"))


def audited(
    digest: str, path: Path, policy: Policy | None, *, numbers: Sequence[Measurement] = (FD,), **more: Any
) -> AuditDocument:
    """Return a judged document with one number, or those given, and four samples."""
    items = [
        GalleryItem(
            file=f"samples/fake-{i:06d}.png", sha256=hashlib.sha256(picture(i)).hexdigest(), index=i, caption=""
        )
        for i in range(4)
    ]
    shown = Gallery(title="Generated", rule="the first 4", side="fake", width=8, height=8, items=items)
    made = document(result(*numbers), galleries=[shown], started=STARTED, **more)
    subject = made.subject.model_copy(update={"digest": digest, "path": str(path), "name": "blobs"})
    made = made.model_copy(update={"subject": subject})
    if policy is None:
        return made
    verdicts = list(judge(made, policy, today=TODAY).verdicts)
    return made.model_copy(update={"policy": policy.model_dump(mode="json"), "verdicts": verdicts})


def lay(folder: Path, policy: Policy | None, **more: Any) -> Audit:
    """Write a whole audit below ``folder``."""
    subject = folder / "subject"
    digest = write_subject(subject)
    audit = Audit(folder / "audit", subject)
    (audit.folder / "samples").mkdir(parents=True)
    for i in range(4):
        (audit.folder / "samples" / f"fake-{i:06d}.png").write_bytes(picture(i))
    audit.write(audited(digest, subject, policy, **more))
    return audit


def copied(audit: Audit, folder: Path) -> Audit:
    """Return a copy of an audit that a test may spoil; the subject is told by its place."""
    shutil.copytree(audit.folder, folder / "audit")
    shutil.copytree(audit.subject, folder / "subject")
    return Audit(folder / "audit", folder / "subject")


@pytest.fixture(scope="session")
def _passing(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    return lay(tmp_path_factory.mktemp("passing"), Policy(gate=[GOOD]))


@pytest.fixture(scope="session")
def _failing(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    gates = [GOOD, Gate(id="strict", measure="frechet-distance/fd", limit=5.0)]
    gates.append(Gate(id="near", measure="frechet-distance/fd", limit=10.5, level="info"))
    return lay(tmp_path_factory.mktemp("failing"), Policy(gate=gates))


@pytest.fixture
def passing(_passing: Audit, tmp_path: Path) -> Audit:
    """An audit whose one gate passed."""
    return copied(_passing, tmp_path / "p")


@pytest.fixture
def failing(_failing: Audit, tmp_path: Path) -> Audit:
    """An audit with a gate that passed, ``strict`` that failed and blocks, and ``near`` that is inconclusive."""
    return copied(_failing, tmp_path / "f")


def waiver(subject: str, expires: date, gate: str = "strict") -> Waiver:
    return Waiver(gate=gate, subject=subject, ceiling=20.0, reason="known", owner="O", expires=expires)


def selftest(*, passed: bool) -> SelfTest:
    return SelfTest(passed=passed, checks=7, ganaudit="0.1.0", torch="2", when="2026-11-21T00:00:00+00:00")
