"""Controls: a folder with ``control.toml`` that names a built-in set and the one defect to plant. Data only."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ganaudit.data.laws import LAWS, Law
from ganaudit.document.errors import SubjectError, nearest
from ganaudit.document.policy import problems_of
from ganaudit.subjects.check import checked
from ganaudit.subjects.digests import json_digest
from ganaudit.subjects.loading import LoadOptions
from ganaudit.subjects.planted import DEFECTS, EXTRA, VERSION, Planted
from ganaudit.subjects.planted_critics import CRITICS, PlantedCritic
from ganaudit.subjects.subject import LatentSpec, SampleSpec, Subject

__all__ = ["Control", "ControlFile", "subject_of_control"]


class ControlFile(BaseModel):
    """The content of ``control.toml``."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, allow_inf_nan=False)

    schema_: Literal["ganaudit.control/1"] = Field(default="ganaudit.control/1", alias="schema")
    set_: str = Field(alias="set")
    """The built-in set whose law the generator follows."""
    defect: str = "perfect"
    severity: float = Field(default=0.0, ge=0)
    """How much of it; what it counts is said by the defect."""
    seed: int = Field(default=0, ge=0, lt=2**64)
    """Decides which modes are hit, and the noise."""
    discriminator: str | None = None

    @model_validator(mode="after")
    def _is_known(self) -> ControlFile:
        for key, value, known in (
            ("set", self.set_, LAWS),
            ("defect", self.defect, DEFECTS),
            ("discriminator", self.discriminator, CRITICS),
        ):
            if value is not None and value not in known:
                raise ValueError(
                    f"{key} {value!r}: unknown; {nearest(value, list(known))}; allowed: {', '.join(known)}"
                )
        defect = DEFECTS[self.defect]
        if self.severity > defect.most:
            raise ValueError(
                f"severity {self.severity:g}: allowed for {self.defect}: 0 to {defect.most:g} ({defect.severity})"
            )
        if self.set_ == "tones" and not defect.audio:
            raise ValueError(f"defect {self.defect!r}: changes images; the set tones holds sounds")
        if self.set_ == "digits" and (self.defect, self.severity) != ("memorising", 1.0):
            raise ValueError(
                f"set 'digits' with defect {self.defect!r}, severity {self.severity:g}: its law is not known, only "
                "its train samples; allowed: defect 'memorising' with severity 1"
            )
        return self


_KNOWN = {"": ["schema", "set", *(name for name in ControlFile.model_fields if not name.endswith("_"))]}


class Control:
    """Reads a control: the law of a built-in set with a planted defect, computed by ganaudit itself."""

    id: ClassVar[str] = "control"
    formats: ClassVar[str] = "a folder with control.toml (a generator with a planted defect)"

    def accepts(self, path: Path) -> bool:
        """Return whether ``path`` is a folder with a ``control.toml``."""
        return path.is_dir() and (path / "control.toml").is_file()

    def load(self, path: Path, options: LoadOptions) -> Subject:
        """Return the subject; raises SubjectError with every problem of the file."""
        file = path / "control.toml"
        if options.discriminator is not None:
            raise SubjectError(
                f"--discriminator {options.discriminator}: subject {path} is a control; the key discriminator of its "
                f"control.toml names one of {', '.join(CRITICS)}"
            )
        try:
            described = ControlFile.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SubjectError(f"{file}: cannot be read: {error}") from None
        except ValidationError as error:
            raise SubjectError("\n".join(problems_of(error, str(file), _KNOWN))) from None
        return subject_of_control(described, path.resolve().name, options.device, path)


def subject_of_control(
    described: ControlFile,
    name: str = "control",
    device: str = "cpu",
    path: Path | None = None,
    law: Law | None = None,
) -> Subject:
    """Return the checked subject that ``described`` describes; ``law`` in place of that of its set."""
    law, defect = law or LAWS[described.set_], DEFECTS[described.defect]
    content = described.model_dump(mode="json", by_alias=True)
    planted = {"defect": described.defect, "severity": described.severity, "words": defect.words}
    told = {} if described.discriminator is None else {"discriminator": CRITICS[described.discriminator]}
    return checked(
        Subject(
            name=name,
            kind=Control.id,
            digest=json_digest({"control": content, "rows": law.rows, "version": VERSION}),
            sample=SampleSpec((), -1.0, 1.0),
            trust="data",
            generator=Planted(law, described.defect, described.severity, described.seed).eval(),
            discriminator=None
            if described.discriminator is None
            else PlantedCritic(law, described.discriminator).eval().to(device),
            latent=LatentSpec(law.draws + EXTRA),
            path=None if path is None else str(path),
            device=device,
            training={"data": described.set_, "split": "train", "control": planted | told},
        )
    )
