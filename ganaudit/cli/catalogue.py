"""``ganaudit list``, ``explain`` and ``schema``: what there is, what a number means, what files look like."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganaudit.cli.console import Console
from ganaudit.document.errors import ConfigError, nearest

if TYPE_CHECKING:
    from ganaudit.linting.rule import Rule
    from ganaudit.protocol import Protocol

__all__ = ["explain", "list_", "schema"]


def list_(
    console: Console,
    kind: Annotated[
        str | None,
        typer.Argument(help="evaluators, extractors, datasets, subjects, networks, protocols, models, rules."),
    ] = None,
) -> int:
    """List what is registered; nothing is imported for it."""
    from ganaudit import registry
    from ganaudit.linting.catalogue import RULES
    from ganaudit.locations import controls, reference_models
    from ganaudit.protocol import protocols

    kinds = [*registry.KINDS, "protocols", "models", "rules"]
    if kind is not None and kind not in kinds:
        raise ConfigError(f"list {kind!r}: no such kind; {nearest(kind, kinds)}")
    found: dict[str, list[dict[str, str]]] = {}
    for name in kinds if kind is None else [kind]:
        if name == "models":
            summaries = dict.fromkeys(reference_models(), "reference model") | dict.fromkeys(controls(), "control")
            rows = [{"name": n, "origin": "ganaudit", "summary": summary} for n, summary in summaries.items()]
        elif name == "rules":
            rows = [{"name": r.id, "origin": "ganaudit", "summary": f"{r.severity}: {r.name}"} for r in RULES]
        elif name == "protocols":
            rows = [{"name": n, "origin": "ganaudit", "summary": p.title} for n, p in protocols().items()]
        else:
            rows = [{"name": e.name, "origin": e.origin, "summary": e.summary} for e in registry.entries(name)]
        found[name] = rows
    if console.as_json:
        console.data(found)
    for name, rows in found.items():
        console.table(name, ["name", "from", "what"], [[r["name"], r["origin"], r["summary"]] for r in rows])
    return 0


def explain(
    console: Console,
    id: Annotated[str, typer.Argument(help="An evaluator, a measure (<evaluator>/<key>), an extractor, a lint rule.")],
) -> int:
    """Explain an evaluator, one of its numbers, or anything else that is listed."""
    from ganaudit import registry
    from ganaudit.linting.catalogue import RULES, rule
    from ganaudit.protocol import protocols

    name, _, key = id.partition("/")
    for kind in registry.KINDS:
        if name in registry.names(kind):
            found = registry.find(kind, name)
            is_evaluator = kind == "evaluators"
            return _explained(console, _evaluator_facts(found.spec, key) if is_evaluator else _facts(name, kind, found))
    if name in protocols():
        return _explained(console, _protocol_facts(protocols()[name]))
    found_rule = rule(name)
    if found_rule is not None:
        return _explained(console, _rule_facts(found_rule))
    known = [*(n for kind in registry.KINDS for n in registry.names(kind)), *protocols(), *(r.id for r in RULES)]
    raise ConfigError(f"explain {id!r}: nothing has this name; {nearest(name, known)}")


def _explained(console: Console, facts: dict[str, Any]) -> int:
    if console.as_json:
        console.data(facts)
    for heading, value in facts.items():
        console.text(f"{heading}: {value}" if isinstance(value, str) else f"{heading}:")
        for line in value if isinstance(value, list) else []:
            console.text(f"  - {line}")
    return 0


def _protocol_facts(found: Protocol) -> dict[str, Any]:
    said = found.model_dump(mode="json", exclude={"id", "evaluators"})
    options = [f"{name}: {key} = {value}" for name, of in found.evaluators.items() for key, value in of.items()]
    facts = {key: str(value) for key, value in said.items() if value not in (None, "")}
    return {"id": found.id, "kind": "protocol", **facts, "fingerprint": found.fingerprint, "options": options}


def _rule_facts(found: Rule) -> dict[str, Any]:
    return {
        "id": found.id,
        "kind": "lint rule",
        "name": found.name,
        "severity": found.severity,
        "misleads": found.misleads,
        "advice": found.advice,
        "source": found.source,
    }


def _facts(name: str, kind: str, found: Any) -> dict[str, Any]:
    return {"id": name, "kind": kind.removesuffix("s"), "what": inspect.getdoc(found) or ""}


def _evaluator_facts(spec: Any, key: str) -> dict[str, Any]:
    promised = spec.promise(key) if key else None
    chosen = [m for m in spec.measurements if not key or m is promised]
    if not chosen:
        keys = [m.key for m in spec.measurements]
        raise ConfigError(f"explain {spec.id}/{key}: it measures no such number; {nearest(key, keys)}")
    return {
        "id": spec.id,
        "question": spec.question,
        "numbers": [
            f"{spec.id}/{m.key} ({m.unit}; better: {m.better}): {m.meaning} Estimator: {m.estimator}." for m in chosen
        ],
        "needs": spec.needed,
        "misleads": spec.misleads,
        "references": list(spec.references),
    }


def schema(
    console: Console,
    what: Annotated[str, typer.Argument(help="document, policy, config or review.")],
) -> int:
    """Print the JSON Schema of a file."""
    from ganaudit.config import plan_schema
    from ganaudit.document.schema import document_schema, policy_schema
    from ganaudit.reviewing.record import review_schema

    schemas = {"document": document_schema, "policy": policy_schema, "config": plan_schema, "review": review_schema}
    if what not in schemas:
        raise ConfigError(f"schema {what!r}: no such file; {nearest(what, schemas)}")
    console.data(schemas[what]())
    return 0
