"""The command that draws a sample of an audit again."""

from __future__ import annotations

import re
import shlex

from ganaudit.document.model import AuditDocument, GalleryItem
from ganaudit.document.redaction import quoted

__all__ = ["Replay", "replay_of"]

_OF_THE_PLAN = re.compile(r"samples/fake-(\d{6,})\.png")
"""How the pictures of the audit's own samples are called; those of paths and pairs are called otherwise."""
_OPTIONS = ("--discriminator", "--latent", "--range", "--classes", "--score-sign")
"""Options of ``audit`` that say how a subject is read; ``sample`` has them as well."""


class Replay:
    """Writes the command of each sample that ``ganaudit sample`` can draw again."""

    def __init__(self, subject: str, seed: int, options: str) -> None:
        self._start = f"ganaudit sample {quoted(subject)}{options} --seed {seed}"

    def command(self, item: GalleryItem) -> str | None:
        """Return the command that writes this sample, or None for one that is no sample of the audit's seed."""
        found = _OF_THE_PLAN.fullmatch(item.file)
        if found is None or int(found[1]) != item.index:
            return None
        return f"{self._start} --first {item.index} --samples 1 --out replay"


def replay_of(document: AuditDocument) -> Replay | None:
    """Return the replay of a document's samples; None where the plan does not say how they were drawn.

    Samples of a folder are the files themselves. A resized audit shows what ``ganaudit sample`` does not write.
    """
    plan = document.plan
    subject, seed = plan.get("subject"), plan.get("seed")
    told = isinstance(subject, str) and isinstance(seed, int) and not plan.get("resize")
    if not told or not document.subject.has_generator:
        return None
    return Replay(str(subject), int(str(seed)), _options(document.environment.command))


def _options(command: str) -> str:
    """Return the options of the audit's own command that say how its subject is read."""
    try:
        said = shlex.split(command)
    except ValueError:
        return ""
    told = []
    for place, word in enumerate(said):
        name, equals, value = word.partition("=")
        if name in _OPTIONS and (equals or place + 1 < len(said)):
            told.append(f"{name}={shlex.quote(value if equals else said[place + 1])}")
    return "".join(f" {option}" for option in told)
