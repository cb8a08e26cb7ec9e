"""The evaluators of a plan with their options: those given, those of the profile and protocol, and those they share."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ganaudit import registry
from ganaudit.config import PROFILES, AuditPlan
from ganaudit.document.errors import ConfigError, PluginError, nearest
from ganaudit.document.policy import problems_of
from ganaudit.evidence.nodes import node_names
from ganaudit.evidence.view import Evaluator
from ganaudit.protocol import Protocol

__all__ = ["Chosen", "chosen_evaluators"]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The evaluators that will be asked, by id, their options as the document tells them, and those that are broken."""

    evaluators: dict[str, Evaluator]
    options: dict[str, dict[str, Any]]
    broken: dict[str, str]
    """Registered evaluators that cannot be loaded, with the reason."""


def chosen_evaluators(plan: AuditPlan, followed: Protocol) -> Chosen:
    """Return the evaluators that ``plan`` asks for, or all that are registered where it names none.

    An option that is not given is that of the plan's profile (``profile``) or that given to the evaluator that sets it
    for all (``sets_for_all``, names of options), else the evaluator's own default. Raises ConfigError for options
    that cannot be used, all of them at once, and PluginError for an evaluator that breaks its contract.
    """
    chosen = Chosen({}, {}, {})
    problems: list[str] = []
    for name in list(plan.evaluators) or registry.names("evaluators"):
        try:
            build = registry.find("evaluators", name)
        except PluginError as error:
            if name in plan.evaluators:
                raise
            # Somebody's broken plugin must not cost the audit of everything else; the document shows it.
            chosen.broken[name] = str(error)
            continue
        _check_needs(name, build)
        problems += _built(name, build, plan, followed, chosen)
    if problems:
        raise ConfigError(problems)
    return chosen


def _check_needs(name: str, build: Any) -> None:
    spec = getattr(build, "spec")  # noqa: B009 - a plugin's class
    unknown = [n for n in (*spec.needs, *spec.one_of, *spec.wants) if n not in node_names()]
    if unknown:
        raise PluginError(f"evaluator {name!r}: needs evidence that does not exist: {', '.join(unknown)}")


def _built(name: str, build: Any, plan: AuditPlan, followed: Protocol, chosen: Chosen) -> list[str]:
    """Add an evaluator to ``chosen``; return what is wrong with its options."""
    adapter: TypeAdapter[Any] = TypeAdapter(build)
    known = [field.name for field in fields(build)]
    own = plan.evaluators.get(name, {})
    given = {**_of_profile(plan, build), **followed.evaluators.get(name, {}), **_shared(plan, build, name), **own}
    problems = [f"evaluators.{name}: {key}: unknown option; {nearest(key, known)}" for key in given if key not in known]
    try:
        made = adapter.validate_python({key: value for key, value in given.items() if key in known})
    except ValidationError as error:
        return problems + problems_of(error, f"evaluators.{name}", {"": known})
    chosen.evaluators[name] = made
    chosen.options[name] = adapter.dump_python(made, mode="json")
    return problems


def _shared(plan: AuditPlan, build: Any, name: str) -> dict[str, Any]:
    """Return the options that another evaluator was given for all, of those that this one has and was not given."""
    mine, found = {field.name for field in fields(build)}, dict[str, Any]()
    for owner in plan.named():
        given = plan.given(owner)
        if owner != name and given and owner in registry.names("evaluators"):
            found |= {key: given[key] for key in _for_all(owner) if key in mine and key in given}
    return found


def _for_all(owner: str) -> tuple[str, ...]:
    try:
        return tuple(getattr(registry.find("evaluators", owner), "sets_for_all", ()))
    except PluginError:  # told where it is asked for itself
        return ()


def _of_profile(plan: AuditPlan, build: Any) -> dict[str, Any]:
    """Return the option ``profile`` for an evaluator that knows the plan's profiles, where the plan was given one.

    Where it was not, the evaluator's own default holds: the plan's default is many samples, which cost little, and as
    many attacks would cost minutes that nobody asked for.
    """
    default = {field.name: field.default for field in fields(build)}.get("profile", MISSING)
    follows = default in PROFILES and "profile" in plan.model_fields_set
    return {"profile": plan.profile} if follows else {}
