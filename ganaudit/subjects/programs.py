"""What TorchScript files, exported programs, ONNX files and trusted code have in common: a program for each network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from ganaudit.document.errors import SubjectError
from ganaudit.programs import exported, onnx_program, pickles, script
from ganaudit.programs.factories import is_factory, untrusted_factory
from ganaudit.programs.program import Program
from ganaudit.subjects.check import checked
from ganaudit.subjects.digests import file_digest, json_digest
from ganaudit.subjects.loading import LoadOptions
from ganaudit.subjects.made import discriminator_made
from ganaudit.subjects.subject import LatentSpec, SampleSpec, Subject

__all__ = ["findings_of", "read_discriminator", "runtime_of", "subject_of", "subject_of_programs", "trust_of"]


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
    generator = replace(generator, digest=generator.digest or file_digest(path))
    return subject_of(generator, options, asked=f"subject {path}", name=path.stem, kind=kind, path=str(path))


def subject_of(
    generator: Program,
    options: LoadOptions,
    *,
    asked: str,
    name: str,
    kind: str,
    path: str | None = None,
    discriminator: Program | None = None,
) -> Subject:
    """Return the checked subject of a generator and a discriminator: the given one, else the one the options name.

    Both have a digest; the latent size is told by the options or the generator.
    """
    size = options.latent or generator.latent
    assert size is not None
    if discriminator is None and options.discriminator is not None:
        discriminator = read_discriminator(options)
    parts = [generator] if discriminator is None else [generator, discriminator]
    if discriminator is not None and None not in (generator.block, discriminator.block):
        _check_blocks(generator, discriminator, asked, options)
    digests = {role: part.digest for role, part in zip(("generator", "discriminator"), parts, strict=False)}
    sample = SampleSpec((), *(options.value_range or (-1.0, 1.0)))
    classes = options.classes or 0
    return checked(
        Subject(
            name=name,
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
            path=path,
            block=generator.block or (discriminator.block if discriminator else None),
            device=options.device,
            checks=findings_of(parts),
            runtime=runtime_of(parts),
        )
    )


def _check_blocks(generator: Program, discriminator: Program, asked: str, options: LoadOptions) -> None:
    if generator.block != discriminator.block:
        raise SubjectError(
            f"{asked}: takes batches of {generator.block}, --discriminator {options.discriminator} of "
            f"{discriminator.block}; export both with a dynamic batch, or with the same one"
        )


def read_discriminator(options: LoadOptions) -> Program:
    """Return the discriminator that the options name, with its digest.

    Raises SubjectError when it is missing, of another format, or code that is not trusted.
    """
    path = options.discriminator
    assert path is not None
    asked, device = f"--discriminator {path}", options.device
    if is_factory(str(path)):
        if not options.trust_code:
            raise untrusted_factory(asked, str(path), "discriminator")
        return discriminator_made(str(path), asked, device)
    if not path.is_file():
        raise SubjectError(f"{asked}: no such file")
    if pickles.is_offered(path):
        return pickles.read_program(path, asked, device, trust=options.trust_code, role="discriminator")
    readers = {".pt2": exported.read_program, ".onnx": onnx_program.read_program}
    readers |= dict.fromkeys(script.SUFFIXES, script.read_program)
    if path.suffix not in readers:
        raise SubjectError(
            f"{asked}: allowed: .pt2 (exported program), {', '.join(script.SUFFIXES)} (TorchScript), .onnx; with "
            "--trust-code also a pickled network or package.module:factory"
        )
    program = readers[path.suffix](path, device)
    return replace(program, digest=program.digest or file_digest(path))


def trust_of(programs: Sequence[Program]) -> Literal["data", "operators", "code"]:
    """Return the lowest level of trust among the programs of a subject."""
    levels: tuple[Literal["code", "operators"], ...] = ("code", "operators")
    return next((level for level in levels if any(program.trust == level for program in programs)), "data")


def runtime_of(programs: Sequence[Program]) -> str:
    """Return what runs the programs where that is not torch, or an empty text."""
    return ", ".join(sorted({program.runtime for program in programs} - {""}))


def findings_of(programs: Sequence[Program]) -> tuple[str, ...]:
    """Return what the reader must know of the programs: a runtime that is not torch, and what reading them showed."""
    runtime = runtime_of(programs)
    told = (f"run by {runtime}, on the CPU and without gradients",) if runtime else ()
    return (*told, *(finding for program in programs for finding in program.findings))
