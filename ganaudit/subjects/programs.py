"""What TorchScript files, exported programs and ONNX files have in common: a program per file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from ganaudit.document.errors import SubjectError
from ganaudit.programs import exported, onnx_program, script
from ganaudit.programs.program import Program
from ganaudit.subjects.check import checked
from ganaudit.subjects.digests import file_digest, json_digest
from ganaudit.subjects.loading import LoadOptions
from ganaudit.subjects.subject import LatentSpec, SampleSpec, Subject

__all__ = ["read_discriminator", "runtime_findings", "runtime_of", "subject_of_programs", "trust_of"]


def subject_of_programs(path: Path, kind: str, options: LoadOptions, read: Callable[[Path, str], Program]) -> Subject:
    """Return the subject whose generator is the program at ``path``, its discriminator the one the options name.

    Raises SubjectError when the latent size is neither told nor readable, or contradicts the program.
    """
    generator = read(path, options.device)
    if options.latent is None and generator.latent is None:
        raise SubjectError(f"subject {path}: this format does not tell the latent size; say it with --latent N")
    if None not in (options.latent, generator.latent) and options.latent != generator.latent:
        raise SubjectError(
            f"subject {path}: --latent {options.latent} was asked; the program takes latents of size {generator.latent}"
        )
    size = options.latent or generator.latent
    assert size is not None
    digests = {"generator": generator.digest or file_digest(path)}
    parts = [generator]
    discriminator = None
    if options.discriminator is not None:
        discriminator = read_discriminator(options.discriminator, options.device)
        digests["discriminator"] = discriminator.digest or file_digest(options.discriminator)
        parts.append(discriminator)
        if None not in (generator.block, discriminator.block) and generator.block != discriminator.block:
            raise SubjectError(
                f"subject {path}: takes batches of {generator.block}, --discriminator {options.discriminator} of "
                f"{discriminator.block}; export both with a dynamic batch, or with the same one"
            )
    sample = SampleSpec((), *(options.value_range or (-1.0, 1.0)))
    classes = options.classes or 0
    return checked(
        Subject(
            name=path.stem,
            kind=kind,
            digest=json_digest(
                {"files": digests, "latent": size, "range": [sample.low, sample.high], "classes": classes}
            ),
            sample=sample,
            trust=trust_of(parts),
            generator=generator.module,
            discriminator=discriminator.module if discriminator else None,
            latent=LatentSpec(size),
            classes=classes,
            path=str(path),
            block=generator.block or (discriminator.block if discriminator else None),
            device=options.device,
            checks=runtime_findings(parts),
            runtime=runtime_of(parts),
        )
    )


def read_discriminator(path: Path, device: str) -> Program:
    """Return the discriminator in a program file; raises SubjectError when it is missing or of another format."""
    if not path.is_file():
        raise SubjectError(f"--discriminator {path}: no such file")
    if path.suffix == ".pt2":
        return exported.read_program(path, device)
    if path.suffix in script.SUFFIXES:
        return script.read_program(path, device)
    if path.suffix == ".onnx":
        return onnx_program.read_program(path, device)
    raise SubjectError(
        f"--discriminator {path}: allowed: .pt2 (exported program), {', '.join(script.SUFFIXES)} (TorchScript), .onnx"
    )


def trust_of(programs: Sequence[Program]) -> Literal["data", "operators"]:
    """Return the lowest level of trust among the programs of a subject."""
    return "data" if all(program.trust == "data" for program in programs) else "operators"


def runtime_of(programs: Sequence[Program]) -> str:
    """Return what runs the programs where that is not torch, or an empty text."""
    return ", ".join(sorted({program.runtime for program in programs} - {""}))


def runtime_findings(programs: Sequence[Program]) -> tuple[str, ...]:
    """Return what the reader must know of a runtime that is not torch."""
    runtime = runtime_of(programs)
    return (f"run by {runtime}, on the CPU and without gradients",) if runtime else ()
