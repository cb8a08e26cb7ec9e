"""GA4: path lengths and cost."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ganaudit.linting.claim import Claim, Sheet
from ganaudit.linting.metrics import normal
from ganaudit.linting.rule import Found, Rule, each

__all__ = ["RULES"]

_COUNT_MACS = ("fvcore", "thop", "ptflops", "torchinfo")
_SMALL_STEP = 3e-2


def _quantised(claim: Claim) -> str | None:
    if not re.search(r"u?int|byte|8_?bit|quanti", normal(claim.dtype or "")):
        return None
    if claim.epsilon is not None and claim.epsilon > _SMALL_STEP:
        return None
    step = "a step that is not stated" if claim.epsilon is None else f"steps of {claim.epsilon:g}"
    return f"images were {claim.dtype}, with {step}"


def _conventions(claim: Claim) -> str | None:
    named = (("space", claim.space), ("path", claim.path), ("epsilon", claim.epsilon), ("dtype", claim.dtype))
    missing = [name for name, value in named if value is None]
    return f"not stated: {', '.join(missing)}" if missing else None


def _macs_as_flops(claim: Claim) -> str | None:
    tool = normal(claim.tool or "")
    if re.fullmatch(r"(g?mac|madd|(fused_)?multiply_add)s?|one(_.*)?|1", normal(claim.counts or "")):
        by = f"{claim.tool} counts" if tool.startswith(_COUNT_MACS) else "counted were"
        return f"{by} multiply-adds, called {claim.name}"
    return None


def _counts_unsaid(claim: Claim) -> str | None:
    return "it is not said whether a multiply-add is one operation or two" if claim.counts is None else None


def _forward_as_step(claim: Claim) -> str | None:
    scope = normal(claim.scope or "")
    return f"called {claim.name}, counted over {claim.scope!r}" if re.search(r"forward|inference", scope) else None


def _step_too_cheap(sheet: Sheet) -> Iterator[Found]:
    forwards = {_network(claim): claim for claim in sheet.claims if claim.metric == "flops"}
    for step in sheet.claims:
        forward = forwards.get(_network(step)) if step.metric == "step-flops" else None
        if forward is None or not step.value or not forward.value or step.value >= 2 * forward.value:
            continue
        yield Found(step.where, step.name, f"{step.value / forward.value:.3g} forward passes ({forward.where})")


def _network(claim: Claim) -> tuple[object, ...]:
    return (claim.model, claim.unit, claim.own)


def _forward_checks(sheet: Sheet) -> list[Found]:
    return [*each(_forward_as_step, "step-flops")(sheet), *_step_too_cheap(sheet)]


def _machine_unsaid(claim: Claim) -> str | None:
    named = (("device", claim.device), ("batch", claim.batch))
    missing = [name for name, value in named if value is None]
    return f"not stated: {', '.join(missing)}" if missing else None


def _meter_unsaid(claim: Claim) -> str | None:
    return "it is not said whether it was measured or estimated" if claim.measured is None else None


RULES = (
    Rule("GA401", "quantised-path-length", "error",
         "A path length divides squared changes by the squared step. Rounded to 256 levels, changes of small steps are "
         "0 or a whole level: the number is noise over the step squared, 1147 where 31 is true.",
         "Take images as floats. torch-fidelity quantises unless told otherwise.",
         "toshas/torch-fidelity, doc/sphinx/source/precision.md", each(_quantised, "ppl")),
    Rule("GA402", "path-length-conventions", "warning",
         "Space (z or w), place (whole paths or their ends), step and kind of images each move it: ends instead of "
         "whole paths turn 520 into 340.",
         "State space, path, epsilon and dtype.",
         "rosinality/stylegan2-pytorch issue 104; Karras et al. 2020, arXiv:1912.04958", each(_conventions, "ppl")),
    Rule("GA403", "multiply-adds-as-operations", "error",
         "A multiply-add is two operations: the number is half of what its name says.",
         "Double it, or call it MACs.",
         "facebookresearch/fvcore issues 69, 119, 133; Lyken17/pytorch-OpCounter issue 46",
         each(_macs_as_flops, "flops")),
    Rule("GA404", "operations-uncounted", "warning",
         "Some programs count multiply-adds under the name FLOPs: a factor of two between equal networks.",
         "State whether a multiply-add counts as one or two (counts).",
         "facebookresearch/fvcore issues 69, 119, 133", each(_counts_unsaid, "flops", "step-flops")),
    Rule("GA405", "forward-as-training-step", "error",
         "A training step runs forward, and backward at about twice that: three forward passes, six with a penalty "
         "on gradients.",
         "Count the whole step, with its backward passes.",
         "counted: DCGAN's discriminator takes 3.0 forward passes of operations, 6.0 with R1", _forward_checks),
    Rule("GA406", "machine-unsaid", "warning",
         "Times and throughput are of a machine and a batch; without them nothing can be compared.",
         "State device and batch, and warm up and synchronise before timing.",
         "MLCommons inference rules ask for both", each(_machine_unsaid, "latency", "throughput")),
    Rule("GA407", "meter-unsaid", "warning",
         "In containers and virtual machines energy is often a constant times the time, not a measurement.",
         "Say which meter it comes from, or that it is estimated.",
         "mlco2/codecarbon issues 477, 533, 915", each(_meter_unsaid, "energy")),
)  # fmt: skip
