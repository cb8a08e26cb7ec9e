"""Uncurated samples beside real ones, as evidence: chosen by a fixed rule, never by how they look."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image
from torch import Tensor

from ganaudit.auditing.setting import Setting
from ganaudit.document.model import Gallery, GalleryItem
from ganaudit.document.spec import Exhibit
from ganaudit.evidence.null import rows

__all__ = ["exhibited", "galleries"]

_SHOWN = 64


def galleries(setting: Setting) -> tuple[list[Gallery], dict[str, bytes]]:
    """Return the galleries of generated and real samples, and the PNG files they name; none for feature arrays."""
    evidence = setting.evidence
    if evidence.holds_features:
        return [], {}
    count = min(_SHOWN, evidence.plan.samples)
    fake_rule = f"the first {count} samples of seed {evidence.plan.seed}, in order; none was chosen or left out"
    if setting.subject.samples is not None:
        fake_rule = f"the first {count} of the audited samples in their fixed order; none was chosen or left out"
    fake, fake_files = _gallery("fake", "Generated", fake_rule, evidence.fake_images(list(range(count))), range(count))
    if setting.reference.statistics is not None:
        return [fake], fake_files
    real = setting.reference.split(evidence.plan.against)
    # Files often lie sorted by class: a fixed draw shows them all.
    picked = rows(len(real), min(_SHOWN, len(real)), evidence.plan.seed, "gallery/real").tolist()
    real_rule = f"{len(picked)} of {len(real)} {evidence.plan.against} reals, drawn by seed {evidence.plan.seed}"
    labels = real.labels
    captions = [real.classes[labels[i]] if labels is not None and real.classes else "" for i in picked]
    shown, real_files = _gallery("real", "Real", real_rule, real.images(picked), picked, captions)
    return [fake, shown], {**fake_files, **real_files}


def exhibited(setting: Setting, exhibits: Sequence[Exhibit]) -> tuple[list[Gallery], dict[str, bytes]]:
    """Return the galleries that an evaluator asked for, and their PNG files; none for feature arrays."""
    evidence = setting.evidence
    shown: list[Gallery] = []
    files: dict[str, bytes] = {}
    for exhibit in exhibits:
        if evidence.holds_features or not exhibit.indices:
            continue
        indices = [int(i) for i in exhibit.indices]
        if exhibit.side == "fake":
            images = evidence.fake_images(indices)
        else:
            images = setting.reference.split(evidence.plan.against).images(indices)
        gallery, made = _gallery(exhibit.side, exhibit.title, exhibit.rule, images, indices, exhibit.captions)
        shown.append(gallery)
        files.update(made)
    return shown, files


def _gallery(
    side: str, title: str, rule: str, images: Tensor, indices: Sequence[int], captions: Sequence[str] = ()
) -> tuple[Gallery, dict[str, bytes]]:
    items, files = [], {}
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
