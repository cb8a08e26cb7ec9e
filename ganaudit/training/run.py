"""A training run: from a configuration to a subject directory."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from ganaudit.data.reference import Reference
from ganaudit.document.errors import ConfigError
from ganaudit.document.files import write_atomically
from ganaudit.evidence.ranks import SINGLE, Ranks
from ganaudit.numerics.allocator import keep_memory
from ganaudit.progress import Progress, Silent, Task
from ganaudit.training.backend import backend_of
from ganaudit.training.board import Board
from ganaudit.training.build import made, pipelines
from ganaudit.training.checkpoint import Counters, checkpoints, load_checkpoint, save_checkpoint
from ganaudit.training.config import TrainConfig
from ganaudit.training.data import TrainingData, training_data
from ganaudit.training.denormals import exact_kernels, flushed_denormals
from ganaudit.training.draws import image_rows, label_rows, latents
from ganaudit.training.exchange import any_of
from ganaudit.training.export import Log, grid, write_subject
from ganaudit.training.features import Features, features_for
from ganaudit.training.health import Alarm, Look, Verdict, look, verdict
from ganaudit.training.loop import Loop, Shown
from ganaudit.training.objectives import OBJECTIVES
from ganaudit.training.state import State
from ganaudit.training.trial import Trial, Trials, passes

__all__ = ["Run", "Trained", "check_processes", "train"]

_LOOKED_AT = 256
_SHOWN = 64
_LOOK_SEED = 1  # added to the run's seed: the latents of looks are none of the training


@dataclass(frozen=True, slots=True)
class Trained:
    """How a run ended."""

    images: int
    """Real samples shown in all."""
    seconds: float
    """Time spent in steps, over all sittings."""
    finished: bool
    """False when it stopped before its end: at ``stop_after``, by a signal, or at an alarm."""
    stopped: str
    """Why it stopped, in a few words."""
    verdict: Verdict


def train(
    config: TrainConfig,
    folder: Path,
    reference: Reference,
    *,
    resume: bool = False,
    allow_change: bool = False,
    stop_after: int | None = None,
    stop_on: Sequence[Alarm] = (),
    trial: Trial | None = None,
    progress: Progress | None = None,
    told: Callable[[str], None] = lambda _: None,
    ranks: Ranks = SINGLE,
) -> Trained:
    """Train on ``reference``, checkpoint on the way, and write the subject directory at the end.

    ``stop_after`` samples it checkpoints and ends as an interruption would; ``stop_on`` names alarms that end it early;
    ``trial`` audits the averaged generator on the way. SIGINT and SIGTERM end it after the step they come in, with a
    checkpoint. Raises ConfigError for what cannot be trained, for a run that has broken down, and OutputError when the
    disk is full: the last good checkpoint stays.
    """
    if not resume:
        _check_empty(folder)
    keep_memory()
    run = Run(config, folder, reference, trial, told, ranks)
    counters = load_checkpoint(folder, config, run.state, allow_change, told) if resume else Counters()
    run.trials.check(run.state)
    last = config.steps if stop_after is None else min(config.steps, -(-stop_after // config.batch))
    with (
        flushed_denormals(),
        exact_kernels(config.deterministic),
        _signals() as caught,
        (progress or Silent()).task(f"training {config.name}", config.images, "images") as task,
    ):
        return run.go(counters, last, stop_on, task, caught)


@dataclass(slots=True)
class _Caught:
    """The signal that came in, if any."""

    name: str = ""


@contextmanager
def _signals() -> Iterator[_Caught]:
    """Catch SIGINT and SIGTERM: a step is whole or not begun, so the run ends between two."""
    caught = _Caught()
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return

    def catch(number: int, _: object) -> None:
        caught.name = signal.Signals(number).name

    before = {number: signal.signal(number, catch) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _check_empty(folder: Path) -> None:
    """Refuse to begin anew where an earlier run lies: a model is not lost by repeating a command."""
    for path in (*checkpoints(folder)[:1], folder / "subject.toml"):
        if path.exists():
            raise ConfigError(
                f"{path}: an earlier run lies there; --resume goes on with it, --out names another folder"
            )


@dataclass(slots=True, eq=False)
class Run:
    """One run with everything it needs."""

    config: TrainConfig
    folder: Path
    reference: Reference
    trial: Trial | None = None
    told: Callable[[str], None] = lambda _: None
    ranks: Ranks = SINGLE
    data: TrainingData = field(init=False)
    state: State = field(init=False)
    loop: Loop = field(init=False)
    trials: Trials = field(init=False)
    features: Features | None = field(init=False)
    """What looks at its health see; None: values alone."""

    def __post_init__(self) -> None:
        config = self.config
        device = device_of(config.device)
        backend = backend_of(config, device)
        check_processes(config, self.ranks)
        self.data = training_data(self.reference, config.conditional, config.batch, device)
        generator, discriminator = made(config, self.data.shape, self.data.classes)
        generator, discriminator = generator.to(device), discriminator.to(device)
        if len(self.data.shape) == 3:
            # Convolutions run faster on interleaved channels.
            generator = generator.to(memory_format=torch.channels_last)
            discriminator = discriminator.to(memory_format=torch.channels_last)
        self.state = State.fresh(config, generator.train(), discriminator.train(), device)
        self.state.data = self.data.digest
        pipeline, data_pipeline = pipelines(config.augmentation, self.data.shape)
        self.loop = Loop(config, self.state, self.data, pipeline, data_pipeline, self.ranks, backend)
        self.trials = Trials(config, self.folder, self.trial, self.told)
        self.features = features_for(self.reference, self.data.shape, device)

    def go(self, counters: Counters, last: int, stop_on: Sequence[Alarm], task: Task, caught: _Caught) -> Trained:
        """Do steps until ``last``, an alarm or a signal; then save, and export when all are done."""
        config, batch = self.config, self.config.batch
        done, begun, stopped = counters.steps, time.perf_counter(), ""
        log = self._log(done * batch) if self.ranks.rank == 0 else None
        task.advance(min(done * batch, config.images))

        def now() -> Counters:
            return Counters(done, counters.seconds + time.perf_counter() - begun)

        saved = done
        while done < last and not stopped:
            tells = self.loop.tells(done, config.log)
            shown = self.loop.step(done, tells)
            done += 1
            task.advance(batch)
            if tells:
                self._note(task, log, done * batch, shown, now().seconds)
            if passes(done * batch, batch, config.health) or done == config.steps:
                stopped = self._looked(log, done * batch, stop_on)
            self.trials.maybe(done * batch, now().seconds, self.state, self.data, log)
            if config.snapshot and passes(done * batch, batch, config.snapshot):
                self._keep(now())
            if any_of(self.ranks, bool(caught.name)):
                stopped = stopped or caught.name or "a signal to another process"
            if done < last and not stopped and (done - saved) * batch >= config.checkpoint:
                self._save(now())
                saved = done
        if log is not None:
            log.close()
        self._save(now())
        finished = done >= config.steps
        judged = verdict(self.state.looks, self.trials.excess(now().seconds, self.state))
        if finished and self.ranks.rank == 0:
            self._export(now(), judged)
        reason = stopped or ("" if finished else "stopped as asked")
        return Trained(done * batch, now().seconds, finished, reason, judged)

    def _log(self, from_images: int) -> Log:
        return Log(self.folder, from_images, Board(self.folder, from_images) if self.config.tensorboard else None)

    def _keep(self, counters: Counters) -> None:
        """Write a subject of the run as it stands, beside those before."""
        self._check_broken()
        if self.ranks.rank == 0:
            folder = self.folder / "snapshots" / f"{counters.steps * self.config.batch:09d}"
            judged = verdict(self.state.looks)
            write_subject(folder, self.config, self.state, self.data, counters, judged, on_the_way=True)

    def _save(self, counters: Counters) -> None:
        self._check_broken()
        if self.ranks.rank != 0:
            return
        save_checkpoint(self.folder, self.config, self.state, counters)
        self.trials.settle(self.state)

    def _check_broken(self) -> None:
        """Raise ConfigError where a gradient was not finite: what follows is no training."""
        count = int(self.state.registers["broken"])
        if count == 0:
            return
        kept = checkpoints(self.folder)
        way = f"--resume goes on from {kept[0].name}" if kept else "there was no checkpoint yet"
        raise ConfigError(
            f"training broke down: {count} entries of gradients were not finite; {way}. Lower optimiser.rate, raise "
            'the penalties, or use precision = "fp32"'
        )

    def _note(self, task: Task, log: Log | None, images: int, shown: Shown, seconds: float) -> None:
        values = {name: float(value) for name, value in shown.values.items()}
        shares = _shares({name: float(norm) for name, norm in shown.shares.items()})
        penalties = [
            share for name, share in shares.items() if name.split("/")[1] in self.config.regularisers.penalties
        ]
        self.state.penalty = sum(penalties) if penalties else None
        gap = values["real"] - values["fake"]
        task.note(f"D {values['discriminator']:.3f} G {values['generator']:.3f} gap {gap:+.2f}")
        if log is not None:
            extra = {"probability": float(self.state.registers["probability"])} if self.config.augmentation.seen else {}
            log.write(images=images, seconds=round(seconds, 3), **values, shares=shares, **extra)
        self._check_broken()

    def _looked(self, log: Log | None, images: int, stop_on: Sequence[Alarm]) -> str:
        """Look at the health of the run; return why it must stop, or an empty text."""
        found = self._look(images)
        self.state.looks.append(found)
        if log is not None:
            log.write(images=images, look=_plain(found))
        self._check_broken()  # before the picture: of samples that are no numbers there is none
        if log is not None:
            log.picture(images, grid(self.samples(_SHOWN)))
        for alarm in found.alarms:
            self.told(f"{images} images: signs of {alarm}")
        ending = [alarm for alarm in found.alarms if alarm in stop_on]
        return f"signs of {ending[0]}" if ending else ""

    def _look(self, images: int) -> Look:
        count = min(_LOOKED_AT, len(self.data))
        rows = image_rows(len(self.data), 0, count, self.config.seed)
        real, fake = self.data.batch(rows), self.samples(count)
        labels = None if self.data.labels is None else self.data.labels[rows].to(real.device)
        held = None
        if self.data.held_out is not None and self.data.held_out.shape == self.data.shape:
            few = slice(0, min(_LOOKED_AT, len(self.data.held_out)))
            told = self.data.held_out.labels
            held_labels = None if labels is None or told is None else torch.from_numpy(told[few].copy()).to(real.device)
            if labels is None or held_labels is not None:
                held = self._scores(self.data.held_out.values(few, -1.0, 1.0).to(real.device), held_labels)
        scores = (self._scores(real, labels), self._scores(fake, self._told_labels(count)), held)
        broken = int(self.state.registers["broken"])
        has_boundary = OBJECTIVES[self.config.objective].boundary is not None
        return look(images, fake, real, scores, broken, self.state.penalty, has_boundary, self.features)

    def samples(self, count: int) -> Tensor:
        """Return ``count`` samples of the averaged generator from latents that are the same at every look."""
        z = latents(0, count, self.config.latent, self.config.seed + _LOOK_SEED).to(self.data.device)
        return _evaluated(self.state.average, z, self._told_labels(count))

    def _told_labels(self, count: int) -> Tensor | None:
        if self.data.labels is None:
            return None
        rows = label_rows(len(self.data), 0, count, self.config.seed + _LOOK_SEED)
        return self.data.labels[rows].to(self.data.device)

    def _scores(self, x: Tensor, labels: Tensor | None) -> Tensor:
        network = self.state.discriminator
        network.eval()
        try:
            with torch.no_grad():
                heads = network.responses(x, labels)  # type: ignore[operator]
                objective = OBJECTIVES[self.config.objective]
                return objective.score(heads[0]).float() - (objective.boundary or 0.0)
        finally:
            network.train()

    def _export(self, counters: Counters, judged: Verdict) -> None:
        self.trials.choose(self.state)
        write_atomically(self.folder / "samples.png", grid(self.samples(_SHOWN)))
        write_subject(self.folder, self.config, self.state, self.data, counters, judged)


def _evaluated(network: nn.Module, z: Tensor, labels: Tensor | None) -> Tensor:
    network.eval()
    try:
        with torch.no_grad():
            made: Tensor = network(z, labels)
            return made
    finally:
        network.train()


def _shares(norms: dict[str, float]) -> dict[str, float]:
    """Return each term's share of the sum of norms of its network."""
    total: dict[str, float] = {}
    for name, norm in norms.items():
        network = name.split("/")[0]
        total[network] = total.get(network, 0.0) + norm
    return {name: 0.0 if norm == 0 else norm / total[name.split("/")[0]] for name, norm in norms.items()}


def _plain(found: Look) -> dict[str, object]:
    from dataclasses import asdict

    return {**asdict(found), "alarms": list(found.alarms)}


def device_of(name: str) -> torch.device:
    """Return the device; raises ConfigError when it is not there."""
    if name != "cpu" and not torch.cuda.is_available():
        raise ConfigError(f"device {name!r}: no CUDA device is at hand; use --device cpu")
    if ":" in name and int(name.split(":")[1]) >= torch.cuda.device_count():
        raise ConfigError(f"device {name!r}: {torch.cuda.device_count()} CUDA devices are at hand, counted from 0")
    return torch.device(name)


def check_processes(config: TrainConfig, ranks: Ranks) -> None:
    """Refuse a batch or a backend that so many processes cannot share."""
    if config.backend == "cudagraph" and ranks.size > 1:
        raise ConfigError(
            f"backend 'cudagraph': {ranks.size} processes wait for each other in the middle of a step, which cannot be "
            "recorded; leave backend out"
        )
    if config.batch % (ranks.size * config.accumulate):
        raise ConfigError(
            f"batch: {config.batch} cannot be shared out to {ranks.size} processes in {config.accumulate} parts each"
        )
