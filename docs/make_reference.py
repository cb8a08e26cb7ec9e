"""Writes docs/reference/ from the code: specs, schemas and the command line are the only source of these pages.

Run it with ``make docs``; with ``--check`` it writes nothing and exits 1 when a page is stale.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import json
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import typer.main

from ganaudit import registry
from ganaudit.cli.main import app
from ganaudit.config import PROFILES, AuditPlan
from ganaudit.document import errors
from ganaudit.document.gates import Policy
from ganaudit.document.model import AuditDocument
from ganaudit.document.spec import EvaluatorSpec, MeasurementSpec
from ganaudit.linting import catalogue as linting
from ganaudit.linting.fields import FIELDS
from ganaudit.linting.metrics import ALIASES, METRICS
from ganaudit.reviewing.record import Review
from ganaudit.training.config import TrainConfig

__all__ = ["EXIT_CODES", "pages", "stale"]

FOLDER = Path(__file__).resolve().parent / "reference"
_NOTICE = "<!-- Written by docs/make_reference.py; change the code and run `make docs`. -->"
_COMMON = ("json", "quiet", "verbose", "no_progress", "debug")

EXIT_CODES = {
    0: "Every blocking gate passed or is waived, or no policy was given.",
    1: "A blocking gate failed; `review verify`: something changed since it was signed, or it was rejected.",
    2: "Unusable input: an option, a configuration, a policy, a subject, samples, weights or a document.",
    3: (
        "Incomplete: a gated number is missing, inconclusive or not comparable with the baseline; the document, or a "
        "baseline that a gate asks for, was changed after it was written; the policy has no gate or no gate met a "
        "number; an evaluator failed, or one asked for by name could not answer; `doctor` found "
        "something broken; `review sign`: the checklist does not allow it; `review verify`: nobody, or too few, signed."
    ),
    4: "An error inside ganaudit.",
    130: "Interrupted; what was finished is kept and reused. Also `train --stop-after`.",
}


# What the code says only in a validator or in the help of an option; a string below the field wins over these.
_SPOKEN = {
    "Policy": {
        "fail_on": "The mildest level of a gate that keeps the exit code from being 0.",
        "on_inconclusive": "What an inconclusive gate does: `error` blocks at any level that `fail_on` blocks, `warn` "
        'blocks only with `fail_on = "warn"`, `pass` never blocks.',
        "gate": "The `[[gate]]` tables.",
        "waiver": "The `[[waiver]]` tables.",
    },
    "Gate": {
        "id": "A name, unique in the policy.",
        "limit": "The worst value that is good. A gate has either this or `baseline`.",
        "min_n": "Fewer samples than this make the gate inconclusive.",
        "level": "How hard the gate is; see `fail_on`.",
    },
    "Waiver": {
        "gate": "The id of the gate that is waived.",
        "reason": "Why it was accepted.",
        "owner": "Who answers for it.",
        "expires": "The last day on which it holds (UTC).",
    },
    "AuditPlan": {
        "subject": "A reference model, a train directory, .pt2, .pt, .onnx, samples or package.module:factory.",
        "extractor": "The `[extractor]` table.",
        "policy": "The `[policy]` table.",
        "review": "The `[review]` table.",
        "discriminator": "For formats that hold only a generator.",
        "seed": "Seed of every random choice.",
        "profile": "The most samples by default: "
        + ", ".join(f"{name} {most}" for name, most in PROFILES.items())
        + ". Where it is given, also the default of every evaluator's option `profile`.",
        "device": "cpu, cuda, cuda:N.",
        "precision": "Precision of the networks.",
        "latent": "Latent size, for files that do not tell it.",
        "range": "Lowest and highest value of float samples; -1 and 1 where nothing is said.",
        "classes": "Classes of a conditional generator.",
        "skip_unreadable": "Leave broken images out, and say so in the document.",
    },
    "ExtractorPlan": {"id": "One of the [extractors](extractors.md).", "weights": "Its weights file."},
    "PolicyPlan": {"file": "A [policy](policy.md)."},
    "TrainConfig": {
        "name": "Name of the subject.",
        "batch": "Real images, and as many generated ones, in one step.",
        "seed": "Seed of weights, data order, noise and augmentation.",
        "device": "cpu, cuda, cuda:N.",
        "latent": "Size of the latents.",
        "generator": "The `[generator]` table.",
        "discriminator": "The `[discriminator]` table.",
        "objective": "The losses of both networks.",
        "reading": "The `[reading]` table.",
        "regularisers": "The `[regularisers]` table.",
        "augmentation": "The `[augmentation]` table.",
        "audit": "The `[audit]` table.",
        "optimiser": "The `[optimiser]` table.",
        "average": "The `[average]` table.",
    },
    "NetworkConfig": {"network": "One of the [networks](networks.md).", "options": "Its options."},
    "AuditConfig": {"samples": "Generated samples of one audit."},
    "OptimiserConfig": {"rate": "The learning rate.", "beta1": "Adam's first decay.", "beta2": "Adam's second decay."},
}


def pages() -> dict[str, str]:
    """Return every page by its path below docs/reference/."""
    found = {
        "README.md": _index(),
        "cli.md": _cli(),
        "exit-codes.md": _exit_codes(),
        "extractors.md": _extractors(),
        "inputs.md": _inputs(),
        "networks.md": _networks(),
        "attacks.md": _attacks(),
        "lint-rules.md": _lint_rules(),
        "audit-toml.md": _model_page(
            AuditPlan,
            "audit.toml",
            "The keys of a file given with `--config`, or of `[tool.ganaudit]` in a `pyproject.toml`. An option on the "
            "command line wins over the file. Relative paths are relative to the file. `trust_code` is no key of a "
            "file: who runs the audit says `--trust-code`. Schema: `ganaudit schema config`.",
        ),
        "policy.md": _model_page(
            Policy,
            "Policy",
            "The keys of a file given with `--policy`, or of `[tool.ganaudit]` in a `pyproject.toml`. Schema: "
            "`ganaudit schema policy`.",
        ),
        "train-toml.md": _model_page(
            TrainConfig,
            "train.toml",
            "The keys of a file given to `ganaudit train`. `--set key=value` lays a value over one of them; keys of "
            "sections are dotted.",
        ),
        "document.md": _model_page(
            AuditDocument,
            "document.json",
            "The fields of the one file that gates and reports read. Schema: `ganaudit schema document`.",
        ),
        "review.md": _model_page(
            Review,
            "review.json",
            "What reviewers said and decided, written by `ganaudit review comment`, `sign` and `open` beside "
            "document.json. Entries are only ever appended. Schema: `ganaudit schema review`.",
        ),
    }
    for name in registry.names("evaluators"):
        found[f"evaluators/{name}.md"] = _evaluator(registry.find("evaluators", name))
    return {path: text.rstrip("\n") + "\n" for path, text in found.items()}


def stale() -> list[str]:
    """Return the pages on disk that are missing, differ from the code, or describe what is gone."""
    made = pages()
    on_disk = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.md")}
    differing = [name for name in made.keys() & on_disk if (FOLDER / name).read_text("utf-8") != made[name]]
    return sorted({*differing, *(on_disk ^ made.keys())})


def _index() -> str:
    evaluators = [
        [f"[{name}](evaluators/{name}.md)", _prose(registry.find("evaluators", name).spec.question)]
        for name in registry.names("evaluators")
    ]
    others = [
        "- [Command line](cli.md)",
        "- [Exit codes](exit-codes.md)",
        "- [audit.toml](audit-toml.md), [policy](policy.md), [train.toml](train-toml.md)",
        "- [document.json](document.md), [review.json](review.md)",
        "- [Lint rules](lint-rules.md)",
        "- [Extractors](extractors.md), [networks](networks.md), [attacks](attacks.md), [subjects and data "
        "sets](inputs.md)",
    ]
    return _page("Reference", "Written from the code, so it says what the code does.", "\n".join(others),
                 "## Evaluators", _table(["evaluator", "question"], evaluators))  # fmt: skip


def _evaluator(kind: Any) -> str:
    spec: EvaluatorSpec = kind.spec
    minimum = [f"- at least {n} rows of `{node}`" for node, n in spec.minimum.items()]
    options = [
        [f"`{f.name}`", f"`{_plain_type(f.type)}`", f"`{json.dumps(f.default)}`", _prose(doc)]
        for f in dataclasses.fields(kind)
        for doc in [_field_docs(kind).get(f.name, "")]
    ]
    parts = [
        f"**Question.** {_prose(spec.question)}",
        f"**Method.** {_prose(_first_paragraph(inspect.getdoc(kind) or ''))}",
        "## Numbers",
        *[_measurement(spec, measurement) for measurement in spec.measurements],
        "## When they mislead",
        _prose(spec.misleads),
        "## Needs",
        "\n".join([*(f"- `{node}`".replace(" or ", "` or `") for node in spec.needed), *minimum]),
        "## Options",
        f"Keys of `[evaluators.{spec.id}]` in [audit.toml](../audit-toml.md).",
        _table(["key", "type", "default", "meaning"], options) if options else "None.",
        "## References",
        "\n".join(f"- {_prose(reference)}" for reference in spec.references),
    ]
    return _page(f"{spec.id}: {spec.title}", *parts)


def _measurement(spec: EvaluatorSpec, measurement: MeasurementSpec) -> str:
    low, high = ("unbounded" if end is None else f"{end:g}" for end in measurement.bounds)
    better = measurement.better if measurement.target is None else f"{measurement.better} {measurement.target:g}"
    facts = [
        ["name in policies", f"`{spec.id}/{measurement.key}`"],
        ["unit", _prose(measurement.unit)],
        ["better", better],
        ["range", f"{low} to {high}"],
    ]
    return "\n\n".join(
        [
            f"### {measurement.key}",
            f"{_prose(measurement.title)}. {_prose(measurement.meaning)}",
            _table(["", ""], facts),
            f"Estimator: {_prose(measurement.estimator)}.",
        ]
    )


def _extractors() -> str:
    parts = []
    for entry in registry.entries("extractors"):
        kind = registry.find("extractors", entry.name)
        known = [("preprocessing", "Preprocessing"), ("caution", "Caution")]
        facts = [
            f"- {title}: {_prose(value)}"
            for name, title in known
            if isinstance(value := getattr(kind, name, None), str) and value
        ]
        dimensions, classes = getattr(kind, "dimensions", None), getattr(kind, "classes", 0)
        facts.append(f"- Features: {dimensions if isinstance(dimensions, int) else 'depends on the samples'}")
        facts.append(f"- Classes: {classes or 'none; `inception-score` is not assessable with it'}")
        parts += [f"## {entry.name}", _prose(_first_paragraph(inspect.getdoc(kind) or entry.summary)), "\n".join(facts)]
    told = _first_paragraph(inspect.getdoc(_choice()) or "", skip=1)
    rule = _prose(re.sub(r"[;.] ?(?=\d\. |$)", "\n", told.partition(" Raises")[0]).strip())
    return _page("Extractors", "What turns samples into features. Without `--extractor` the first rule that fits picks "
                 "one, and the document says which rule it was:", rule, *parts)  # fmt: skip


def _choice() -> Any:
    return importlib.import_module("ganaudit.features.choice").choose_extractor


def _networks() -> str:
    parts = []
    for name in registry.names("networks"):
        kind = registry.find("networks", name)
        options = [
            [f"`{p.name}`", f"`{p.default}`" if p.default is not inspect.Parameter.empty else "required"]
            for p in inspect.signature(kind).parameters.values()
        ]
        parts += [f"## {name}", _prose(" ".join((inspect.getdoc(kind) or "").split())),
                  _table(["option", "default"], options)]  # fmt: skip
    rows = [
        [f"`{row.network}`", f"{row.channels} x {row.size}" + (f" x {row.size}" if row.kind == "image" else ""),
         f"{row.cost.parameters:,}", f"{row.cost.flops / 1e6:,.1f}"]
        for row in importlib.import_module("ganaudit.training.networks.cost").table()
    ]  # fmt: skip
    return _page("Networks", "What `generator.network` and `discriminator.network` in [train.toml](train-toml.md) can "
                 "name. `size`, `channels`, `latent`, `classes`, `outputs` come from the data and the configuration.",
                 "## Cost", "With default options and 64 latents; operations (millions) are matrix products and "
                 "convolutions of one sample's forward pass, a multiplication and an addition being two.",
                 _table(["network", "sample", "parameters", "million operations"], rows), *parts)  # fmt: skip


def _attacks() -> str:
    parts = []
    for name in registry.names("attacks"):
        kind = registry.find("attacks", name)
        options = [
            [f"`{p.name}`", f"`{p.default}`" if p.default is not inspect.Parameter.empty else "required"]
            for p in inspect.signature(kind).parameters.values()
        ]
        told = _prose(" ".join((inspect.getdoc(kind) or "").split()))
        parts += [f"## {name}", f"{kind.title}. Kind: {kind.kind}.", told]
        parts += [_table(["option", "default"], options)] if options else []
    return _page("Attacks", "What changes samples so that a discriminator is fooled. Every result is clipped to budget "
                 "and range, tested again, and tested once more after rounding to the levels of a file.",
                 *parts)  # fmt: skip


def _lint_rules() -> str:
    parts = []
    for family, title in linting.FAMILIES.items():
        parts.append(f"## {title}")
        for rule in linting.RULES:
            if rule.id.startswith(family):
                told = [_prose(rule.misleads), f"**Do.** {_prose(rule.advice)}", f"**Source.** {_prose(rule.source)}."]
                parts += [f"### {rule.id} {rule.name}", f"Severity: {rule.severity}.", *told]
    metrics = [[_prose(METRICS[m].title), f"`{'`, `'.join(n)}`"] for m, n in _names_by(ALIASES.items())]
    fields = [
        [f"`{'`, `'.join(aliases)}`", asked]
        for (_, asked), aliases in _names_by((alias, (field.name, field.asked)) for alias, field in FIELDS.items())
    ]
    return _page("Lint rules", "What `ganaudit lint` asks of claimed numbers, of audit documents and of policies. "
                 "**error**: what is written is wrong or cannot mean what it says. **warning**: it misleads, or what "
                 "one needs to read it is missing. **note**: a habit to know of. How to use it: "
                 "[lint numbers](../how-to/lint-numbers.md).", *parts,
                 "## Names of metrics", "Capitals, spaces and hyphens do not matter. `best`, `min`, `train`, `test`, "
                 "`50k`, `x1000` and StyleGAN's names such as `fid50k_full` say more of the number and are read so.",
                 _table(["metric", "names"], metrics),
                 "## Names of fields", "Columns, or keys beside or above a number.",
                 _table(["names", "holds"], fields))  # fmt: skip


def _names_by(pairs: Iterable[tuple[str, Any]]) -> list[tuple[Any, list[str]]]:
    found: dict[Any, list[str]] = {}
    for name, meant in pairs:
        found.setdefault(meant, []).append(name)
    return list(found.items())


def _inputs() -> str:
    subjects = [[f"`{name}`", _prose(registry.find("subjects", name).formats)] for name in registry.names("subjects")]
    sets = [[f"`{entry.name}`", _prose(entry.summary)] for entry in registry.entries("datasets")]
    layouts = importlib.import_module("ganaudit.data.layout").LAYOUTS
    return _page(
        "Subjects and data sets",
        "## Subjects",
        "Besides the name of a reference model, `SUBJECT` is one of:",
        _table(["loader", "reads"], subjects),
        "## Built-in sets of real samples",
        _table(["name", "what"], sets),
        "## Arrays",
        _prose(layouts) + ".",
    )


def _cli() -> str:
    group = typer.main.get_command(app)
    shared = [f"`{'`, `'.join(p.opts)}`: {_prose(p.help)}" for p in _parameters(group, "doctor") if p.name in _COMMON]
    parts = [
        "Every verb takes these too:",
        "\n".join(f"- {line}" for line in [*shared, "`--help`, `-h`: Show the verb's options."]),
        "Each option can be set by an environment variable, such as `GANAUDIT_AUDIT_SEED`; `--help` names it. "
        "`GANAUDIT_CACHE` names the folder for evidence that is reused, `GANAUDIT_INCEPTION_WEIGHTS` a weights file, "
        "`GANAUDIT_TRUST_CODE` stands for `--trust-code` in every verb.",
    ]
    for name, command in _commands(group).items():
        parts += [f"## {name}", _prose(command.help or "")]
        inner = getattr(command, "commands", None)
        if inner is None:
            parts += [_usage(group, name), _options(group, name)]
        for verb, found in (inner or {}).items():
            whole = f"{name} {verb}"
            parts += [f"### {whole}", _prose(found.help or ""), _usage(group, whole), _options(group, whole)]
    return _page("Command line", *parts, "See also [exit codes](exit-codes.md).")


def _commands(group: Any) -> dict[str, Any]:
    return dict(group.commands)


def _parameters(group: Any, name: str) -> list[Any]:
    command = group
    for part in name.split():  # ``weights fetch`` is a verb of a verb
        command = command.commands[part]
    return list(command.params)


def _usage(group: Any, name: str) -> str:
    words = [f"ganaudit {name}"]
    for p in _parameters(group, name):
        if p.param_type_name == "argument":
            words.append(p.name.upper() if p.required else f"[{p.name.upper()}]")
        elif p.required:
            words.append(f"{p.opts[0]} {_value_name(name, p)}")
    return f"```text\n{' '.join([*words, '[OPTIONS]'])}\n```"


def _options(group: Any, name: str) -> str:
    rows = []
    for p in _parameters(group, name):
        if p.name in _COMMON or p.name == "help":
            continue
        argument = p.param_type_name == "argument"
        shown = p.name.upper() if argument else ", ".join(p.opts)
        value = "" if argument or p.is_flag else f" {_value_name(name, p)}"
        default = "required" if p.required else "" if p.default in (None, False) else f"`{p.default}`"
        rows.append([f"`{shown}{value}`", default, _prose(p.help or "")])
    return _table(["option", "default", "meaning"], rows) if rows else "No options of its own."


def _value_name(verb: str, parameter: Any) -> str:
    callbacks = {command.name: command.callback for command in app.registered_commands}
    for group in app.registered_groups:
        inner = group.typer_instance
        assert inner is not None
        callbacks |= {f"{inner.info.name} {command.name}": command.callback for command in inner.registered_commands}
    function: Any = callbacks[verb]
    annotation = inspect.signature(function).parameters[parameter.name].annotation
    kinds = [kind for kind in _unwrapped(annotation) if kind is not type(None)]
    return {"Path": "PATH", "int": "N", "list": "KEY=VALUE"}.get(getattr(kinds[0], "__name__", ""), "TEXT")


def _unwrapped(annotation: Any) -> tuple[Any, ...]:
    inner = get_args(annotation)[0]  # of Annotated[kind, option]
    return get_args(inner) if "|" in str(inner) else (inner,)


def _exit_codes() -> str:
    rows = [[f"`{code}`", _prose(text)] for code, text in EXIT_CODES.items()]
    kinds: list[Any] = [found for name in errors.__all__ if inspect.isclass(found := getattr(errors, name))]
    raised = [
        [f"`{kind.__name__}`", f"`{kind.exit_code}`", _prose(_first_paragraph(inspect.getdoc(kind) or ""))]
        for kind in kinds
    ]
    return _page("Exit codes", _table(["code", "meaning"], rows),
                 "The last line on stderr says the code, the verdict and the counts. `--json`, `--quiet` and the other "
                 "output options never change the code.",
                 "## Errors in Python", "From Python the same things are raised, all below `GanauditError`:",
                 _table(["error", "exit code", "meaning"], raised))  # fmt: skip


def _model_page(model: Any, title: str, lead: str) -> str:
    is_output = model in (AuditDocument, Review)
    schema = model.model_json_schema(by_alias=True, mode="serialization" if is_output else "validation")
    module = sys.modules[model.__module__]
    sections = [_section(module, model.__name__, schema)]
    for name, definition in schema.get("$defs", {}).items():
        sections.append(f"## {name}\n\n{_section(module, name, definition)}")
    return _page(title, lead, *sections)


def _section(module: Any, name: str, schema: dict[str, Any]) -> str:
    kind = getattr(module, name, None) or getattr(importlib.import_module("ganaudit.document.gates"), name)
    docs, required = {**_SPOKEN.get(name, {}), **_field_docs(kind)}, schema.get("required", [])
    rows = []
    for key, found in schema["properties"].items():
        default = "required" if key in required and "default" not in found else _default(found)
        meaning = found.get("description") or docs.get(key) or docs.get(f"{key}_", "")
        rows.append([f"`{key}`", _type(found), default, _prose(meaning)])
    lead = _prose(_first_paragraph(inspect.getdoc(kind) or ""))
    return "\n\n".join([lead, _table(["key", "type", "default", "meaning"], rows)])


def _default(schema: dict[str, Any]) -> str:
    if "default" not in schema or schema["default"] is None:
        return ""
    value = schema["default"]
    return "" if isinstance(value, dict | list) else f"`{json.dumps(value, ensure_ascii=False)}`"


def _type(schema: dict[str, Any]) -> str:
    """Return the type of a JSON schema in a few words."""
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(dict.fromkeys(_type(one) for one in schema[key]))
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    if "const" in schema or "enum" in schema:
        return ", ".join(f"`{json.dumps(value)}`" for value in schema.get("enum", [schema.get("const")]))
    kind = schema.get("type", "any")
    if kind == "array":
        if "prefixItems" in schema:
            return rf"\[{', '.join(_type(item) for item in schema['prefixItems'])}\]"
        return f"list of {_type(schema.get('items', {}))}"
    if kind == "object":
        inner = schema.get("additionalProperties")
        return f"table of {_type(inner)}" if isinstance(inner, dict) and inner else "table"
    return f"{_string(schema) if kind == 'string' else kind}{_limits(schema)}"


def _string(schema: dict[str, Any]) -> str:
    if "pattern" in schema:
        return f"string matching `{schema['pattern']}`"
    return {"path": "path", "date": "date"}.get(schema.get("format", ""), "string")


def _limits(schema: dict[str, Any]) -> str:
    words = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    told = [f"{sign} {schema[key]:g}" for key, sign in words.items() if key in schema and abs(schema[key]) < 2**53]
    return f", {', '.join(told)}" if told else ""


def _field_docs(kind: Any) -> dict[str, str]:
    """Return the string below each annotated field of a class, as the source has it."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, after in zip(body.body, body.body[1:], strict=False):
        is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and is_text:
            found[field.target.id] = inspect.cleandoc(after.value.value)  # type: ignore[attr-defined]
    return found


def _first_paragraph(text: str, skip: int = 0) -> str:
    return " ".join(text.split("\n\n")[skip].split()) if text else ""


def _plain_type(annotation: Any) -> str:
    text = str(annotation if isinstance(annotation, str) else annotation.__name__)
    match = re.fullmatch(r"Literal\[(.*)\]", text)
    return match[1].replace("'", '"') if match else text


def _prose(text: str) -> str:
    """Return text as Markdown that shows it as it stands; double backquotes become code."""
    parts = re.split(
        r"(`[^`]+`|\[[^\]]+\]\([^)]+\.md\))", re.sub(r"``([^`]+)``", r"`\1`", re.sub(r":\w+:`([^`]+)`", r"`\1`", text))
    )
    return "".join(part if index % 2 else re.sub(r"([<*\[\]])", r"\\\1", part) for index, part in enumerate(parts))


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        # A line break ends a row of a table, whatever the cell.
        return f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in cells)} |"

    return "\n".join([line(columns), line(["---"] * len(columns)), *(line(row) for row in rows)])


def _page(title: str, *parts: str) -> str:
    return "\n\n".join([_NOTICE, f"# {title}", *parts])


def _written() -> Iterator[str]:
    made = pages()
    for path in FOLDER.rglob("*.md"):
        if path.relative_to(FOLDER).as_posix() not in made:
            path.unlink()
    for name, text in made.items():
        (FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
        (FOLDER / name).write_text(text, encoding="utf-8")
        yield name


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or with ``--check`` tell which are stale; return the exit code."""
    told = stale() if "--check" in arguments else list(_written())
    sys.stdout.write("".join(f"docs/reference/{name}\n" for name in told))
    return 1 if "--check" in arguments and told else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
