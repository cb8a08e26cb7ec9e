"""Any network as an extractor: an exported program or TorchScript file, with a declaration of what it takes and gives.

A file is vetted as that of a subject is: operators, no Python.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ganaudit.document.errors import ConfigError, ExtractorError, SubjectError, WeightsError
from ganaudit.features.declaration import Declaration, read_declaration
from ganaudit.features.extractor import Activations, ExtractorOptions
from ganaudit.features.published import rgb
from ganaudit.programs import exported, script
from ganaudit.programs.program import Program
from ganaudit.weights.files import hashed

__all__ = ["Module"]

_PROBE = 4
# Another place in the batch may pick another order of summation, which costs a few of float32's last bits.
_TOLERANCE = 1e-3


class Module:
    """A network of your own from a .pt2 or TorchScript file, with NAME.toml beside it that says what it takes.

    It is tried on a few images first: what it gives must be finite, equal for equal images, and not depend on the other
    images of a batch.
    """

    id: ClassVar[str] = "module"
    precision: ClassVar[str] = "fp32"
    classes = 0
    preprocessing = "what the declaration beside the program says"
    caution = "a network of the user's own: its numbers compare only with those of the same file and declaration"

    def __init__(self, options: ExtractorOptions) -> None:
        path = options.weights
        if path is None:
            raise ExtractorError(
                "module: needs --extractor-weights FILE, an exported program (.pt2) or TorchScript file, with a "
                "declaration FILE.toml of the same name beside it"
            )
        try:
            declared = read_declaration(path.with_suffix(".toml"))
            sha256, _ = hashed(path)
            program = _program(path, options.device)
        except (ConfigError, WeightsError, SubjectError) as error:
            raise ExtractorError(f"module: {error}") from None
        self._set(program.module, declared, sha256, options, str(path), program.block)

    @classmethod
    def of(cls, network: nn.Module, declared: Declaration, sha256: str, options: ExtractorOptions) -> Module:
        """Return the extractor that calls ``network``, whose weights have the digest ``sha256``."""
        made = cls.__new__(cls)
        made._set(network.eval().to(options.device), declared, sha256, options, type(network).__name__, None)
        return made

    def _set(
        self,
        network: nn.Module,
        declared: Declaration,
        sha256: str,
        options: ExtractorOptions,
        where: str,
        block: int | None,
    ) -> None:
        self._network, self._declared, self._where = network, declared, where
        self._framing = declared.framing()
        self.device = options.device
        _check_channels(options.shape, declared, len(self._framing.mean))
        if block is not None:
            self.block = block  # the only batch size the program takes
        self.names = declared.classes
        self.digest = f"module/1 sha256:{sha256} {declared.model_dump_json(exclude_defaults=True)}"
        pooled = {"none": "", "mean": "; mean over places", "first": "; first token"}[declared.pool]
        self.preprocessing = f"{self._framing.describe()}{pooled}"
        activations = self._tried(options.shape, block or _PROBE)
        self.dimensions = activations.features.shape[1]
        self.classes = 0 if activations.logits is None else activations.logits.shape[1]

    @torch.no_grad()
    def extract(self, images: Tensor) -> Activations:
        """Return features (B, D) and, where they are declared, logits (B, classes), float32."""
        images = images.to(self.device, non_blocking=True)
        x = self._framing.apply(rgb(images) if self._declared.channels == "rgb" else images)
        try:
            output = self._network(x)
        except Exception as error:  # a program's guards and operators raise anything
            told = (str(error).splitlines() or [type(error).__name__])[0][:300]
            raise ExtractorError(f"module: {self._where} cannot be run on input {tuple(x.shape)}: {told}") from None
        features = self._pooled(self._picked(output, self._declared.features, "features"))
        logits = None
        if self._declared.logits is not None:
            logits = self._matrix(self._picked(output, self._declared.logits, "logits"), "logits")
        for name, made in (("features", features), ("logits", logits)):
            if made is not None and len(made) != len(images):
                raise ExtractorError(f"module: {self._where}: {len(made)} rows of {name} for {len(images)} images")
        return Activations(features, logits)

    def _picked(self, output: Any, key: int | str | None, what: str) -> Tensor:
        if isinstance(output, list | tuple):
            named: dict[Any, Any] = dict(enumerate(output))
        else:
            named = output if isinstance(output, dict) else {0: output}
        found = named.get(next(iter(named), None) if key is None else key)
        if not isinstance(found, Tensor):
            kinds = ", ".join(f"{name!r}: {_shape(value)}" for name, value in named.items())
            raise ExtractorError(f"module: {self._where}: no output {key!r} to take {what} from; found {kinds}")
        return found

    def _pooled(self, features: Tensor) -> Tensor:
        pool = self._declared.pool
        if pool == "mean" and features.dim() in (3, 4):
            features = features.to(torch.float32).mean(1 if features.dim() == 3 else (2, 3))
        elif pool == "first" and features.dim() == 3:
            features = features[:, 0]
        return self._matrix(features, "features")

    def _matrix(self, found: Tensor, what: str) -> Tensor:
        if found.dim() > 2 and found[0].numel() == found.shape[1]:
            found = found.flatten(1)
        if found.dim() != 2 or not found.is_floating_point() or not found.shape[1]:
            raise ExtractorError(
                f"module: {self._where}: {what} must be numbers (B, D); found {_shape(found)}; name another output, or "
                'say pool = "mean" (maps and tokens) or "first" (tokens)'
            )
        return found.to(torch.float32)

    def _tried(self, shape: tuple[int, ...], count: int) -> Activations:
        """Return the activations of noise images; raises ExtractorError when they are not those of an extractor."""
        generator = torch.Generator().manual_seed(0)
        noise, others = torch.randint(0, 256, (2, count, *shape), dtype=torch.uint8, generator=generator)
        apart = count - count // 2
        # The first images in other places of a batch of others.
        mixed = torch.cat([others[:apart], noise[: count - apart]])
        first, again, elsewhere = (self.extract(x) for x in (noise, noise, mixed))
        for what, a, b, c in (
            ("features", first.features, again.features, elsewhere.features),
            ("logits", first.logits, again.logits, elsewhere.logits),
        ):
            if a is None or b is None or c is None:
                continue
            if not bool(torch.isfinite(a).all()):
                raise ExtractorError(f"module: {self._where}: {what} of noise images are not finite")
            if not torch.equal(a, b):
                raise ExtractorError(f"module: {self._where}: equal images gave unequal {what}; save it in eval mode")
            if bool(((a[: count - apart] - c[apart:]).abs() > _TOLERANCE * a.abs().max()).any()):
                raise ExtractorError(
                    f"module: {self._where}: {what} of an image depend on the others in its batch; save it in eval mode"
                )
        return first


def _program(path: Path, device: str) -> Program:
    if path.suffix == ".pt2":
        return exported.read_program(path, device)
    if path.suffix in script.SUFFIXES:
        return script.read_program(path, device)
    raise SubjectError(f"{path}: allowed: .pt2 (exported program), {', '.join(script.SUFFIXES)} (TorchScript)")


def _check_channels(shape: tuple[int, ...], declared: Declaration, given: int) -> None:
    if len(shape) != 3:
        raise ExtractorError(f"module: takes images; found samples of shape {shape}")
    allowed = {"rgb": (1, 3), "grey": (1,), "any": (shape[0],)}[declared.channels]
    if shape[0] not in allowed:
        raise ExtractorError(
            f"module: its declaration takes {declared.channels} images; found samples of shape {shape}"
        )
    seen = 3 if declared.channels == "rgb" else shape[0]
    if given not in (1, seen):
        raise ExtractorError(f"module: its declaration has {given} values of mean and std for {seen} channels")


def _shape(value: Any) -> str:
    return f"{value.dtype} {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
