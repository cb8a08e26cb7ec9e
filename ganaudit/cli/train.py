"""``ganaudit train``: trains a GAN and leaves a subject directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganaudit.cli.console import Console
from ganaudit.document.errors import ConfigError

if TYPE_CHECKING:
    from ganaudit.data.reference import Reference
    from ganaudit.training.config import TrainConfig
    from ganaudit.training.forecast import Forecast
    from ganaudit.training.run import Trained
    from ganaudit.training.trial import Trial

__all__ = ["train"]

_SET = "GANAUDIT_TRAIN_SET"
_ALARMS = ("collapse", "overfit", "saturation", "broken")


def train(
    console: Console,
    config: Annotated[Path, typer.Argument(help="train.toml.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the subject; default runs/<name>.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the newest good checkpoint in the folder.")
    ] = False,
    allow_change: Annotated[
        bool, typer.Option("--allow-change", help="Resume although settings that change no number differ.")
    ] = False,
    stop_after: Annotated[int | None, typer.Option(min=1, help="Checkpoint and end after so many real images.")] = None,
    stop_on: Annotated[
        list[str] | None,
        typer.Option(help="End early at signs of collapse, overfit, saturation or broken; repeatable."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            allow_from_autoenv=False,  # which would part arrays at their spaces
            help=f"key=value laid over the file; repeatable, or several in {_SET} with spaces between.",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights, data order and noise.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:N.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the resolved plan, its cost and its time, and write nothing.")
    ] = False,
) -> int:
    """Train the GAN that CONFIG describes."""
    from ganaudit.training.config import load_config, parted

    unknown = [alarm for alarm in stop_on or [] if alarm not in _ALARMS]
    if unknown:
        raise ConfigError(f"--stop-on {unknown[0]}: is no alarm; known are {', '.join(_ALARMS)}")
    overrides = list(set_ or parted(os.environ.get(_SET, "")))
    overrides += [f"seed={seed}"] if seed is not None else []
    overrides += [f"device={device!r}"] if device is not None else []
    plan = load_config(config, overrides)
    _check_audit(plan)
    if dry_run:
        return _dry_run(console, plan)
    from ganaudit.document.files import check_writable
    from ganaudit.evidence.ranks import device_of, launched
    from ganaudit.training.health import ALARMS
    from ganaudit.training.run import train as trained

    folder = out or Path("runs") / plan.name
    check_writable(folder)
    with launched(plan.device) as ranks:
        speaks = ranks.rank == 0
        plan = plan.model_copy(update={"device": device_of(plan.device, ranks)})
        reference = _reference(plan)
        result = trained(
            plan,
            folder,
            reference,
            resume=resume,
            allow_change=allow_change,
            stop_after=stop_after,
            stop_on=[alarm for alarm in ALARMS if alarm in (stop_on or [])],
            trial=_trial(plan) if plan.audit.every and speaks else None,
            progress=console if speaks else None,
            told=lambda words: console.say(f"caution: {words}") if speaks else None,
            ranks=ranks,
        )
    return _told(console, folder, result) if speaks else 0


def _told(console: Console, folder: Path, result: Trained) -> int:
    code = 0 if result.finished else 130
    if console.as_json:
        console.data(
            {
                "out": str(folder),
                "images": result.images,
                "finished": result.finished,
                "stopped": result.stopped,
                "seconds": result.seconds,
                "health": result.verdict.describe(),
            }
        )
    console.text(f"health: {result.verdict.verdict}: {result.verdict.words}")
    console.text(f"subject: {folder}" if result.finished else f"checkpoint: {folder}")
    told = "trained" if result.finished else f"{result.stopped}; --resume goes on"
    console.last(code, f"{told}: {result.images} images in {result.seconds:.0f} s")
    return code


def _reference(plan: TrainConfig) -> Reference:
    """Return the data of a plan: a built-in set at its scale, or what a path holds."""
    from ganaudit import registry
    from ganaudit.training.source import opened

    return opened(plan, registry.names("datasets"), lambda name: registry.find("datasets", name))


def _check_audit(plan: TrainConfig) -> None:
    """Refuse audits on the way that could not be done, before hours have passed."""
    from ganaudit import registry
    from ganaudit.document.errors import nearest

    if not plan.audit.every:
        return
    evaluator, _, key = plan.audit.measure.partition("/")
    known = registry.names("evaluators")
    if evaluator not in known:
        raise ConfigError(
            f"audit.measure {plan.audit.measure!r}: is no EVALUATOR/KEY; evaluators are {', '.join(known)}"
        )
    keys = {m.key: m.better for m in registry.find("evaluators", evaluator).spec.measurements}
    if keys.get(key) not in ("lower", "higher"):
        chosen = [name for name, better in keys.items() if better in ("lower", "higher")]
        raise ConfigError(
            f"audit.measure {plan.audit.measure!r}: a snapshot is chosen by a number of which lower or higher is "
            f"better; {nearest(key, chosen)}; all: {', '.join(chosen)}"
        )
    extractor = plan.audit.extractor
    if extractor is not None and extractor not in registry.names("extractors"):
        raise ConfigError(f"audit.extractor {extractor!r}: {nearest(extractor, registry.names('extractors'))}")


def _trial(plan: TrainConfig) -> Trial:
    """Return the cheap audit of a generator on its way, by the evaluators themselves."""
    from torch import nn

    from ganaudit.auditing import audit
    from ganaudit.subjects.subject import LatentSpec, Subject
    from ganaudit.training.data import TrainingData

    evaluator, _, key = plan.audit.measure.partition("/")

    def trial(generator: nn.Module, data: TrainingData) -> tuple[float, bool, dict[str, float]]:
        subject = Subject.from_modules(
            generator,
            latent=LatentSpec(plan.latent),
            classes=data.classes,
            label_law=data.label_law,
            name=plan.name,
            device=plan.device,
        )
        # Against the reals it is trained on: choosing a snapshot by unseen ones would spoil them for the audit to come.
        split = "train" if "train" in data.reference.splits else "test"
        document = audit(
            subject,
            data.reference,
            evaluators={evaluator: {}},
            samples=min(plan.audit.samples, len(data)),
            against=split,
            extractor=plan.audit.extractor,
            device=plan.device,
            cache=False,
        )
        (result,) = [r for r in document.results if r.evaluator == evaluator]
        found = {f"{evaluator}/{m.key}": m.value for m in result.measurements if m.value is not None}
        measured = [m for m in result.measurements if m.key == key and m.value is not None]
        if not measured:
            raise ConfigError(
                f"audit.measure {plan.audit.measure!r}: was not measured: {result.reason or 'no such key'}"
            )
        assert measured[0].value is not None
        return measured[0].value, measured[0].better == "lower", found

    return trial


def _dry_run(console: Console, plan: TrainConfig) -> int:
    from ganaudit.training.forecast import forecast

    resolved = plan.model_dump(mode="json")
    cost = forecast(plan, _reference(plan))
    if console.as_json:
        console.data({"plan": resolved, "forecast": _plain(cost)})
    console.table("plan", ["key", "value"], [[key, str(value)] for key, value in resolved.items()])
    rows = [
        [role, f"{one.parameters:,}", f"{one.flops / 1e6:.1f} M"]
        for role, one in (("generator", cost.generator), ("discriminator", cost.discriminator))
    ]
    console.table("cost", ["network", "parameters", "operations per sample"], rows)
    pace = f"{cost.images_per_second:,.0f} images/s, about {cost.seconds / 60:.1f} minutes for {plan.images:,} images"
    console.text(f"{cost.samples} samples of {'x'.join(map(str, cost.shape))}; {pace} on this machine as it is now")
    console.last(0, "dry run, nothing was written")
    return 0


def _plain(cost: Forecast) -> dict[str, object]:
    from dataclasses import asdict

    return asdict(cost)
