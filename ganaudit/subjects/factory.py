"""Python factories: code of the user's own that makes the subject. Only with ``--trust-code``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from torch import nn

from ganaudit.document.errors import SubjectError
from ganaudit.programs.factories import is_factory, untrusted_factory
from ganaudit.subjects.check import checked
from ganaudit.subjects.loading import LoadOptions
from ganaudit.subjects.made import Made, described, made_by, networks_of, pair_of, program_of
from ganaudit.subjects.programs import subject_of
from ganaudit.subjects.subject import Subject

__all__ = ["PythonFactory"]


class PythonFactory:
    """Calls a Python callable that returns a generator, a generator and a discriminator, or a ganaudit Subject."""

    id: ClassVar[str] = "factory"
    formats: ClassVar[str] = "package.module:factory (a Python callable; with --trust-code)"
    takes_names: ClassVar[bool] = True

    def accepts(self, path: Path) -> bool:
        """Return whether ``path`` names a callable: it has a colon, and no such file is there. Nothing is imported."""
        return is_factory(str(path))

    def load(self, path: Path, options: LoadOptions) -> Subject:
        """Return the subject that the factory makes; raises SubjectError for all that can be wrong with it."""
        spec = str(path)
        asked = f"subject {spec!r}"
        if not options.trust_code:
            raise untrusted_factory(asked, spec, latent=options.latent)
        made = made_by(spec, asked)
        if isinstance(made.value, Subject):
            return _taken(made, made.value, asked, options)
        pair = pair_of(made.value)
        if pair is None:
            raise SubjectError(
                f"{asked}: returned {described(made.value)}; allowed: a generator (an nn.Module), a pair of generator "
                "and discriminator, or a ganaudit.Subject, such as Subject.from_modules(generator, latent=N)"
            )
        return _of_networks(made, pair, asked, options)


def _of_networks(made: Made, pair: tuple[nn.Module, nn.Module | None], asked: str, options: LoadOptions) -> Subject:
    spec = made.factory.spec
    if options.latent is None:
        raise SubjectError(
            f"{asked}: returned a network, which does not tell the latent size; say it with --latent N, or return "
            "ganaudit.Subject.from_modules(generator, latent=N)"
        )
    if pair[1] is not None and options.discriminator is not None:
        raise SubjectError(
            f"--discriminator {options.discriminator}: {asked} brings its own discriminator; leave the option out, or "
            "let the factory return the generator alone"
        )
    generator = program_of(made, pair[0], "generator", asked, options.device)
    discriminator = None
    if pair[1] is not None:
        # What was found of both stands with the generator.
        discriminator = replace(program_of(made, pair[1], "discriminator", asked, options.device), findings=())
    return subject_of(generator, options, asked=asked, name=spec, kind=PythonFactory.id, discriminator=discriminator)


def _taken(made: Made, subject: Subject, asked: str, options: LoadOptions) -> Subject:
    """Return a Subject that a factory made as one of trusted code, on the device that was asked for."""
    problems = list(_contradictions(subject, options))
    if problems:
        raise SubjectError(f"{asked}: returned a Subject, and {'; '.join(problems)}; leave the option out")
    subject = replace(
        subject,
        name=made.factory.spec if subject.name == "in-process" else subject.name,
        kind=PythonFactory.id,
        trust="code",
        digest=made.digest(networks_of(subject), subject=subject.digest),
        path=None,
    )
    if subject.device != options.device:
        for network in networks_of(subject).values():
            network.to(options.device)
        subject = checked(replace(subject, device=options.device, checks=()))
    return replace(subject, checks=(*made.findings, *subject.checks))


def _contradictions(subject: Subject, options: LoadOptions) -> Iterator[str]:
    """Yield where the options say something else than the Subject does."""
    size = subject.latent.size if subject.latent else None
    if options.latent is not None and options.latent != size:
        yield f"--latent {options.latent} was asked, it has {size or 'no latents'}"
    own = (subject.sample.low, subject.sample.high)
    if options.value_range is not None and options.value_range != own:
        low, high = options.value_range
        yield f"--range {low:g},{high:g} was asked, it has {own[0]:g},{own[1]:g}"
    if options.classes is not None and options.classes != subject.classes:
        yield f"--classes {options.classes} was asked, it has {subject.classes or 'none'}"
    if options.discriminator is not None:
        yield f"--discriminator {options.discriminator} was asked, which from_modules(generator, discriminator) takes"
