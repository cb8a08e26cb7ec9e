"""From a configuration to networks that suit the data, or words why not."""

from __future__ import annotations

import inspect
from typing import Any, Literal

import torch
from torch import nn

from ganaudit import registry
from ganaudit.document.errors import ConfigError, nearest
from ganaudit.numerics.randomness import child_seed
from ganaudit.training.augmentation import Pipeline
from ganaudit.training.config import AugmentationConfig, NetworkConfig, TrainConfig

__all__ = ["augmentation_laws", "described", "made", "network_options", "pipelines"]

_GIVEN = ("size", "channels", "latent", "classes", "outputs")
_PENALTIES = ("r1", "r2", "wgan_gp", "dragan")


def made(config: TrainConfig, shape: tuple[int, ...], classes: int) -> tuple[nn.Module, nn.Module]:
    """Return generator and discriminator for samples of ``shape`` with weights drawn on the CPU from the run's seed.

    Raises ConfigError for unknown networks or options, and for pairs that cannot be trained.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(child_seed(config.seed, "weights") % 2**63)
        generator = _network("generator", config.generator, network_options(config, "generator", shape, classes), shape)
        discriminator = _network(
            "discriminator", config.discriminator, network_options(config, "discriminator", shape, classes), shape
        )
    _check_pair(config, generator, discriminator)
    return generator, discriminator


def network_options(config: TrainConfig, role: str, shape: tuple[int, ...], classes: int) -> dict[str, Any]:
    """Return what a network is built with: what follows from the data and the objective, and its own options."""
    plan: NetworkConfig = getattr(config, role)
    options: dict[str, Any] = {"size": shape[-1], "channels": shape[0]}
    if role == "generator":
        options["latent"] = config.latent
    if classes:
        options["classes"] = classes
    if role == "discriminator" and config.objective == "softmax":
        options["outputs"] = classes + 1
    return {**options, **plan.options}


def _network(role: str, plan: NetworkConfig, options: dict[str, Any], shape: tuple[int, ...]) -> nn.Module:
    if len(shape) == 3 and shape[1] != shape[2]:
        raise ConfigError(
            f"data: images are {shape[2]} wide and {shape[1]} high; networks make squares: give reading.resize a square"
        )
    build = registry.find("networks", plan.network)
    known = inspect.signature(build).parameters
    wanted = "audio" if len(shape) == 2 else "image"
    if getattr(build, "kind", "image") != wanted:
        raise ConfigError(
            f"{role}: network {plan.network!r} is for {build.kind} samples; the data are {wanted} samples"
        )
    if ("latent" in known) != (role == "generator"):
        raise ConfigError(
            f"{role}: network {plan.network!r} is a {'generator' if 'latent' in known else 'discriminator'}"
        )
    allowed = [name for name in known if name not in _GIVEN]
    unknown = [name for name in plan.options if name not in allowed]
    if unknown:
        raise ConfigError(
            [f"network {plan.network!r}: option {name!r}: unknown; {nearest(name, allowed)}" for name in unknown]
        )
    lacking = [name for name in ("classes", "outputs") if name in options and name not in known]
    if lacking:
        raise ConfigError(f"{role}: network {plan.network!r} knows no {' and no '.join(lacking)}; choose another")
    try:
        network: nn.Module = build(**options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{role}: network {plan.network!r}: refuses {options}: {error}") from None
    return network


def _check_pair(config: TrainConfig, generator: nn.Module, discriminator: nn.Module) -> None:
    asked = [name for name in _PENALTIES if getattr(config.regularisers, name) > 0]
    if asked and not getattr(discriminator, "per_sample", True):
        raise ConfigError(
            f"regularisers.{asked[0]}: network {config.discriminator.network!r} mixes the samples of a batch, so a "
            "score has no gradient of its own sample; choose a discriminator or options without batch normalisation"
        )
    if not callable(getattr(discriminator, "responses", None)):
        raise ConfigError(
            f"discriminator: network {config.discriminator.network!r} has no method responses(x, labels), which "
            "training reads its scores from; choose another"
        )
    critic = getattr(generator, "critic", None)
    if critic is not None:
        own = {name: tuple(t.shape) for name, t in critic.state_dict().items()}
        if own != {name: tuple(t.shape) for name, t in discriminator.state_dict().items()}:
            raise ConfigError(
                f"generator: network {config.generator.network!r} is fed back the map of a discriminator of one kind, "
                f"{type(critic).__name__}; give [discriminator] that network with the same options"
            )


def pipelines(config: AugmentationConfig, shape: tuple[int, ...]) -> tuple[Pipeline | None, Pipeline | None]:
    """Return the augmentation of all that the discriminator sees, and of the data alone; None where there is none.

    Raises ConfigError for an operation that is unknown or does not suit the samples.
    """
    kind: Literal["image", "audio"] = "audio" if len(shape) == 2 else "image"
    unused = [name for name in config.options if name not in (*config.seen, *config.data)]
    if unused:
        raise ConfigError(f"augmentation.options.{unused[0]}: belongs to no operation in augmentation.seen or .data")
    found = []
    for names in (config.seen, config.data):
        options = {name: given for name, given in config.options.items() if name in names}
        found.append(Pipeline(names, options, kind=kind) if names else None)
    return found[0], found[1]


def augmentation_laws(config: AugmentationConfig, shape: tuple[int, ...]) -> tuple[str, ...]:
    """Return what each operation does to a sample it acts on, with its options, one line for each."""
    seen, data = pipelines(config, shape)
    parts = (("data", data), ("seen", seen))
    return tuple(f"{where}: {law}" for where, pipeline in parts if pipeline is not None for law in pipeline.laws)


def described(config: AugmentationConfig) -> str:
    """Return what is done to samples, in one line: what an auditor of augmentation must know."""
    told = []
    if config.data:
        told.append(f"{', '.join(config.data)} of the data, each on every sample")
    if config.seen:
        how = (
            f"with an adaptive probability (target {config.target:g})"
            if config.adaptive
            else f"with probability {config.probability:g}"
        )
        told.append(f"{', '.join(config.seen)} of all that the discriminator sees, {how}")
    return "; ".join(told) or "none"
