"""``ganaudit statistics``: mean and covariance of features as an .npz that pytorch-fid and clean-fid read too."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ganaudit.cli.console import Console
from ganaudit.document.errors import ConfigError

__all__ = ["statistics"]


def statistics(
    console: Console,
    source: Annotated[str, typer.Argument(help="Samples: a folder, .zip, .npz or .npy, or a built-in set.")],
    out: Annotated[Path, typer.Option(help="The .npz to write.")],
    against: Annotated[str | None, typer.Option(help="Split of a built-in set; default all of the samples.")] = None,
    extractor: Annotated[str | None, typer.Option(help="Feature extractor; see `ganaudit list`.")] = None,
    extractor_weights: Annotated[Path | None, typer.Option(help="Weights file of the extractor.")] = None,
    protocol: Annotated[str | None, typer.Option(help="Conventions to follow; see `ganaudit list`.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:N.")] = None,
    resize: Annotated[str | None, typer.Option(help="WxH: resize every image, antialiased bicubic.")] = None,
) -> int:
    """Write the mean and covariance of the features of SOURCE, to serve as a reference."""
    from ganaudit import registry
    from ganaudit.cli.audit import size_of
    from ganaudit.config import make_plan

    if out.suffix != ".npz":
        raise ConfigError(f"--out {out}: the statistics are an .npz; name one")
    built_in = source in registry.names("datasets")
    given: dict[str, Any] = {
        "reference": source if built_in else {"test": source},
        "against": against or "all",
        "extractor": {"id": extractor, "weights": extractor_weights},
        "protocol": protocol,
        "device": device,
        "resize": size_of(resize),
        "evaluators": {},
    }
    plan = make_plan({k: v for k, v in given.items() if v is not None}, "options", registry.names("evaluators"))
    from ganaudit.auditing.statistics import write_feature_statistics
    from ganaudit.document.files import check_writable

    check_writable(out.parent)
    said = write_feature_statistics(plan, out, console)
    if console.as_json:
        console.data(said)
    console.text(f"statistics: {out}")
    console.last(0, f"mean and covariance of {said['features']} features over {said['n']} samples")
    return 0
