"""The file that a policy was read from, as it lies there now, held against the policy that judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganaudit.document.differences import policy_differences
from ganaudit.document.digests import file_digest
from ganaudit.document.errors import ConfigError
from ganaudit.document.model import AuditDocument
from ganaudit.document.policy import load_policy, parse_policy
from ganaudit.document.policy_files import policy_digest
from ganaudit.document.redaction import as_told

__all__ = ["PolicyAtHand", "policy_at_hand"]

_TOLD = 3
_SHORT = 60


@dataclass(frozen=True, slots=True)
class PolicyAtHand:
    """What was found of the file that a policy was read from."""

    words: str
    """How it stands, or why there is none."""
    name: str = ""
    """Its last part; empty where it is not at hand. Its folders hold names of users, and this is kept."""
    digest: str = ""
    """As ``PolicyFile`` keeps it."""
    problem: str = ""
    """Why it is not the policy that judged."""


def policy_at_hand(document: AuditDocument, folder: Path, given: Path | None = None) -> PolicyAtHand:
    """Return the file of the policy at ``given``, else where the document says or beside the audit in ``folder``.

    Raises ConfigError where ``given`` is not there, or no policy judged the audit.
    """
    if document.policy is None:
        if given is not None:
            raise ConfigError(f"--policy {given}: no policy judged this audit; leave the option out, or audit by it")
        return PolicyAtHand("no policy judged the audit, so there is no file of one")
    if given is not None:
        load_policy(given)  # what is no policy at all is the caller's mistake, not a change
        return _held(document, document.policy, given)
    recorded = document.environment.policy_file
    if recorded is None:
        told = "the document names no file of its policy, as one with a preset does not"
        return PolicyAtHand(f"{told}; --policy FILE holds one against it")
    where = next((place for place in recorded.places(folder) if place.is_file()), None)
    if where is None:
        told = f"{Path(recorded.name).name} lies neither where the audit found it nor beside the audit"
        return PolicyAtHand(f"{told}; the policy as it judged stands in the document; --policy FILE says where it lies")
    return _held(document, document.policy, where)


def _held(document: AuditDocument, judged: Mapping[str, Any], where: Path) -> PolicyAtHand:
    """Return the file at ``where``, held against the policy that judged."""
    name, recorded = where.name, document.environment.policy_file
    try:
        digest, found = policy_digest(where), load_policy(where).model_dump(mode="json")
    except (ConfigError, OSError) as error:
        why = error.problems[0] if isinstance(error, ConfigError) else error.strerror or "cannot be read"
        told = why.removeprefix(f"policy {where}: ")
        return PolicyAtHand(f"{name} cannot be read", name, _unread(where), f"{name} is no policy any more: {told}")
    apart = policy_differences(_as_now(judged), as_told(_as_now(judged), found))
    if apart:
        sentences = [f"{one.path} is {_short(one.b)}, {_short(one.a)} judged" for one in apart[:_TOLD]]
        more = f"; and {len(apart) - _TOLD} more" if len(apart) > _TOLD else ""
        problem = f"{name} is not the policy that judged: {'; '.join(sentences)}{more}"
        return PolicyAtHand(problem, name, digest, problem)
    if recorded is not None and recorded.digest == digest:
        return PolicyAtHand(f"{name} is the file that judged, digest for digest", name, digest)
    return PolicyAtHand(f"{name} comes to the policy that judged", name, digest)


def _as_now(judged: Mapping[str, Any]) -> dict[str, Any]:
    """Return a policy as this version of ganaudit writes it: an earlier one knew fewer keys."""
    try:
        return parse_policy(dict(judged), "the policy in document.json").model_dump(mode="json")
    except ConfigError:
        return dict(judged)


def _unread(where: Path) -> str:
    try:
        return file_digest(where)
    except OSError:
        return ""


def _short(value: Any) -> str:
    text = "absent" if value is None else repr(value)
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}..."
