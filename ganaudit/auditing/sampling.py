"""Writes samples of a subject as images or audio, as one grid, or as arrays."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganaudit.auditing.gallery import png
from ganaudit.auditing.setting import open_subject
from ganaudit.auditing.sounds import pictures
from ganaudit.config import AuditPlan
from ganaudit.data.audio import RATE, wav
from ganaudit.document.errors import SubjectError
from ganaudit.document.files import write_atomically
from ganaudit.evidence.handing import handed
from ganaudit.features.engine import BLOCK, in_blocks
from ganaudit.progress import Progress
from ganaudit.subjects.subject import Subject

__all__ = ["grid", "write_samples"]

_GAP = 2
_CELL = 64
"""Pixels to which a small sample is enlarged in a grid, by whole pixels."""


def write_samples(plan: AuditPlan, count: int, out: Path, progress: Progress, first: int = 0) -> dict[str, Any]:
    """Write ``count`` samples, from sample ``first`` on, to a folder, an ``.npz`` or a ``.png`` grid.

    Returns the manifest, which the folder has beside its PNG files as manifest.json.
    Audio goes into the folder as WAV of 16 bits at 16,000 values a second, into the grid as a picture of each.
    Raises SubjectError for a subject without a generator.
    """
    subject = open_subject(plan, progress)
    if subject.generator is None:
        raise SubjectError(f"subject {plan.subject!r}: it has no generator to sample from")
    arrays = _draw(subject, first, count, plan.seed, progress)
    manifest: dict[str, Any] = {
        "subject": subject.name,
        "digest": subject.digest,
        "seed": plan.seed,
        "first": first,
        "samples": count,
        "range": [subject.sample.low, subject.sample.high],
    }
    shown = handed(arrays["samples"], subject.sample.low, subject.sample.high, "round")
    is_audio = shown.ndim == 3
    if out.suffix == ".npz":
        buffer = io.BytesIO()
        np.savez(buffer, **{name: tensor.numpy() for name, tensor in arrays.items()})  # type: ignore[arg-type]
        write_atomically(out, buffer.getvalue())
    elif out.suffix == ".png":
        write_atomically(out, grid(pictures(shown) if is_audio else shown))
    else:
        _write_folder(out, shown, manifest)
    return {**manifest, "out": str(out)}


def _write_folder(out: Path, shown: Tensor, manifest: dict[str, Any]) -> None:
    is_audio = shown.ndim == 3
    files = []
    for i, one in enumerate(shown, manifest["first"]):
        name = f"{i:06d}.wav" if is_audio else f"{i:06d}.png"
        content = wav(one.numpy(), RATE) if is_audio else png(one)
        write_atomically(out / name, content)
        files.append({"file": name, "index": i, "sha256": hashlib.sha256(content).hexdigest()})
    kept = {file["file"] for file in files}
    for path in (*out.glob("[0-9]" * 6 + ".png"), *out.glob("[0-9]" * 6 + ".wav")):
        if path.name not in kept:
            path.unlink()  # of an earlier, longer draw: it would count as a sample of this one
    rate = {"rate": RATE} if is_audio else {}
    said = {**manifest, **rate, "files": files}
    write_atomically(out / "manifest.json", (json.dumps(said, indent=2) + "\n").encode())


def _draw(subject: Subject, first: int, count: int, seed: int, progress: Progress) -> dict[str, Tensor]:
    block = subject.block or BLOCK
    # In the blocks of the audit: a network may round otherwise where a sample stands elsewhere in its batch.
    begin = first - first % block

    def work(start: int, size: int) -> tuple[Tensor, ...]:
        start += begin
        x = subject.drawn(seed, start, size)
        z, labels = subject.latents(seed, start, size), subject.labels(seed, start, size)
        parts = [x, z] if labels is None else [x, z, labels]
        return (*parts, subject.discriminate(x, labels)) if subject.discriminator is not None else tuple(parts)

    names = ["samples", "latents"] + (["labels"] if subject.classes else [])
    names += ["scores"] if subject.discriminator is not None else []
    total = first - begin + count
    with progress.task(f"generating {count} samples", total) as task:
        columns = [column[first - begin :] for column in in_blocks(work, total, 512, task, block)]
    return dict(zip(names, columns, strict=True))


def grid(images: Tensor) -> bytes:
    """Return uint8 images (N, C, H, W) as one PNG: near-square, whole-pixel enlargement, a gap between samples."""
    n, channels, height, width = images.shape
    factor = max(1, _CELL // max(height, width))
    columns = max(1, round(n**0.5))
    rows = -(-n // columns)
    gap = _GAP * max(1, factor // 2)
    sheet = torch.full(
        (rows * (height * factor + gap) + gap, columns * (width * factor + gap) + gap, channels), 128, dtype=torch.uint8
    )
    large = images.repeat_interleave(factor, 2).repeat_interleave(factor, 3).permute(0, 2, 3, 1)
    for i, image in enumerate(large):
        top, left = (gap + k * (size * factor + gap) for k, size in ((i // columns, height), (i % columns, width)))
        sheet[top : top + height * factor, left : left + width * factor] = image
    pixels = sheet.numpy()
    buffer = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
