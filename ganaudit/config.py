"""audit.toml, ``[tool.ganaudit]`` and command line options become one AuditPlan; every error at once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, ValidationError, field_validator
from pydantic.json_schema import SkipJsonSchema

from ganaudit.document.errors import ConfigError, nearest
from ganaudit.document.gates import Policy
from ganaudit.document.names import unseen_in
from ganaudit.document.policy import problems_of, pyproject_table
from ganaudit.protocol import DEFAULT, protocols

__all__ = [
    "AuditPlan",
    "ExtractorPlan",
    "OtherPlan",
    "PolicyPlan",
    "ReviewPlan",
    "UntilPlan",
    "load_plan",
    "make_plan",
    "plan_schema",
]

PROFILES = {"quick": 250, "standard": 10_000, "full": 50_000}
"""The most samples each profile generates when ``samples`` is not given.

A profile that is given is also the default of every evaluator's option ``profile``.
"""


_NAMED = re.compile(r"((?:^|,\s*)(?:train|calibration|test)=)")
"""Where a split of ``train=PATH,test=PATH`` begins."""


_TRUST_IN_A_FILE = (
    "{}: trust_code: no file can say this, since it may be somebody else's; whoever runs the audit says it: "
    "--trust-code, or GANAUDIT_TRUST_CODE=1"
)


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class ExtractorPlan(_Section):
    """Which extractor, and where its weights lie."""

    id: str | None = None
    weights: Path | None = None


class UntilPlan(_Section):
    """When enough samples have been drawn: the interval of one number is narrow enough."""

    measure: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    """``<evaluator>/<key>``, such as ``frechet-distance/fd-corrected``."""
    width: float = Field(gt=0)
    """Half the width of its interval that is asked for; a share of the value where ``relative``."""
    relative: bool = True


class OtherPlan(_Section):
    """Another subject with a discriminator; ``name = "path"`` is short for a table with ``subject`` alone."""

    subject: str = Field(min_length=1)
    """A reference model or a path, as the plan's own."""
    discriminator: Path | None = None
    """For formats that hold only a generator."""
    latent: int | None = Field(default=None, ge=1)
    """For files that do not tell it; default: the plan's own, as for ``range`` and ``classes``."""
    range: tuple[float, float] | None = None
    classes: int | None = Field(default=None, ge=0)
    score_sign: Literal["larger-real", "smaller-real"] = "larger-real"
    """Which scores of its discriminator mean real."""


def _as_other(value: Any) -> Any:
    return {"subject": value} if isinstance(value, str) else value


class PolicyPlan(_Section):
    """The policy an audit is judged by."""

    file: Path | None = None


class ReviewPlan(_Section):
    """Who signs the audit off; it stands in the document, so a signature is bound to it."""

    authors: list[Annotated[str, Field(min_length=1)]] = Field(default_factory=list)
    """Who made the subject or ran the audit; alone they cannot approve it."""
    approvals: int = Field(default=1, ge=1)
    """How many reviewers must approve."""
    author_alone: bool = False
    """Whether authors may approve without anybody else."""


class AuditPlan(_Section):
    """What to audit, against what and how; all keys of ``audit.toml``, all optional but ``subject``."""

    subject: str = ""
    discriminator: Path | None = None
    others: dict[str, Annotated[OtherPlan, BeforeValidator(_as_other, json_schema_input_type=str | OtherPlan)]] = Field(
        default_factory=dict
    )
    """Other subjects by a name of yours: their discriminators judge the same samples, and attacks are carried over."""
    reference: str | dict[Literal["train", "calibration", "test"], str] | None = None
    """A built-in set, a path, ``train=PATH,test=PATH``, or a table of splits. Default: the set it was trained on."""
    against: Literal["test", "train", "calibration", "all"] | None = None
    """The split of reals to compare with; default test where it exists, else all."""
    samples: int | None = Field(default=None, ge=2)
    """Generated samples; default: as many as the reals compared with, at most what the profile allows."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    profile: Literal["quick", "standard", "full"] = "standard"
    extractor: ExtractorPlan = ExtractorPlan()
    evaluators: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Options by evaluator; where any is named, only the named ones run."""
    _unasked: dict[str, Any] = PrivateAttr(default_factory=dict)
    policy: PolicyPlan = PolicyPlan()
    review: ReviewPlan = ReviewPlan()
    device: str = Field(default="cpu", pattern=r"^(cpu|cuda(:\d+)?)$")
    precision: Literal["fp32", "bf16"] = "fp32"
    """Of the extractor, on both sides; reductions are float64 in either."""
    protocol: str = DEFAULT
    """The conventions to follow; ``ganaudit list protocols`` shows them."""
    until: UntilPlan | None = None
    """Draw samples until this holds; ``samples``, or the profile, is then the most."""
    batch_size: int = Field(default=512, ge=1)
    """Samples in memory at once; never changes a number."""
    latent: int | None = Field(default=None, ge=1)
    range: tuple[float, float] | None = None
    classes: int | None = Field(default=None, ge=0)
    score_sign: Literal["larger-real", "smaller-real"] = "larger-real"
    """Which scores of the discriminator mean real; larger ones do everywhere in the audit."""
    resize: tuple[int, int] | None = None
    """(width, height) that every image is resized to."""
    skip_unreadable: bool = False
    real_samples: bool = True
    """Whether real samples may be shown. Where not, no file of the audit holds one, nor a generated sample that equals
    a real or lies as near to one as 5 % of other reals do; how many that are is said. Numbers are not withheld."""
    cache: bool = True
    """Whether evidence is kept and reused."""
    trust_code: SkipJsonSchema[bool] = False
    """Whether code of the subjects may be run. No file can say so: only who runs the audit knows whom they trust."""

    def named(self) -> tuple[str, ...]:
        """Return the evaluators that were given options, those of the file that this audit leaves out among them."""
        return (*self.evaluators, *self._unasked)

    def given(self, evaluator: str) -> dict[str, Any]:
        """Return the options that an evaluator was given, also one that the file names and this audit leaves out."""
        table = self.evaluators.get(evaluator, self._unasked.get(evaluator))
        return table if isinstance(table, dict) else {}

    @field_validator("range")
    @classmethod
    def _range_has_room(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and not value[0] < value[1]:
            raise ValueError(f"low must be below high; found {value[0]:g},{value[1]:g}")
        return value

    # Not a rule of the table itself: what an early audit wrote into its document is still read.
    @field_validator("review")
    @classmethod
    def _authors_can_be_seen(cls, value: ReviewPlan) -> ReviewPlan:
        problems = [f"{name!r}: {unseen}" for name in value.authors if (unseen := unseen_in(name))]
        if problems:
            raise ValueError(f"authors: {'; '.join(problems)}")
        return value


_KNOWN = {
    "": list(AuditPlan.model_fields),
    "extractor": list(ExtractorPlan.model_fields),
    "others": list(OtherPlan.model_fields),
    "policy": ["file"],
    "review": list(ReviewPlan.model_fields),
    "until": list(UntilPlan.model_fields),
}


def make_plan(data: Mapping[str, Any], where: str, evaluators: Iterable[str]) -> AuditPlan:
    """Return the plan in ``data``; raises ConfigError with every problem at once, each with its key."""
    known = sorted(evaluators)
    sections = data.get("evaluators", {})
    problems = [
        f"{where}: evaluators.{name}: unknown evaluator; {nearest(name, known)}"
        for name in (sections if isinstance(sections, Mapping) else ())
        if name not in known
    ]
    asked = data.get("protocol", DEFAULT)
    if isinstance(asked, str) and asked not in protocols():
        problems.append(f"{where}: protocol {asked!r}: unknown; {nearest(asked, list(protocols()))}")
    try:
        plan = AuditPlan.model_validate(dict(data))
    except ValidationError as error:
        raise ConfigError(problems_of(error, where, _KNOWN) + problems) from None
    if problems:
        raise ConfigError(problems)
    return plan


def load_plan(path: Path | None, overrides: Mapping[str, Any], evaluators: Iterable[str]) -> AuditPlan:
    """Return the plan of a TOML file with the command line's options laid over it.

    A ``pyproject.toml`` is read at ``[tool.ganaudit]``. Relative paths in a file are relative to the file.
    Raises ConfigError when the file cannot be read or anything in it or the options is wrong. A file that says
    ``trust_code`` is refused: it may lie in a folder of somebody else's, and be found there without being named.
    """
    data, unasked = _of_file(path) if path is not None else {}, dict[str, Any]()
    refused = [_TRUST_IN_A_FILE.format(path)] if data.pop("trust_code", None) is not None else []
    for key, value in overrides.items():
        if isinstance(value, Mapping) and isinstance(data.get(key), Mapping) and key != "evaluators":
            data[key] = {**data[key], **value}
        elif key == "evaluators" and isinstance(data.get(key), Mapping):
            # --evaluators picks; the file's options of the picked ones stay.
            unasked = {name: table for name, table in data[key].items() if name not in value}
            data[key] = {name: data[key].get(name, {}) for name in value}
        else:
            data[key] = value
    try:
        plan = make_plan(data, str(path) if path else "options", evaluators)
    except ConfigError as error:
        raise ConfigError([*refused, *error.problems]) from None
    if refused:
        raise ConfigError(refused)
    plan._unasked = unasked
    return plan


def _of_file(path: Path) -> dict[str, Any]:
    """Return the plan's keys in a file, with paths relative to it made relative to the working directory."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"--config {path}: no such file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"--config {path}: cannot be read: {error}") from None
    if path.name == "pyproject.toml":
        data = _of_pyproject(pyproject_table(data), path)
    return _beside(data, path.parent)


def plan_schema() -> dict[str, Any]:
    """Return the JSON Schema of ``audit.toml``."""
    return AuditPlan.model_json_schema()


def _of_pyproject(table: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the plan's keys of ``[tool.ganaudit]``; gates among them are a policy, as if ``policy.file`` named it."""
    gates = {key for key in Policy.model_fields if key in table}
    policy = table.get("policy")
    named = policy if isinstance(policy, dict) else {}
    if not gates and not set(named) - {"file"}:
        return table
    plan = {key: value for key, value in table.items() if key not in gates}
    return {**plan, "policy": {"file": named.get("file", path.name)}}


def _beside(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the data with paths that exist beside the file made relative to the working directory."""

    def placed(value: Any) -> Any:
        if isinstance(value, str) and value and not Path(value).is_absolute() and (folder / value).exists():
            return str(folder / value)
        return value

    data = dict(data)
    for key in ("subject", "discriminator", "reference"):
        if isinstance(data.get(key), dict):
            data[key] = {name: placed(value) for name, value in data[key].items()}
        elif key == "reference" and isinstance(data.get(key), str) and _NAMED.match(data[key]):
            data[key] = "".join(map(placed, _NAMED.split(data[key])))
        elif key in data:
            data[key] = placed(data[key])
    if isinstance(data.get("others"), dict):
        data["others"] = {name: _other_beside(value, placed) for name, value in data["others"].items()}
    data |= {"evaluators": _options_beside(data["evaluators"], placed)} if "evaluators" in data else {}
    for section, key in (("extractor", "weights"), ("policy", "file")):
        if isinstance(data.get(section), dict) and key in data[section]:
            data[section] = {**data[section], key: placed(data[section][key])}
    return data


def _options_beside(sections: Any, placed: Callable[[Any], Any]) -> Any:
    """Return the evaluators' options; those that name a file with an ending are placed: a bare word is no path."""
    if not isinstance(sections, dict):
        return sections

    def one(value: Any) -> Any:
        return placed(value) if isinstance(value, str) and Path(value).suffix else value

    return {
        name: {key: one(value) for key, value in options.items()} if isinstance(options, dict) else options
        for name, options in sections.items()
    }


def _other_beside(value: Any, placed: Callable[[Any], Any]) -> Any:
    if not isinstance(value, dict):
        return placed(value)
    return {key: placed(found) if key in ("subject", "discriminator") else found for key, found in value.items()}
