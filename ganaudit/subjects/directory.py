"""The directory that training leaves: ``subject.toml``, ``generator.safetensors``, ``discriminator.safetensors``.

Data only: the networks are known ones, found by name; their weights are safetensors, checked against the digests in
``subject.toml`` before use.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, ClassVar

import tomlkit
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor, nn

from ganaudit.document.errors import SubjectError
from ganaudit.document.files import write_atomically
from ganaudit.subjects.check import checked
from ganaudit.subjects.description import Latent, Network, Sample, SubjectFile, identity_digest, read_subject_file
from ganaudit.subjects.digests import file_digest
from ganaudit.subjects.loading import LoadOptions
from ganaudit.subjects.subject import LatentSpec, SampleSpec, Subject

__all__ = ["Directory", "Network", "SubjectFile", "read_subject_file", "write_directory"]


class Directory:
    """Reads a directory written by ``ganaudit train``."""

    id: ClassVar[str] = "directory"
    formats: ClassVar[str] = "a folder with subject.toml (written by `ganaudit train`)"

    def accepts(self, path: Path) -> bool:
        """Return whether ``path`` is a folder with a ``subject.toml``."""
        return path.is_dir() and (path / "subject.toml").is_file()

    def load(self, path: Path, options: LoadOptions) -> Subject:
        """Return the subject; raises SubjectError when a file is missing, malformed or not the one described."""
        described = read_subject_file(path / "subject.toml")
        if options.discriminator is not None:
            raise SubjectError(
                f"--discriminator {options.discriminator}: subject {path} brings its own discriminator or has none; "
                "the option is for files that hold only a generator"
            )
        generator = _network(path, described.generator, options)
        discriminator = _network(path, described.discriminator, options) if described.discriminator else None
        subject = Subject(
            name=described.name,
            kind=self.id,
            digest=identity_digest(described),
            sample=SampleSpec((), *described.sample.range),
            trust="data",
            generator=generator,
            discriminator=discriminator,
            latent=LatentSpec(described.latent.size, described.latent.law),
            classes=described.sample.classes,
            label_law=described.sample.label_law,
            path=str(path),
            device=options.device,
            training=described.training,
            grown=lambda role, factor: _grown(described, role, factor, options),
        )
        result = checked(subject)
        if result.sample.shape != described.sample.shape:
            raise SubjectError(
                f"subject {path}: its generator makes samples of shape {result.sample.shape}; "
                f"subject.toml says {described.sample.shape}"
            )
        return result


def _network(folder: Path, described: Network, options: LoadOptions) -> nn.Module:
    file = folder / described.file
    if "\0" in described.file or file.resolve().parent != folder.resolve():
        raise SubjectError(f"{folder / 'subject.toml'}: the weights file {described.file!r} must lie beside it")
    if not file.is_file():
        raise SubjectError(f"{file}: no such file, but subject.toml names it")
    content = file.read_bytes()  # read once: what is digested is what is used
    found = hashlib.sha256(content).hexdigest()
    if found != described.sha256:
        raise SubjectError(
            f"{file}: its sha256 is {found}, subject.toml says {described.sha256}; "
            "the weights are not the ones described: restore them, or train again"
        )
    try:
        network = options.network(described.network)(**described.options)
        network.load_state_dict(load_safetensors(content))
    except (
        SafetensorError,
        RuntimeError,
        TypeError,
        ValueError,
        AssertionError,
        ArithmeticError,
        LookupError,
    ) as error:
        raise SubjectError(f"{file}: does not fit network {described.network!r}: {error}") from None
    return network.requires_grad_(False).eval().to(options.device)


def _grown(described: SubjectFile, role: str, factor: int, options: LoadOptions) -> nn.Module:
    """Return the network of a role as it is before training, for samples of ``factor`` times the size."""
    network = described.generator if role == "generator" else described.discriminator
    size = None if network is None else network.options.get("size")
    if network is None or not isinstance(size, int):
        raise SubjectError(f"subject {described.name}: its {role} has no option size to multiply by {factor}")
    build = options.network(network.network)
    grown: nn.Module = build(**{**network.options, "size": size * factor}).eval()
    return grown


def write_directory(
    folder: Path,
    name: str,
    latent: LatentSpec,
    sample: SampleSpec,
    networks: dict[str, tuple[str, dict[str, int | float | bool | str], dict[str, Tensor]]],
    training: dict[str, Any],
    classes: int = 0,
    label_law: tuple[float, ...] = (),
) -> None:
    """Write a subject directory; the description goes last, so an interrupted write is never taken for a subject.

    ``networks`` maps ``generator`` and, where there is one, ``discriminator`` to (registered name, options, weights).
    """
    sections: dict[str, Any] = {}
    for role, (network, network_options, weights) in networks.items():
        content = save_safetensors({k: v.detach().cpu().contiguous() for k, v in weights.items()})
        file = folder / f"{role}.safetensors"
        write_atomically(file, content)
        sha256 = file_digest(file).removeprefix("sha256:")
        sections[role] = Network(network=network, file=file.name, sha256=sha256, options=network_options)
    described = SubjectFile(
        name=name,
        latent=Latent(size=latent.size, law=latent.law),
        sample=Sample(shape=sample.shape, range=(sample.low, sample.high), classes=classes, label_law=label_law),
        training=training,
        **sections,
    )
    text = tomlkit.dumps(described.model_dump(mode="json", by_alias=True, exclude_none=True))
    write_atomically(folder / "subject.toml", text.encode())
