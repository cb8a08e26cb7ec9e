"""The Subject: generate, maybe discriminate, and the specs of what goes in and comes out."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from ganaudit.data.layout import AUDIO_CHANNELS
from ganaudit.data.samples import Samples
from ganaudit.document.errors import GanauditError, NotFiniteError, SubjectError
from ganaudit.numerics.memory import Room, is_out_of_memory
from ganaudit.numerics.randomness import child_seed, integers, normals, uniforms
from ganaudit.subjects.digests import json_digest, structure_of, weights_digest
from ganaudit.subjects.failures import Failures

__all__ = ["LatentSpec", "SampleSpec", "Subject"]

Trust = Literal["data", "operators", "code", "in-process"]
_LATENT_STREAM, _LABEL_STREAM = 0, 1
_REDRAWS = 20
_SCORES = (
    "a tensor of one score per sample, (B,) or (B, 1), a map of scores, (B, h, w) or (B, 1, h, w), for audio "
    "(B, 1, t), or a tuple or list with such a tensor first"
)


@dataclass(frozen=True, slots=True)
class LatentSpec:
    """The law that latents are drawn from."""

    size: int
    law: Literal["normal", "uniform"] = "normal"
    """``normal``: N(0, I). ``uniform``: each coordinate on (-1, 1)."""

    def draw(self, seed: int, start: int, count: int) -> Tensor:
        """Return latents ``start`` to ``start + count``, float32 (count, size); latent i depends on (seed, i) alone."""
        if self.law == "normal":
            rows = normals(seed, _LATENT_STREAM, start, count, self.size)
        else:
            rows = 2.0 * uniforms(seed, _LATENT_STREAM, start, count, self.size) - 1.0
        return torch.from_numpy(rows.astype(np.float32))

    def describe(self) -> str:
        """Return the law in the field's notation."""
        return f"N(0, I), {self.size} dimensions" if self.law == "normal" else f"U(-1, 1), {self.size} dimensions"


@dataclass(frozen=True, slots=True)
class SampleSpec:
    """The shape of one sample, (C, H, W) or for audio (C, T), and the range of its values.

    Raises SubjectError for a range without room.
    """

    shape: tuple[int, ...]
    low: float = -1.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise SubjectError(f"range {self.low:g},{self.high:g}: needs two finite numbers, the lower first")

    def describe(self) -> str:
        """Return shape and range in words."""
        return f"{'x'.join(map(str, self.shape))} in [{self.low:g}, {self.high:g}]"


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """What is audited. Build it with :meth:`from_modules`, or let a loader read it from files."""

    name: str
    kind: str
    digest: str
    sample: SampleSpec
    trust: Trust
    generator: nn.Module | None = None
    discriminator: nn.Module | None = None
    latent: LatentSpec | None = None
    spatial_latent: bool = False
    """Whether the generator takes latents as (B, size, 1, 1), as convolutional ones often do."""
    classes: int = 0
    label_law: tuple[float, ...] = ()
    """Probability of each class when labels are drawn; empty: all the same."""
    judges_labels: bool = False
    """Whether the discriminator is told the class of what it scores; the self-check finds out."""
    samples: Samples | None = None
    """The samples of a subject without a generator."""
    path: str | None = None
    block: int | None = None
    """The only batch size its program takes, where that is fixed."""
    device: str = "cpu"
    training: Mapping[str, Any] = field(default_factory=dict)
    checks: tuple[str, ...] = ()
    runtime: str = ""
    """What runs its programs where that is not torch, with its version: another may round differently."""
    grown: Callable[[str, int], nn.Module] | None = None
    """Builds the network of a role, untrained, for samples of so many times the size; None where its code is not one
    that is known by name."""
    room: Room = field(default_factory=Room)
    """Remembers how many samples fitted into memory at once."""
    failures: Failures = field(default_factory=Failures)
    """Remembers which latents the generator failed on."""

    @classmethod
    def from_modules(
        cls,
        generator: nn.Module,
        discriminator: nn.Module | None = None,
        *,
        latent: int | LatentSpec,
        value_range: tuple[float, float] = (-1.0, 1.0),
        classes: int = 0,
        label_law: Sequence[float] = (),
        name: str = "in-process",
        device: str = "cpu",
    ) -> Subject:
        """Return a checked subject made of modules in this process.

        ``generator(z)`` takes float32 (B, latent) and returns images (B, C, H, W), or audio (B, C, T) of one
        or two channels, in ``value_range``; with ``classes`` it is called as ``generator(z, labels)`` with int64 labels
        (B,), drawn by ``label_law``, else evenly. ``discriminator(x)``, or then ``discriminator(x, labels)``, returns
        one raw score per sample, larger for more real. Both are put into eval mode.
        Raises SubjectError when one tiny batch shows anything else.
        """
        from ganaudit.subjects.check import checked  # the check calls back into Subject

        law = latent if isinstance(latent, LatentSpec) else LatentSpec(latent)
        sample = SampleSpec((), *value_range)
        modules = {"generator": generator, "discriminator": discriminator}
        weights = {f"{k}.{n}": t for k, m in modules.items() if m is not None for n, t in m.state_dict().items()}
        # Two networks may hold equal weights and still differ in code: their structure enters the digest too.
        structure = {k: structure_of(m) for k, m in modules.items() if m is not None}
        spec = {"latent": [law.size, law.law], "range": list(value_range), "classes": classes, "structure": structure}
        spec |= {"label_law": list(label_law)} if len(label_law) else {}
        return checked(
            cls(
                name=name,
                kind="in-process",
                digest=json_digest({"weights": weights_digest(weights), "spec": spec}),
                sample=sample,
                trust="in-process",
                generator=generator.eval().to(device),
                discriminator=discriminator.eval().to(device) if discriminator is not None else None,
                latent=law,
                classes=classes,
                label_law=tuple(label_law),
                device=device,
            )
        )

    def latents(self, seed: int, start: int, count: int) -> Tensor:
        """Return the latents of samples ``start`` to ``start + count`` of the audit with ``seed``.

        For a sample on whose latent the generator is known to have failed, the one drawn in its place.
        """
        assert self.latent is not None
        z = self.latent.draw(seed, start, count)
        for sample, redraw in self.failures.of(seed).items():
            if start <= sample < start + count:
                z[sample - start] = self.latent.draw(child_seed(seed, f"redraw {redraw}"), sample, 1)[0]
        return z

    def labels(self, seed: int, start: int, count: int) -> Tensor | None:
        """Return class labels drawn by ``label_law``, label i from (seed, i) alone; None for an unconditional subject.

        The law is that of the data a generator was trained on: fidelity compares two joint laws, and classes drawn
        more or less often than reals show them would be counted as its fault.
        """
        if not self.classes:
            return None
        if self.label_law:
            edges = np.cumsum(self.label_law)
            u = uniforms(seed, _LABEL_STREAM, start, count, 1)[:, 0]
            # Divided by the last edge, which rounding may leave below 1: a class of probability 0 is never drawn.
            return torch.from_numpy(np.searchsorted(edges / edges[-1], u, side="right").astype(np.int64))
        return torch.from_numpy(integers(seed, _LABEL_STREAM, start, count, self.classes)).to(torch.int64)

    @torch.no_grad()
    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return samples (B, C, H, W) or (B, C, T), float32 on the CPU, as the generator made them, unclipped.

        Raises SubjectError when the generator refuses the latents or does not return one float sample each, and
        NotFiniteError when one of them is not finite.
        """
        x = self._made(z, labels)
        bad = int(_failed(x).sum())
        if bad:
            raise NotFiniteError(self._not_finite(bad, len(x)))
        return x

    @torch.no_grad()
    def drawn(self, seed: int, start: int, count: int) -> Tensor:
        """Return the samples ``start`` to ``start + count`` of the audit with ``seed``, as ``generate`` does.

        A sample that is not finite is drawn again, from a latent that (seed, sample, redraw) decide, until it is; it is
        noted in ``failures``, and from then on ``latents`` gives the latent that it came from.
        Raises SubjectError as ``generate`` does, and when more than half of the samples fail.
        """
        labels = self.labels(seed, start, count)
        x = self._made(self.latents(seed, start, count), labels)
        for redraw in range(1, _REDRAWS + 1):
            failed = _failed(x)
            rows = failed.nonzero().flatten().tolist()
            if not rows:
                return x
            if 2 * len(rows) > count:
                break
            for row in rows:
                self.failures.note(seed, start + row, redraw)
            # All of the batch once more: a program may take one size only, and sums of another size round otherwise.
            again = self._made(self.latents(seed, start, count), labels)
            x = torch.where(failed.view(-1, *[1] * (x.ndim - 1)), again, x)
        raise SubjectError(self._not_finite(int(_failed(x).sum()), count))

    def _not_finite(self, bad: int, count: int) -> str:
        words = f"generator of {self.name}: {bad} of {count} samples hold NaN or infinity"
        if 2 * bad <= count:  # as ``drawn`` has it: the others can be audited
            return words
        return f"{words}; an audit of such a generator means nothing: look at its weights and its range"

    def _made(self, z: Tensor, labels: Tensor | None) -> Tensor:
        def make(rows: slice) -> Tensor:
            return self._generated(z[rows], None if labels is None else labels[rows])

        return self._in_parts("generating", len(z), make)

    def _generated(self, z: Tensor, labels: Tensor | None) -> Tensor:
        assert self.generator is not None
        if self.spatial_latent:
            z = z[:, :, None, None]
        arguments = [t.to(self.device) for t in (z, labels) if t is not None]
        x = _called(self.generator, arguments, "generator", f"latents {tuple(z.shape)}")
        if not isinstance(x, Tensor) or not x.is_floating_point():
            raise SubjectError(
                f"generator of {self.name}: returned {_kind(x)}; allowed: one float tensor (B, C, H, W), or "
                "(B, C, T) of audio"
            )
        if not _is_shape(x) or x.shape[0] != z.shape[0] or (self.sample.shape and x.shape[1:] != self.sample.shape):
            wanted = self.sample.shape or ("C", "H", "W")
            audio = "" if self.sample.shape else f", or audio ({z.shape[0]}, C, T) with C 1 or 2"
            raise SubjectError(
                f"generator of {self.name}: {z.shape[0]} latents gave shape {tuple(x.shape)}; "
                f"allowed: ({z.shape[0]}, {', '.join(map(str, wanted))}){audio}"
            )
        return x.to(torch.float32).cpu()

    @torch.no_grad()
    def discriminate(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return one raw score per sample, float64 (B,), larger for more real.

        ``labels`` (B,) are passed on where the discriminator is told the class. A map of scores is averaged over its
        places; of several outputs the first is read.
        Raises SubjectError when the discriminator refuses the samples or gives no single finite score each.
        """
        scores = self.score(x, labels).to(torch.float64)
        bad = int((~torch.isfinite(scores)).sum())
        if bad:
            raise SubjectError(
                f"discriminator of {self.name}: {bad} of {len(x)} scores are NaN or infinity; allowed: one finite "
                "number per sample; look at its weights, and at the --range it was trained on"
            )
        return scores.cpu()

    def score(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the same (B,) on the discriminator's own device and in its precision, differentiable in ``x``.

        Scores may be other than finite. Raises SubjectError as ``discriminate`` does. With a gradient tape, which
        holds every sample until the end, memory that runs out is the caller's to deal with.
        """
        if torch.is_grad_enabled():
            return self._judged(x, labels)
        return self._in_parts(
            "judging", len(x), lambda rows: self._judged(x[rows], None if labels is None else labels[rows])
        )

    def _in_parts(self, doing: str, count: int, work: Callable[[slice], Tensor]) -> Tensor:
        """Return what ``work`` makes of all rows, done again by halves where they do not fit into memory."""
        if not count:
            return work(slice(0, 0))
        made: list[Tensor] = []
        least = self.block or 1
        try:
            self.room.parts(doing, count, lambda start, stop: made.append(work(slice(start, stop))), least=least)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            remedy = "free memory, or use a larger device"
            if self.block:
                remedy += ", or export the program with a dynamic batch: it takes no smaller one"
            raise SubjectError(
                f"{self.name}: out of memory on {self.device} {doing} {least} at once; {remedy}"
            ) from error
        return made[0] if len(made) == 1 else torch.cat(made)

    def _judged(self, x: Tensor, labels: Tensor | None) -> Tensor:
        assert self.discriminator is not None
        told = (x, labels) if self.judges_labels else (x,)
        arguments = [t.to(self.device) for t in told if t is not None]
        scores = _called(self.discriminator, arguments, "discriminator", f"samples {tuple(x.shape)}")
        returned, of = scores, ""
        if isinstance(scores, tuple | list) and scores:
            scores, of = scores[0], f" as the first of {len(scores)} outputs"
        if not isinstance(scores, Tensor) or scores.ndim == 0 or scores.shape[0] != len(x):
            raise SubjectError(
                f"discriminator of {self.name}: returned {_kind(scores)}{of} for {len(x)} samples; allowed: "
                f"{_SCORES}; {_remedy(returned)}"
            )
        # (B, h, w) is a map of one score per place of an image; of audio that is (B, 1, t).
        is_map = scores.ndim == 3 and x.ndim != 3
        if scores.ndim > 1 and not is_map and scores.shape[1] > 1:
            raise SubjectError(
                f"discriminator of {self.name}: returned {scores.shape[1]} numbers per sample, shape "
                f"{tuple(scores.shape)}; allowed: {_SCORES}; of two columns, generated and real, give the real one "
                "less the other, before any softmax"
            )
        # A map is averaged in float64: the mean of many half-precision places would lose digits.
        return scores.to(torch.float64).flatten(1).mean(1) if scores.ndim > 1 else scores


def _failed(x: Tensor) -> Tensor:
    """Return which samples hold NaN or infinity, (B,) bool."""
    return ~torch.isfinite(x).flatten(1).all(1)


def _is_shape(x: Tensor) -> bool:
    return x.ndim == 4 or (x.ndim == 3 and x.shape[1] in AUDIO_CHANNELS)


def _called(module: nn.Module, arguments: list[Tensor], role: str, given: str) -> Any:
    try:
        return module(*arguments)
    except GanauditError:
        raise
    except Exception as error:  # a module of somebody's own raises anything
        if is_out_of_memory(error):
            raise
        told = str(error).strip().splitlines()
        # TorchScript prefixes pages of source; the last line is the message of the operator that refused.
        message = re.sub(r"^\w*Error: ", "", told[-1]) if told else type(error).__name__
        hint = "--latent N sets the latent size, --classes N makes labels"
        if role == "discriminator":
            hint = "it is called with samples alone, or as discriminator(x, labels) where the generator has classes"
        raise SubjectError(f"{role}: refused {given}: {message[:300]} ({hint})") from error


def _kind(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor {tuple(value.shape)} of {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, Mapping):
        keys = ", ".join(repr(key)[:40] for key in list(value)[:8])
        return f"a {type(value).__name__} with the keys {keys}" if value else f"an empty {type(value).__name__}"
    if isinstance(value, tuple | list) and not value:
        return f"an empty {type(value).__name__}"
    return f"a {type(value).__name__}"


def _remedy(returned: object) -> str:
    """Return what to do about an answer that is no score."""
    if isinstance(returned, Mapping):
        return "wrap the network so that it returns the score it holds, such as out['logits'], alone"
    if isinstance(returned, tuple | list):
        return "wrap the network so that it returns the score first"
    return "wrap the network so that it returns one raw score for every sample of its batch"
