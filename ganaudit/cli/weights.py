"""``ganaudit weights``: the files that extractors need; lists, adds, fetches and verifies them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganaudit.cli.console import Console
from ganaudit.cli.verbs import verb
from ganaudit.document.errors import ConfigError, nearest

if TYPE_CHECKING:
    from ganaudit.weights.cache import Held, WeightsCache

__all__ = ["weights"]

weights = typer.Typer(
    name="weights",
    help="List, add, fetch and verify the weights files of extractors.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def list_(console: Console) -> int:
    """List every known file: whether it is there, was verified, and where it lies; nothing is hashed or fetched."""
    cache = _cache()
    held = [cache.held(name) for name in cache.names()]
    if console.as_json:
        console.data([_facts(h) for h in held])
    _table(console, held)
    console.last(0, f"{len(held)} names: {_counts(held)}; they lie in {cache.root}")
    return 0


def add(
    console: Console,
    file: Annotated[Path, typer.Argument(help="A weights file on this machine; it is copied.")],
    name: Annotated[
        str | None, typer.Option(help="Its name here; default: the one that the manifest has for this hash.")
    ] = None,
    sha256: Annotated[str | None, typer.Option(help="The hash that the file must have, also where none is known.")] = (
        None
    ),
    convert: Annotated[
        bool, typer.Option("--convert", help="Write its tensors anew as safetensors, after its hash was found right.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Let it take the place of another file with a name of its own.")
    ] = False,
) -> int:
    """Copy FILE into the cache, if it is what it claims to be."""
    converted: Callable[[Path, Path], None] | None = None
    if convert:
        from ganaudit.features.tensors import convert as converted
    held = _cache().add(file, name=name, sha256=sha256, replace=replace, convert=converted)
    return _kept(console, held, "added")


def fetch(
    console: Console,
    name: Annotated[str, typer.Argument(help="A name that `ganaudit weights list` shows, or one of your own.")],
    url: Annotated[str | None, typer.Option(help="Another address of the file.")] = None,
    base: Annotated[
        str | None, typer.Option("--from", help="A folder on the web that holds the files under their published names.")
    ] = None,
    sha256: Annotated[
        str | None, typer.Option(help="The hash that the file must have; needed for a name of your own.")
    ] = None,
    tries: Annotated[int, typer.Option(min=1, help="Tries in a row that may bring nothing new.")] = 5,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds without data after which a try ends.")] = 30.0,
) -> int:
    """Download NAME into the cache; an interrupted download goes on where it ended."""
    from ganaudit.weights.download import Patience
    from ganaudit.weights.fetch import fetch as fetched

    held = fetched(
        _cache(),
        name,
        url=url,
        base=base,
        sha256=sha256,
        patience=Patience(stall=timeout, tries=tries),
        progress=console,
    )
    return _kept(console, held, "fetched")


def verify(
    console: Console,
    name: Annotated[str | None, typer.Argument(help="One name; default: everything that is there.")] = None,
) -> int:
    """Hash the files again; exit code 1 when one of them is not what it should be."""
    from ganaudit.weights.cache import wrong_words

    cache = _cache()
    if name is not None and name not in cache.names():
        raise ConfigError(f"weights verify {name!r}: no such name; {nearest(name, cache.names())}")
    held = [cache.verify(one) for one in (cache.names() if name is None else [name])]
    held = [h for h in held if h.state != "absent" or name is not None]
    if console.as_json:
        console.data([_facts(h) for h in held])
    _table(console, held)
    wrong = [h for h in held if h.state == "wrong"]
    for one in wrong:
        console.error(wrong_words(one))
    code = 1 if wrong else 2 if name is not None and held[0].state == "absent" else 0
    console.last(code, _counts(held) or "no weights file is there")
    return code


_VERBS: dict[str, Callable[..., int]] = {"list": list_, "add": add, "fetch": fetch, "verify": verify}
for _name, _function in _VERBS.items():
    weights.command(_name)(verb(_function))


def _cache() -> WeightsCache:
    from ganaudit.weights.cache import WeightsCache

    return WeightsCache()


def _kept(console: Console, held: Held, how: str) -> int:
    assert held.record is not None
    if console.as_json:
        console.data(_facts(held))
    console.text(f"{held.name}: {held.path}")
    console.text(f"sha256 {held.record.sha256}" + ("" if held.entry else " (its own; not a published file)"))
    console.last(0, f"{how} and {held.state}: {held.name}")
    return 0


def _facts(held: Held) -> dict[str, Any]:
    entry, record = held.entry, held.record
    return {
        "name": held.name,
        "state": held.state,
        "path": str(held.path) if held.path else None,
        "sha256": record.sha256 if record else None,
        "expected": held.expected,
        "converted_from": record.converted_from if record else None,
        "published": entry is not None,
        "size": record.size if record else entry.size if entry else 0,
        "url": entry.url if entry else None,
        "origin": record.origin if record else None,
        "licence": entry.licence if entry else None,
        "purpose": entry.purpose if entry else "not a published file",
    }


def _table(console: Console, held: list[Held]) -> None:
    facts = [_facts(h) for h in held]
    rows = [
        [f["name"], f["state"], f"{f['size'] / 1e6:.1f}", f["licence"] or "unknown", f["purpose"], f["path"] or "-"]
        for f in facts
    ]
    if rows:
        console.table("weights", ["name", "state", "MB", "licence", "what", "where"], rows)


def _counts(held: list[Held]) -> str:
    states = [h.state for h in held]
    return ", ".join(f"{states.count(s)} {s}" for s in ("verified", "unchecked", "wrong", "absent") if s in states)
