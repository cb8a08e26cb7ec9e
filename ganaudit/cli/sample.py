"""``ganaudit sample``: writes samples, or a grid of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ganaudit.cli.audit import _range
from ganaudit.cli.console import Console
from ganaudit.cli.trust import TrustCode, stdout_is_ours
from ganaudit.document.errors import OutputError

__all__ = ["sample"]


def sample(
    console: Console,
    subject: Annotated[
        str, typer.Argument(help="A reference model, a train directory, .pt2, .pt, or PACKAGE.MODULE:FACTORY.")
    ],
    samples: Annotated[int, typer.Option(min=1, help="How many.")],
    out: Annotated[Path, typer.Option(help="A folder, an .npz file, or a .png file for one grid.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the samples of the audit.")] = 0,
    first: Annotated[int, typer.Option(min=0, help="Number of the first sample, as reports tell it.")] = 0,
    discriminator: Annotated[Path | None, typer.Option(help="For formats that hold only a generator.")] = None,
    trust_code: TrustCode = False,
    latent: Annotated[int | None, typer.Option(help="Latent size, for files that do not tell it.")] = None,
    value_range: Annotated[
        str | None,
        typer.Option("--range", envvar="GANAUDIT_SAMPLE_RANGE", help="Range of float samples, such as -1,1."),
    ] = None,
    classes: Annotated[int | None, typer.Option(help="Classes of a conditional generator.")] = None,
    score_sign: Annotated[
        str | None, typer.Option(help="Which scores of the discriminator mean real: larger-real or smaller-real.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:N.")] = "cpu",
) -> int:
    """Write SAMPLES samples of SUBJECT: sample i depends on seed and i alone."""
    from ganaudit.config import make_plan
    from ganaudit.document.files import check_writable

    if out.suffix and out.suffix not in (".npz", ".png"):
        raise OutputError(f"--out {out}: allowed are a folder, an .npz file or a .png file")
    given: dict[str, Any] = {
        "subject": subject,
        "discriminator": discriminator,
        "trust_code": trust_code,
        "latent": latent,
        "range": _range(value_range),
        "classes": classes,
        "score_sign": score_sign,
        "device": device,
        "seed": seed,
    }
    plan = make_plan({k: v for k, v in given.items() if v is not None}, "options", [])
    check_writable(out.parent if out.suffix else out)
    from ganaudit.auditing.sampling import write_samples

    with stdout_is_ours(plan.trust_code):
        written = write_samples(plan, samples, out, console, first)
    if console.as_json:
        console.data(written)
    console.text(f"{samples} samples: {out}")
    console.last(0, f"{samples} samples written")
    return 0
