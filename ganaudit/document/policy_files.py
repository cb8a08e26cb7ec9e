"""The file that a policy was read from: named in the document it judged, found again, and held against it."""

from __future__ import annotations

import os
from pathlib import Path

from ganaudit.document.digests import file_digest, json_digest
from ganaudit.document.model import PolicyFile
from ganaudit.document.policy import load_policy
from ganaudit.document.redaction import private_of_this_machine

__all__ = ["policy_digest", "policy_file"]


def policy_file(path: Path, folder: Path) -> PolicyFile | None:
    """Return what a document in ``folder`` keeps of the file that its policy was read from; None for a preset.

    Raises ConfigError where it is no policy, OSError where it cannot be read.
    """
    if not path.exists():  # as in load_policy: a preset's bare name, unless a file is called so
        return None
    return PolicyFile(name=private_of_this_machine().redact(_seen_from(folder, path)), digest=policy_digest(path))


def policy_digest(path: Path) -> str:
    """Return the digest of a policy's file as ``PolicyFile`` keeps it; that of a preset is over its policy too.

    A ``pyproject.toml`` changes with every dependency, so only the policy in it counts; left-out defaults keep the
    digest when a later version of ganaudit knows more keys. Raises as ``policy_file`` does.
    """
    if path.name != "pyproject.toml" and path.exists():
        return file_digest(path)
    return json_digest(load_policy(path).model_dump(mode="json", exclude_defaults=True))


def _seen_from(folder: Path, path: Path) -> str:
    whole, base, home = path.resolve(), folder.resolve(), Path.home().resolve()
    shared = Path(os.path.commonpath([whole, base])) if whole.anchor == base.anchor else Path(whole.anchor)
    # Below one folder both move together, to another machine too; a root or a home is no such folder.
    if shared == Path(shared.anchor) or shared == home or shared in home.parents:
        return whole.as_posix()
    return Path(os.path.relpath(whole, base)).as_posix()
