"""Uncurated samples beside real ones, as evidence: chosen by a fixed rule, never by how they look."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image
from torch import Tensor

from ganaudit.auditing.setting import Setting
from ganaudit.auditing.sounds import pictures, played, rate_words
from ganaudit.document.model import Gallery, GalleryItem
from ganaudit.document.spec import Exhibit
from ganaudit.evidence.handing import shown as as_shown
from ganaudit.evidence.null import rows

__all__ = ["exhibited", "galleries"]

_SHOWN = 64


def galleries(setting: Setting) -> tuple[list[Gallery], dict[str, bytes]]:
    """Return the galleries of generated and real samples, and their files; none for feature arrays.

    Files are PNG. Waveforms are shown by a picture of each, with a WAV file of the same name beside it.
    """
    evidence = setting.evidence
    if evidence.holds_features:
        return [], {}
    count = min(_SHOWN, evidence.plan.samples)
    fake_rule = f"the first {count} samples of seed {evidence.plan.seed}, in order; none was chosen or left out"
    if setting.subject.samples is not None:
        fake_rule = f"the first {count} of the audited samples in their fixed order; none was chosen or left out"
    rates = _rates(setting)
    made = evidence.fake_shown(list(range(count)))
    fake, fake_files = _gallery("fake", "Generated", fake_rule, made, range(count), rate=rates["fake"])
    if setting.reference.statistics is not None:
        return [fake], fake_files
    real = setting.reference.split(evidence.plan.against)
    # Files often lie sorted by class: a fixed draw shows them all.
    picked = rows(len(real), min(_SHOWN, len(real)), evidence.plan.seed, "gallery/real").tolist()
    real_rule = f"{len(picked)} of {len(real)} {evidence.plan.against} reals, drawn by seed {evidence.plan.seed}"
    labels = real.labels
    captions = [real.classes[labels[i]] if labels is not None and real.classes else "" for i in picked]
    shown, real_files = _gallery("real", "Real", real_rule, as_shown(real, picked), picked, captions, rates["real"])
    return [fake, shown], {**fake_files, **real_files}


def exhibited(setting: Setting, exhibits: Sequence[Exhibit]) -> tuple[list[Gallery], dict[str, bytes]]:
    """Return the galleries that an evaluator asked for, and their files; none for feature arrays."""
    evidence = setting.evidence
    shown: list[Gallery] = []
    files: dict[str, bytes] = {}
    for exhibit in exhibits:
        if evidence.holds_features or not exhibit.indices:
            continue
        indices = [int(i) for i in exhibit.indices]
        if exhibit.side == "fake":
            samples = evidence.fake_shown(indices)
        else:
            samples = as_shown(setting.reference.split(evidence.plan.against), indices)
        rate = _rates(setting)[exhibit.side]
        gallery, made = _gallery(exhibit.side, exhibit.title, exhibit.rule, samples, indices, exhibit.captions, rate)
        shown.append(gallery)
        files.update(made)
    return shown, files


def _rates(setting: Setting) -> dict[str, int | None]:
    """Return the rate of the sounds of each side; a generator does not tell it, and is taken to be at the reals'."""
    real = None
    if setting.reference.statistics is None:
        real = setting.reference.split(setting.evidence.plan.against).rate
    fake = setting.subject.samples.rate if setting.subject.samples is not None else None
    return {"real": real, "fake": fake or real}


def _gallery(
    side: str,
    title: str,
    rule: str,
    samples: Tensor,
    indices: Sequence[int],
    captions: Sequence[str] = (),
    rate: int | None = None,
) -> tuple[Gallery, dict[str, bytes]]:
    items, files, images = [], {}, samples
    if samples.ndim == 3:
        images = pictures(samples)
        sounds = played(samples, rate)
        files = {f"samples/{side}-{index:06d}.wav": sound for index, sound in zip(indices, sounds, strict=False)}
        each = "each is" if len(sounds) == len(indices) else f"the first {len(sounds)} are"
        rule = f"{rule}; {each} {rate_words(rate)}"
    for position, index in enumerate(indices):
        name = f"samples/{side}-{index:06d}.png"
        files[name] = png(images[position])
        caption = captions[position] if captions else ""
        sha256 = hashlib.sha256(files[name]).hexdigest()
        items.append(GalleryItem(file=name, sha256=sha256, index=index, caption=caption))
    gallery = Gallery.model_validate(
        {
            "title": title,
            "rule": rule,
            "side": side,
            "width": images.shape[3],
            "height": images.shape[2],
            "items": items,
        }
    )
    return gallery, files


def png(image: Tensor) -> bytes:
    """Return one uint8 image (C, H, W), C 1 or 3, as PNG."""
    pixels: np.ndarray = image.permute(1, 2, 0).contiguous().numpy()
    picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=False)
    return buffer.getvalue()
