"""Evidence: the nodes that evaluators may ask for, computed on first use, once, and kept under a complete key."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from ganaudit.data.reference import Reference
from ganaudit.data.samples import Samples
from ganaudit.document.errors import EvidenceError
from ganaudit.evidence.availability import Availability
from ganaudit.evidence.filling import Table, filled
from ganaudit.evidence.handing import handed, read, shown
from ganaudit.evidence.making import EvidencePlan, block_of_subject, key_of, made, rows_made, scored, taken
from ganaudit.evidence.nodes import PARTNER, node_names
from ganaudit.evidence.null import NullDesign, null_design, rows
from ganaudit.evidence.others import Other
from ganaudit.evidence.ranks import SINGLE, Ranks
from ganaudit.evidence.rows import Column, Rows
from ganaudit.evidence.store import Store, digest_of
from ganaudit.features.engine import extracted
from ganaudit.features.extractor import Extractor, block_of
from ganaudit.numerics.moments import GroupedMoments, Moments
from ganaudit.numerics.quantise import Quantiser
from ganaudit.numerics.randomness import generator
from ganaudit.progress import Progress
from ganaudit.subjects.subject import Subject

__all__ = ["Evidence", "EvidencePlan"]

_VERSION = 2  # raise it when the code below computes other tensors


class Evidence:
    """The evidence of one audit."""

    def __init__(
        self,
        subject: Subject,
        reference: Reference,
        extractor: Extractor,
        plan: EvidencePlan,
        store: Store,
        progress: Progress,
        ranks: Ranks = SINGLE,
        earlier: Evidence | None = None,
        others: Mapping[str, Other] | None = None,
    ) -> None:
        """Make the evidence; ``earlier`` is that of a smaller audit of the same, whose rows are taken over."""
        self.subject = subject
        self.reference = reference
        self.extractor = extractor
        self.plan = plan
        self.ranks = ranks
        self.others: Mapping[str, Other] = others or {}
        self._store = store
        self._progress = progress
        self._memory: dict[str, dict[str, Rows]] = {}
        self._moments: dict[str, GroupedMoments] = {}
        # Not the earlier evidence itself, which would keep the one before it, and so on.
        self._known = {} if earlier is None else earlier._memory
        self.null: NullDesign = null_design(reference, plan.against, plan.samples, plan.seed)
        self._available = Availability(subject, reference, extractor, self.null, plan.against, self.others)

    def missing(self, node: str) -> str | None:
        """Return why a node cannot be had from this subject, reference and extractor, or None when it can."""
        return self._available.missing(node)

    @property
    def holds_features(self) -> bool:
        """Whether subject and reference are arrays of features, of which there are no pictures."""
        samples = self.subject.samples
        if samples is None and self.reference.statistics is None:
            samples = self.reference.split(self.plan.against)
        return samples is not None and samples.kind == "features"

    def count(self, node: str) -> int:
        """Return how many rows a node has, without computing it."""
        _, _, side = node.partition("/")
        if side in ("fake", "generated"):
            return self.plan.samples
        if side in self.reference.splits:
            return len(self.reference.splits[side])
        if side == "real" and self.reference.statistics is not None:
            return self.reference.statistics.n or 0
        samples = self._samples(side)
        return len(samples) if samples is not None else 0

    def node(self, name: str) -> Tensor:
        """Return one node's tensor; raises EvidenceError when it does not exist or cannot be had."""
        kind, side = self._checked(name)
        if kind == "moments":
            raise EvidenceError(f"evidence {name!r}: moments are no tensor; ask for them by moments({side!r})")
        if kind == "values":
            raise EvidenceError(f"evidence {name!r}: is asked for some samples at a time, by values()")
        if kind == "others":
            raise EvidenceError(f"evidence {name!r}: is one tensor for each other subject; ask by others_scores()")
        if kind == "labels":
            return self._labels(side)
        return self._rows(kind, side).tensor

    def blocks(self, name: str) -> Iterator[tuple[int, Tensor]]:
        """Yield (first row, rows) of a node over all its rows, in little memory; raises EvidenceError as ``node``."""
        kind, side = self._checked(name)
        if kind in ("moments", "labels", "values", "others"):
            raise EvidenceError(f"evidence {name!r}: is not read in blocks")
        return self._rows(kind, side).blocks()

    def moments(self, side: str) -> GroupedMoments:
        """Return the moments of the features of one side, in one pass over them; raises EvidenceError as ``node``."""
        self._checked(f"moments/{side}")
        if side == "real" and self.reference.statistics is not None:
            known = self.reference.statistics
            if side not in self._moments:  # one object, so that what is derived from it is derived once
                mean, covariance = torch.from_numpy(known.mean.copy()), torch.from_numpy(known.covariance.copy())
                self._moments[side] = GroupedMoments((Moments.from_statistics(known.n, mean, covariance),))
            return self._moments[side]
        table = self._rows("features", side)
        # Groups of both sides of a comparison are of one size: those of the smaller side.
        core = min(len(table), self.count(f"moments/{PARTNER[side]}") or len(table))
        name = f"{id(table)} {core}"  # the null's reals are mostly those of the audit itself
        if name not in self._moments:
            groups = GroupedMoments.groups_for(core, table.tensor.shape[1])
            rng = generator(self.plan.seed, f"moments/{'fake' if side == 'fake' else 'real'}")
            gathered = GroupedMoments.gather(table.blocks(), len(table), groups, rng, self.ranks, core)
            self._moments[name] = gathered
        return self._moments[name]

    def fake_shown(self, indices: list[int]) -> Tensor:
        """Return generated samples as uint8 (B, C, H, W), or waveforms (B, C, T) in -1..1; sample i is the audit's."""
        if self.subject.samples is not None:
            return shown(self._fake_samples, indices)
        starts = sorted({i // self._block * self._block for i in indices})
        blocks = {start: self._generated(start) for start in starts}
        made = torch.stack([blocks[i // self._block * self._block][i % self._block] for i in indices])
        # Shown as they would be written to a file, whatever the protocol hands to the extractor.
        return handed(made, self.subject.sample.low, self.subject.sample.high, "round")

    def values(self, name: str, indices: list[int], judge: Subject | None = None) -> tuple[Tensor, Tensor | None]:
        """Return samples of a node ``values/...`` as the discriminator is given them, and their labels if it is told.

        Float32 in the subject's range, generated ones before any quantisation. ``judge``: whose discriminator it is,
        where not the audited subject's. Raises EvidenceError as ``node``.
        """
        _, side = self._checked(name)
        subject = self.subject
        if side == "fake" and subject.samples is None:
            starts = sorted({i // self._block * self._block for i in indices})
            blocks = {start: self._generated(start) for start in starts}
            x = torch.stack([blocks[i // self._block * self._block][i % self._block] for i in indices])
            labels = subject.labels(self.plan.seed, 0, self.plan.samples)
        else:
            samples = self._samples(side)
            assert samples is not None
            x = samples.values(indices, subject.sample.low, subject.sample.high)
            labels = None if samples.labels is None else torch.from_numpy(samples.labels.copy())
        return x, labels[indices] if labels is not None and (judge or subject).judges_labels else None

    def others_scores(self, side: str) -> dict[str, Tensor]:
        """Return the scores of a node ``others/SIDE`` by the other's name, (N,) float64; EvidenceError as ``node``."""
        self._checked(f"others/{side}")
        rows_of = self._of_other if side == "generated" else partial(self._by_other, side)
        return {name: rows_of(other)["scores"].tensor for name, other in self.others.items()}

    def features_by(self, extractor: Extractor, side: str, indices: list[int]) -> Tensor:
        """Return the features of some samples of "real" or "fake" by another extractor, kept as a node's are."""
        real = self.reference.split(self.plan.against)
        source = real.digest if side == "real" else [*self._subject_key, self.plan.seed, self.plan.samples]
        key = {"node": f"{side} by another", "of": source, "rows": indices, "extractor": extractor.digest}
        column, block = Column("features", torch.float32, (extractor.dimensions,)), block_of(extractor, self._device)
        images = self.fake_shown if side == "fake" else partial(shown, real)
        kept = self._kept(
            key, [column], len(indices), f"features of {len(indices)} {side} samples by {extractor.id} once more",
            lambda a, b: extracted(extractor.extract, images(indices[a:b]), block, self._device, self.subject.room),
            block,
        )  # fmt: skip
        return kept["features"].tensor

    def _checked(self, name: str) -> tuple[str, str]:
        reason = self.missing(name) if name in node_names() else "no node has this name"
        if reason is not None:
            raise EvidenceError(f"evidence {name!r}: {reason}")
        kind, _, side = name.partition("/")
        return kind, side

    def _rows(self, kind: str, side: str) -> Rows:
        if side == "fake":
            return self._fake()[kind]
        return self._scores(side)[kind] if kind == "scores" else self._activations(side)[kind]

    def _labels(self, side: str) -> Tensor:
        if side == "fake" and self.subject.samples is None:
            labels = self.subject.labels(self.plan.seed, 0, self.plan.samples)
        else:
            samples = self._samples(side)
            assert samples is not None
            labels = None if samples.labels is None else torch.from_numpy(samples.labels.copy())
        assert labels is not None
        return labels

    @property
    def _block(self) -> int:
        return block_of_subject(self.subject)

    @cached_property
    def _subject_key(self) -> list[str]:
        return key_of(self.subject)

    def _samples(self, side: str) -> Samples | None:
        if side == "fake":
            return self._fake_samples
        if side == "real" or side in self.reference.splits:
            return self.reference.split(self.plan.against if side == "real" else side)
        return self.null.fake if side == "null-fake" else self.null.real

    @cached_property
    def _fake_samples(self) -> Samples:
        samples = self.subject.samples
        assert samples is not None
        if self.plan.samples == len(samples):
            return samples
        return samples.take(rows(len(samples), self.plan.samples, self.plan.seed, "fake"), samples.name)

    def _kept(
        self,
        key: dict[str, Any],
        columns: list[Column],
        n: int,
        label: str,
        compute: Callable[[int, int], dict[str, Tensor]],
        block: int,
    ) -> dict[str, Rows]:
        """Return the ``n`` rows of ``key``: all that can change row i but the machine, whatever ``n`` is."""
        name = digest_of(key)
        if name not in self._memory:
            device = self._device
            # Another library version, device or thread count may round differently: it makes another key.
            full = {
                **key,
                "n": n,
                "version": _VERSION,
                "torch": torch.__version__,
                "device": device if device == "cpu" else torch.cuda.get_device_name(device),
                "machine": [platform.machine(), torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()],
            }
            known = self._known.get(name)
            if known is not None and len(known[columns[0].name]) == n:
                self._memory[name] = known
            else:
                chunk = max(1, self.plan.batch // block) * block
                table = Table(full, columns, n, chunk, block, label, compute, known)
                self._memory[name] = filled(table, self._store, self.ranks, self._progress)
        return self._memory[name]

    def _feature_columns(self, samples: Samples | None) -> list[Column]:
        if samples is not None and samples.kind == "features":
            dtype = torch.float64 if samples.array.dtype.itemsize == 8 else torch.float32
            return [Column("features", dtype, samples.shape)]
        columns = [Column("features", torch.float32, (self.extractor.dimensions,))]
        return (
            [*columns, Column("logits", torch.float32, (self.extractor.classes,))]
            if self.extractor.classes
            else columns
        )

    def _activations(self, side: str) -> dict[str, Rows]:
        samples = self._samples(side)
        assert samples is not None
        key = {"node": "activations", "samples": samples.digest, "extractor": self.extractor.digest}
        columns, label = self._feature_columns(samples), f"features of {len(samples)} {samples.name}"
        if side.startswith("null") and self.null.halves is not None:
            # The audited reals have been through the extractor already.
            half = torch.from_numpy(self.null.halves[side == "null-real"])
            key["of"] = self.reference.split(self.plan.against).digest
            return self._kept(key, columns, len(half), label, partial(taken, self._activations("real"), half), 1)
        compute = partial(self._extract, samples, quantiser="round")
        return self._kept(key, columns, len(samples), label, compute, self._extraction_block)

    @property
    def _device(self) -> str:
        return self.subject.device

    @property
    def _extraction_block(self) -> int:
        return block_of(self.extractor, self._device)

    def _extract(self, samples: Samples, start: int, stop: int, quantiser: Quantiser) -> dict[str, Tensor]:
        if samples.kind == "features":
            return {"features": samples.features(slice(start, stop))}
        images = read(samples, slice(start, stop), quantiser)
        return extracted(self.extractor.extract, images, self._extraction_block, self._device, self.subject.room)

    def _scores(self, split: str) -> dict[str, Rows]:
        samples = self.reference.splits[split]
        key = {"node": "scores", "samples": samples.digest, "subject": self._subject_key}
        return self._kept(
            key,
            [Column("scores", torch.float64, ())],
            len(samples),
            f"scores of {split} reals",
            lambda start, stop: scored(self.subject, samples, start, stop),
            self._block,
        )

    def _by_other(self, side: str, other: Other) -> dict[str, Rows]:
        """Return the scores of a set by the discriminator of another subject."""
        judge, label = other.subject, f"scores of {side} by {other.name}"
        key: dict[str, Any] = {"node": "scores by another", "judge": key_of(judge), "range": self._range}
        column = [Column("scores", torch.float64, ())]
        if side != "fake" or self.subject.samples is not None:
            samples = self._fake_samples if side == "fake" else self.reference.splits[side]
            key["samples"] = samples.digest
            compute = partial(scored, judge, samples)
            return self._kept(key, column, len(samples), label, compute, block_of_subject(judge))
        key |= {"subject": self._subject_key, "seed": self.plan.seed}
        return self._crossed(key, column, label, self.subject, judge)

    def _of_other(self, other: Other) -> dict[str, Rows]:
        """Return the scores of another subject's generated samples by the audited discriminator."""
        maker, judge, label = other.subject, self.subject, f"scores of samples generated by {other.name}"
        key: dict[str, Any] = {"node": "scores of another", "maker": key_of(maker), "judge": self._subject_key}
        column = [Column("scores", torch.float64, ())]
        if maker.samples is not None:
            n = min(self.plan.samples, len(maker.samples))
            samples = maker.samples.take(rows(len(maker.samples), n, self.plan.seed, "fake"), maker.name)
            key["samples"] = samples.digest
            return self._kept(key, column, n, label, partial(scored, judge, samples), self._block)
        key |= {"range": self._range, "seed": self.plan.seed}
        return self._crossed(key, column, label, maker, judge)

    def _crossed(
        self, key: dict[str, Any], column: list[Column], label: str, maker: Subject, judge: Subject
    ) -> dict[str, Rows]:
        """Return the scores by ``judge`` of what ``maker`` generates, each in blocks of its own size."""
        seed, made_in, judged_in = self.plan.seed, block_of_subject(maker), block_of_subject(judge)
        block = math.lcm(made_in, judged_in)

        def compute(start: int, stop: int) -> dict[str, Tensor]:
            # Whole blocks of both, also at the end: what stands beside a sample never depends on how many there are.
            end = start + -(-(stop - start) // block) * block
            x = torch.cat([made(maker, seed, first) for first in range(start, end, made_in)])
            labels = maker.labels(seed, start, end - start)
            parts = [
                judge.discriminate(x[a : a + judged_in], None if labels is None else labels[a : a + judged_in])
                for a in range(0, len(x), judged_in)
            ]
            return {"scores": torch.cat(parts)[: stop - start]}

        return self._kept(key, column, self.plan.samples, label, compute, block)

    @property
    def _range(self) -> list[float]:
        return [self.subject.sample.low, self.subject.sample.high]

    def _fake(self) -> dict[str, Rows]:
        """Return features, logits and scores of the generated samples, all from one generation."""
        plan, subject = self.plan, self.subject
        key = {
            "node": "fake",
            "subject": self._subject_key,
            "extractor": self.extractor.digest,
            "seed": plan.seed,
            "quantiser": plan.quantiser,
        }
        columns = self._feature_columns(subject.samples)
        columns += [Column("scores", torch.float64, ())] if subject.discriminator is not None else []
        block = math.lcm(self._block, self._extraction_block)
        if subject.samples is not None:
            samples = self._fake_samples
            label = f"features of {len(samples)} generated"
            # Another number of samples is another draw from them: its rows begin anew.
            key["samples"] = samples.digest
            return self._kept(key, columns, len(samples), label, lambda a, b: self._of_fake(samples, a, b), block)
        label = f"generating {plan.samples} samples"
        columns.append(
            Column("redraws", torch.int64, ())
        )  # kept: a later audit, which generates nothing, tells them too
        kept = self._kept(
            {**key, "failures": "redrawn"},
            columns,
            plan.samples,
            label,
            partial(rows_made, subject, self.extractor, plan),
            block,
        )
        subject.failures.note_all(plan.seed, kept["redraws"].tensor)
        return kept

    def _of_fake(self, samples: Samples, start: int, stop: int) -> dict[str, Tensor]:
        made = self._extract(samples, start, stop, self.plan.quantiser)
        return made if self.subject.discriminator is None else made | scored(self.subject, samples, start, stop)

    def _generated(self, start: int) -> Tensor:
        return made(self.subject, self.plan.seed, start)
