"""What the networks of a subject do and hold: their passes, counted, and what a step of training comes to."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ganaudit.document.errors import SubjectError
from ganaudit.numerics.flops import Tally, saved_bytes, tallied
from ganaudit.numerics.memory import is_out_of_memory
from ganaudit.numerics.randomness import uniforms
from ganaudit.subjects.subject import Subject

__all__ = ["Expense", "Recipe", "Role", "expense", "grown_flops", "recipe_of", "roles", "step_flops"]

_SEED, _STREAM = 0, 7
_AT_REALS, _AT_FAKES, _BETWEEN = "r1", "r2", ("wgan_gp", "dragan")


@dataclass(frozen=True, slots=True, eq=False)
class Role:
    """A network of a subject, what it is called with and how."""

    name: str
    """``generator`` or ``discriminator``."""
    network: nn.Module
    given: Callable[[int], tuple[Tensor, ...]]
    """Returns what it takes for so many samples, on its device; the first is differentiable."""
    call: Callable[..., Tensor]
    """Takes that and returns one tensor, a row for each sample."""
    outside: str = ""
    """Why its operations cannot be seen, or an empty text."""

    @property
    def weights(self) -> list[Tensor]:
        """Its parameters, each once."""
        return list(self.network.parameters())

    @property
    def held(self) -> list[Tensor]:
        """Its parameters and buffers."""
        return [*self.network.parameters(), *self.network.buffers()]


@dataclass(frozen=True, slots=True)
class Expense:
    """The passes of one network on one batch; a text says why one could not be counted."""

    batch: int
    forward: Tally | str
    to_weights: Tally | str
    """Forward and backward to the weights."""
    to_inputs: Tally | str
    """Forward and backward to what it is given alone, as the other player's step needs."""
    to_both: Tally | str
    penalty: Tally | str
    """The squared gradient by the input as the only loss, to weights and input (R1, as ``backward()`` does it)."""
    penalty_to_weights: Tally | str
    with_penalty: Tally | str
    """The response and the squared gradient as one loss over one forward pass, to the weights."""
    kept: int | str
    """Bytes that the forward pass keeps for the backward pass."""
    outside: str = ""
    """Why none of its operations can be seen, or an empty text."""

    def flops(self, name: str) -> int | None:
        """Return the operations of a pass for one sample, None where it could not be counted."""
        found = getattr(self, name)
        return found.flops // self.batch if isinstance(found, Tally) else None


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a subject's own record says of the steps of its training, as far as it changes their cost."""

    penalties: tuple[str, ...] | None
    """Names as in ``train.toml``; None where the record does not say."""
    every: int = 1
    """Gradient penalties in one of so many steps."""
    path_every: int = 1
    """The same of the path length."""
    is_relativistic: bool = False
    """Whether the generator's loss reads the scores of reals."""
    batch: int | None = None
    images: int | None = None


def roles(subject: Subject) -> list[Role]:
    """Return the generator of a subject and, where it has one, its discriminator, ready to be called.

    Latents and labels are those of seed 0; the discriminator is given values spread evenly over the subject's range,
    so that what it costs does not hang on what the generator makes.
    """
    assert subject.generator is not None
    device, shape = subject.device, subject.sample.shape

    def latents(count: int) -> tuple[Tensor, ...]:
        z, labels = subject.latents(_SEED, 0, count), subject.labels(_SEED, 0, count)
        z = z[:, :, None, None] if subject.spatial_latent else z
        return tuple(t.to(device) for t in (z, labels) if t is not None)

    def samples(count: int) -> tuple[Tensor, ...]:
        u = torch.from_numpy(uniforms(_SEED, _STREAM, 0, count, math.prod(shape))).float().reshape(count, *shape)
        x = subject.sample.low + (subject.sample.high - subject.sample.low) * u
        labels = subject.labels(_SEED, 0, count) if subject.judges_labels else None
        return tuple(t.to(device) for t in (x, labels) if t is not None)

    found = [Role("generator", subject.generator, latents, subject.generator, _outside(subject, subject.generator))]
    if subject.discriminator is not None:
        why = _outside(subject, subject.discriminator)
        found.append(Role("discriminator", subject.discriminator, samples, subject.score, why))
    return found


def _outside(subject: Subject, network: nn.Module) -> str:
    is_outside = bool(subject.runtime) and next(network.parameters(), None) is None
    return f"its operations are done by {subject.runtime}: torch sees 0 of them" if is_outside else ""


def expense(role: Role, batch: int) -> Expense:
    """Return the passes of a network on one batch. Its weights ask for gradients meanwhile, and are as before then."""
    given, *labels = role.given(batch)

    def response(x: Tensor) -> Tensor:
        return role.call(x, *labels).sum()

    def forward() -> None:
        with torch.no_grad():
            role.call(given, *labels)

    def descent(*, weights: bool, inputs: bool) -> None:
        x = given.detach().requires_grad_(inputs)
        wanted = [*(role.weights if weights else []), *([x] if inputs else [])]
        torch.autograd.grad(response(x), wanted, allow_unused=True)

    def penalty(*, inputs: bool, merged: bool) -> None:
        x = given.detach().requires_grad_()
        out = response(x)
        (gradient,) = torch.autograd.grad(out, x, create_graph=True)
        loss = gradient.square().sum() + (out if merged else 0.0)
        torch.autograd.grad(loss, [*role.weights, *([x] if inputs else [])], allow_unused=True)

    def counted(work: Callable[[], object]) -> Tally | str:
        return role.outside or _tried(lambda: tallied(work))

    first = counted(forward)
    outside = role.outside or _unseen(role, first)
    if outside:
        return Expense(batch, outside, outside, outside, outside, outside, outside, outside, outside, outside)
    with _asking(role.weights):
        return Expense(
            batch,
            first,
            to_weights=counted(lambda: descent(weights=True, inputs=False)),
            to_inputs=counted(lambda: descent(weights=False, inputs=True)),
            to_both=counted(lambda: descent(weights=True, inputs=True)),
            penalty=counted(lambda: penalty(inputs=True, merged=False)),
            penalty_to_weights=counted(lambda: penalty(inputs=False, merged=False)),
            with_penalty=counted(lambda: penalty(inputs=False, merged=True)),
            kept=role.outside or _tried(lambda: saved_bytes(lambda: response(given), role.held)),
        )


def _unseen(role: Role, forward: Tally | str) -> str:
    """Return why a count of nothing says nothing: of a network without parameters whose arithmetic torch does not see.

    What takes in and hands out tensors copies or converts them, so that some operations are seen all the same.
    """
    if isinstance(forward, str) or role.held or forward.flops or forward.uncounted:
        return ""
    return (
        f"the {role.name} shows torch 0 parameters and 0 products or convolutions: it computes outside torch, or what "
        "it computes has no formula; neither its operations nor its parameters can be counted"
    )


def _tried(work: Callable[[], Any]) -> Any:
    """Return what ``work`` returns, or in words why it could not be done."""
    try:
        return work()
    except (RuntimeError, ValueError, TypeError, IndexError, MemoryError, SubjectError) as error:
        if is_out_of_memory(error):
            return "memory ran out on 1 batch"
        told = str(error).strip().splitlines() or [type(error).__name__]
        return f"the pass cannot be done on 1 batch: {told[-1][:160]}"


@contextmanager
def _asking(weights: list[Tensor]) -> Iterator[None]:
    """Let weights ask for gradients for a while: those of a subject read from files do not."""
    asked = [(w, w.requires_grad) for w in weights if w.is_floating_point()]
    try:
        for weight, _ in asked:
            weight.requires_grad_(True)
        yield
    finally:
        for weight, before in asked:
            weight.requires_grad_(before)


def recipe_of(training: Mapping[str, Any]) -> Recipe:
    """Return what a training record says; a key that is absent or of another kind says nothing."""
    named = training.get("penalties")
    is_list = isinstance(named, list | tuple) and all(isinstance(one, str) for one in named)
    return Recipe(
        tuple(named) if is_list and named is not None else None,
        _whole(training, "discriminator_every") or 1,
        _whole(training, "generator_every") or 1,
        training.get("objective") == "relativistic-pairing",
        _whole(training, "batch"),
        _whole(training, "images"),
    )


def _whole(training: Mapping[str, Any], key: str) -> int | None:
    found = training.get(key)
    return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else None


def step_flops(generator: Expense, discriminator: Expense, recipe: Recipe) -> dict[str, float] | None:
    """Return the operations of one training step for each real sample shown, by part; None where one is unknown.

    One generated sample to a real one, made once for both players. The discriminator's loss: forward and backward to
    its weights at both. The generator's: through the discriminator to the sample, and on to its weights. A gradient
    penalty of every step shares the forward pass of the loss at reals (R1) or generated samples (R2); any other has
    its own. What acts on each number alone, such as the optimiser and most augmentation, is in no count.
    """
    named, every = recipe.penalties or (), recipe.every
    loss, merged, apart = (discriminator.flops(n) for n in ("to_weights", "with_penalty", "penalty_to_weights"))
    through, forward = discriminator.flops("to_inputs"), discriminator.flops("forward")
    made, path = generator.flops("to_weights"), generator.flops("penalty_to_weights")
    if loss is None or through is None or forward is None or made is None:
        return None
    asked = [name for name in (_AT_REALS, _AT_FAKES, *_BETWEEN) if name in named]
    if (asked and (merged is None or apart is None)) or ("path_length" in named and path is None):
        return None
    extra = 0.0
    for name in asked:
        shares_pass = every == 1 and name in (_AT_REALS, _AT_FAKES)
        extra += (merged or 0) - loss if shares_pass else (apart or 0) / every
    found: dict[str, float] = {
        "making samples, and back to the generator's weights": made,
        "the discriminator's loss at real and generated samples": 2 * loss,
        "through the discriminator to the generator": through + (forward if recipe.is_relativistic else 0),
    }
    found |= {f"gradient penalties of the discriminator ({', '.join(asked)})": extra} if asked else {}
    found |= {"consistency under augmentation": 2 * loss} if "consistency" in named else {}
    found |= {"path length of the generator": (path or 0) / recipe.path_every} if "path_length" in named else {}
    return found


def grown_flops(subject: Subject, factor: int) -> int | str:
    """Return the operations of one sample of the generator at ``factor`` times the size, or why they are unknown.

    The network is built without memory or weights (torch's meta device) and draws nothing from a global generator.
    """
    if subject.grown is None:
        return (
            "operations are counted at 1, 2 and 4 times the size on networks that are built anew from a recorded "
            "architecture; the subject records none"
        )
    build = subject.grown

    def work() -> int:
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            network = build("generator", factor)
            given = [t.to("meta") for t in roles(subject)[0].given(1)]
        with torch.no_grad():
            return tallied(lambda: network(*given)).flops

    found = _tried(work)
    return f"at {factor} times the size {found}" if isinstance(found, str) else int(found)
