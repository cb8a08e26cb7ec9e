"""``ganaudit selftest``: whether known answers come out on this machine; later documents record the outcome."""

from __future__ import annotations

from ganaudit.cli.console import Console

__all__ = ["selftest"]


def selftest(console: Console) -> int:
    """Run known answers on this machine; exit code 1 when one is missed. Documents of later audits record it."""
    from ganaudit.auditing.known_answers import selftest as run

    stamp, checks = run(console)
    if console.as_json:
        told = [{"check": c.name, "expected": c.expected, "found": c.found, "passed": c.passed} for c in checks]
        console.data({**stamp.model_dump(mode="json"), "results": told})
    console.table(
        "self-test",
        ["check", "", "expected", "found"],
        [[c.name, "ok" if c.passed else "MISSED", c.expected, c.found] for c in checks],
    )
    missed = [c.name for c in checks if not c.passed]
    words = f"missed: {', '.join(missed)}" if missed else f"all {len(checks)} known answers came out"
    console.last(1 if missed else 0, words)
    return 1 if missed else 0
