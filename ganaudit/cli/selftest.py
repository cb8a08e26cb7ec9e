"""``ganaudit selftest``: whether known answers come out on this machine; later documents record the outcome."""

from __future__ import annotations

from ganaudit.cli.console import Console

__all__ = ["selftest"]


def selftest(console: Console) -> int:
    """Run known answers on this machine; exit code 1 when one is missed. Documents of later audits record it."""
    from ganaudit.auditing.known_answers import coverage
    from ganaudit.auditing.known_answers import selftest as run

    stamp, checks = run(console)
    by_control, by_formula, not_asked = coverage()
    if console.as_json:
        told = [{"check": c.name, "expected": c.expected, "found": c.found, "passed": c.passed} for c in checks]
        covered = {"by_control": by_control, "by_formula": by_formula, "not_covered": not_asked}
        console.data({**stamp.model_dump(mode="json"), "results": told, "evaluators": covered})
    console.table(
        "self-test",
        ["check", "", "expected", "found"],
        [[c.name, "ok" if c.passed else "MISSED", c.expected, c.found] for c in checks],
    )
    console.text(f"held to a control, and to silence without a defect: {', '.join(by_control)}")
    console.text(f"held to a closed form alone: {', '.join(by_formula)}")
    console.text(f"not covered here: {', '.join(not_asked)}")
    missed = [c.name for c in checks if not c.passed]
    words = f"missed: {', '.join(missed)}" if missed else f"all {len(checks)} known answers came out"
    console.last(1 if missed else 0, words)
    return 1 if missed else 0
