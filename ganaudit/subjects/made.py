"""What a Python factory made: its networks, their digest, and whether all of their weights were loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ganaudit.document.errors import SubjectError
from ganaudit.programs.factories import Factory, a_kind, call, find_factory, raised
from ganaudit.programs.program import Program
from ganaudit.subjects.digests import json_digest, structure_of, weights_digest
from ganaudit.subjects.subject import Subject

__all__ = ["Made", "described", "discriminator_made", "made_by", "networks_of", "pair_of", "program_of"]

_SHOWN = 3


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """What a factory returned."""

    value: Any
    factory: Factory
    findings: tuple[str, ...]

    def digest(self, networks: Mapping[str, nn.Module], **more: Any) -> str:
        """Return the digest of ``networks`` of this factory.

        Over the bytes of their parameters, buffers and other tensors, their structure, the factory's name and the file
        it stands in. Raises SubjectError when a tensor has no bytes.
        """
        told: dict[str, Any] = {"factory": self.factory.spec, "source": self.factory.source, **more}
        for role, network in networks.items():
            try:
                told[role] = {"weights": weights_digest(_tensors(network)), "structure": structure_of(network)}
            except Exception as error:  # a tensor without data, or code of the network itself
                raise SubjectError(f"{self.factory.spec}: the {role} has no digest: {raised(error)}") from error
        return json_digest(told)


def made_by(spec: str, asked: str) -> Made:
    """Return what the factory ``spec`` makes; it is called twice, to see whether weights are drawn at random.

    Raises SubjectError, beginning with ``asked``, when it cannot be found or called.
    """
    factory = find_factory(spec, asked)
    value = call(factory, asked)
    return Made(value, factory, _drawn_findings(factory, value))


def pair_of(value: object) -> tuple[nn.Module, nn.Module | None] | None:
    """Return generator and discriminator where ``value`` is a network or two; None where it is anything else."""
    if isinstance(value, nn.Module):
        return value, None
    if isinstance(value, tuple | list) and len(value) == 2:
        generator, discriminator = value
        if isinstance(generator, nn.Module) and (discriminator is None or isinstance(discriminator, nn.Module)):
            return generator, discriminator
    return None


def program_of(made: Made, network: nn.Module, role: str, asked: str, device: str) -> Program:
    """Return one network of what was made, in eval mode on the device."""
    try:
        ready = network.eval().to(device)
    except Exception as error:  # eval() and to() are the network's own
        raise SubjectError(f"{asked}: its {role} cannot be put to use: {raised(error)}") from error
    return Program(ready, digest=made.digest({role: network}), trust="code", findings=made.findings)


def discriminator_made(spec: str, asked: str, device: str) -> Program:
    """Return the discriminator that the factory ``spec`` makes; raises SubjectError for anything else."""
    made = made_by(spec, asked)
    if not isinstance(made.value, nn.Module):
        raise SubjectError(
            f"{asked}: returned {described(made.value)}; allowed: a discriminator, which is an nn.Module"
        )
    return program_of(made, made.value, "discriminator", asked, device)


def described(value: object) -> str:
    """Return in words what a factory returned."""
    if value is None:
        return "None (does it lack a return?)"
    if isinstance(value, tuple | list):
        return f"{a_kind(value)} of {', '.join(type(one).__name__ for one in value) or 'nothing'}"
    if isinstance(value, type):
        return f"the class {value.__name__} itself (make one of it)"
    return a_kind(value)


def _drawn_findings(factory: Factory, value: object) -> tuple[str, ...]:
    """Return a caution where a second call, with other random numbers, makes other tensors: they were not loaded."""
    first = _digests(value)
    if not first:
        return ()
    try:
        second = _digests(call(factory, factory.spec, seed=1))
    except SubjectError as error:
        return (f"caution: whether all weights are loaded is not known: called once more, {error}",)
    drawn = [name for name in first if first[name] != second.get(name)]
    if not drawn:
        return (f"the factory made equal tensors twice, {len(first)} of them: none is drawn at random",)
    more = f" and {len(drawn) - _SHOWN} more" if len(drawn) > _SHOWN else ""
    return (
        f"caution: {len(drawn)} of {len(first)} tensors of its networks are drawn at random when the factory is called "
        f"({', '.join(drawn[:_SHOWN])}{more}): were all trained weights loaded?",
    )


def _digests(value: object) -> dict[str, str]:
    networks = networks_of(value)
    try:
        return {
            f"{role}.{name}": weights_digest({name: tensor})
            for role, network in networks.items()
            for name, tensor in _tensors(network).items()
        }
    except Exception:  # the digest of the subject will tell
        return {}


def networks_of(value: object) -> dict[str, nn.Module]:
    """Return the networks in what a factory returned, by role."""
    if isinstance(value, Subject):
        found = {"generator": value.generator, "discriminator": value.discriminator}
    else:
        found = dict(zip(("generator", "discriminator"), pair_of(value) or (None, None), strict=True))
    return {role: network for role, network in found.items() if network is not None}


def _tensors(network: nn.Module) -> dict[str, Tensor]:
    """Return parameters, buffers, also those that no state dict holds, and tensors that are plain attributes."""
    found: dict[str, Tensor] = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    for name, module in network.named_modules():
        plain = {key: value for key, value in vars(module).items() if isinstance(value, Tensor)}
        found.update({f"{name}.{key}".lstrip("."): value for key, value in plain.items()})
    return found
