"""Uncurated samples beside real ones, as evidence: chosen by a fixed rule, never by how they look."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganaudit.auditing.setting import Setting
from ganaudit.auditing.sounds import pictures, played, rate_words
from ganaudit.auditing.withholding import Withholding
from ganaudit.document.model import Gallery, GalleryItem, Note, Picture, Triplet, Triplets
from ganaudit.document.spec import Comparison, Exhibit
from ganaudit.evidence.handing import handed
from ganaudit.evidence.handing import shown as as_shown
from ganaudit.evidence.null import rows
from ganaudit.numerics.perturbation import amplified

__all__ = ["compared", "exhibited", "galleries", "is_sample_file"]

_SHOWN, _A_ROW = 64, 8
_GAP = 255  # between the two samples of a pair: white
_STAGES = ("before", "change", "after")
_FILE = re.compile(rf"([a-z0-9-]*-)?(fake|real)-\d{{6,}}(-({'|'.join(_STAGES)})(-\d+)?)?\.(png|wav)")


def is_sample_file(name: str) -> bool:
    """Return whether a file of this name in ``samples/`` was written by an audit."""
    return _FILE.fullmatch(name) is not None


def galleries(setting: Setting, withholding: Withholding) -> tuple[list[Gallery], dict[str, bytes]]:
    """Return the galleries of generated and real samples, and their files; none for feature arrays.

    Samples that ``withholding`` keeps out are in none; a gallery that would be left empty is left out.
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
    picked = [i for i, shown in enumerate(withholding.may_show(range(count))) if shown]
    told = withholding.words(count - len(picked), count)
    if told:
        fake_rule = f"{fake_rule.partition(';')[0]}; {told}"
    fakes: list[Gallery] = []
    fake_files: dict[str, bytes] = {}
    if picked:
        made = evidence.fake_shown(picked)
        fake, fake_files = _gallery("fake", "Generated", fake_rule, made, picked, rate=rates["fake"])
        fakes = [fake]
    if setting.reference.statistics is not None or not setting.plan.real_samples:
        return fakes, fake_files
    real = setting.reference.split(evidence.plan.against)
    # Files often lie sorted by class: a fixed draw shows them all.
    picked = rows(len(real), min(_SHOWN, len(real)), evidence.plan.seed, "gallery/real").tolist()
    real_rule = f"{len(picked)} of {len(real)} {evidence.plan.against} reals, drawn by seed {evidence.plan.seed}"
    labels = real.labels
    captions = [real.classes[labels[i]] if labels is not None and real.classes else "" for i in picked]
    shown, real_files = _gallery("real", "Real", real_rule, as_shown(real, picked), picked, captions, rates["real"])
    return [*fakes, shown], {**fake_files, **real_files}


def exhibited(
    setting: Setting, withholding: Withholding, evaluator: str, exhibits: Sequence[Exhibit]
) -> tuple[list[Gallery | Note], dict[str, bytes]]:
    """Return the galleries that an evaluator asked for, and their files; none for feature arrays.

    A gallery of which all is withheld is a note that says so.
    Files of an evaluator's own samples are ``samples/EVALUATOR-SIDE-INDEX.png``, numbered on over its exhibits.
    """
    evidence = setting.evidence
    shown: list[Gallery | Note] = []
    files: dict[str, bytes] = {}
    for asked in exhibits:
        if evidence.holds_features or not asked.indices or _is_withheld(setting, asked.side):
            continue
        exhibit = _without_copies(asked, withholding)
        if not exhibit.indices:
            shown.append(Note(text=f"{exhibit.title}: nothing is shown; {exhibit.rule}."))
            continue
        if exhibit.beside:
            gallery, made = _pairs(setting, evaluator, exhibit)
            shown.append(gallery)
            files.update(made)
            continue
        indices, stem = [int(i) for i in exhibit.indices], None
        if exhibit.samples is not None:
            sample = setting.subject.sample
            samples = handed(exhibit.samples, sample.low, sample.high, "round").cpu()
            stem = f"{_named(evaluator)}-{exhibit.side}"
            earlier = sum(f"/{stem}-" in name and name.endswith(".png") for name in files)
            indices = list(range(earlier, earlier + len(indices)))
        elif exhibit.side == "fake":
            samples = evidence.fake_shown(indices)
        else:
            samples = as_shown(setting.reference.split(evidence.plan.against), indices)
        rate = _rates(setting)[exhibit.side]
        gallery, made = _gallery(
            exhibit.side, exhibit.title, exhibit.rule, samples, indices, exhibit.captions, rate, stem
        )
        shown.append(gallery)
        files.update(made)
    return shown, files


def _without_copies(exhibit: Exhibit, withholding: Withholding) -> Exhibit:
    """Return what of an exhibit may be drawn; of samples of an evaluator's own whole rows of a report go."""
    if exhibit.side != "fake":
        return exhibit
    n = len(exhibit.indices)
    if exhibit.samples is None:
        may = withholding.may_show(exhibit.indices)
    else:
        may = withholding.may_show_made(exhibit.samples)
        width = 1 if n % _A_ROW else _A_ROW
        may = [all(may[i - i % width : i - i % width + width]) for i in range(n)]
    kept = [i for i, shown in enumerate(may) if shown]
    if len(kept) == n:
        return exhibit
    return replace(
        exhibit,
        rule=f"{exhibit.rule}; {withholding.words(n - len(kept), n)}",
        indices=[exhibit.indices[i] for i in kept],
        captions=[exhibit.captions[i] for i in kept] if exhibit.captions else (),
        beside=[exhibit.beside[i] for i in kept] if exhibit.beside else (),
        samples=None if exhibit.samples is None else exhibit.samples[kept],
    )


def compared(
    setting: Setting, withholding: Withholding, evaluator: str, comparisons: Sequence[Comparison]
) -> tuple[list[Triplets | Note], dict[str, bytes]]:
    """Return the rows of three pictures that an evaluator handed over, and their files; none for feature arrays.

    Files are ``samples/EVALUATOR-SIDE-INDEX-STAGE.png`` with the stages before, change and after, and of waveforms a
    WAV file of the same name; those of an evaluator's second comparison of a side end in ``-2``.
    """
    made: list[Triplets | Note] = []
    files: dict[str, bytes] = {}
    for asked in comparisons:
        if setting.evidence.holds_features or not asked.indices or _is_withheld(setting, asked.side):
            continue
        comparison = _uncopied(asked, withholding)
        if not comparison.indices:
            made.append(Note(text=f"{comparison.title}: nothing is shown; {comparison.rule}."))
            continue
        stem = f"samples/{_named(evaluator)}-{comparison.side}"
        earlier = sum(isinstance(one, Triplets) and one.side == comparison.side for one in made)
        end = f"-{earlier + 1}" if earlier else ""
        names = [[f"{stem}-{int(i):06d}-{stage}{end}" for stage in _STAGES] for i in comparison.indices]
        triplets, written = _triplets(comparison, names, _rates(setting)[comparison.side])
        made.append(triplets)
        files.update(written)
    return made, files


def _uncopied(comparison: Comparison, withholding: Withholding) -> Comparison:
    """Return the rows of a comparison neither end of which is a copy of a real."""
    if comparison.side != "fake":
        return comparison
    ends = [withholding.may_show_made(x, comparison.value_range) for x in (comparison.before, comparison.after)]
    kept = [i for i, both in enumerate(zip(*ends, strict=True)) if all(both)]
    n = len(comparison.indices)
    if len(kept) == n:
        return comparison
    return replace(
        comparison,
        rule=f"{comparison.rule}; {withholding.words(n - len(kept), n)}",
        indices=[comparison.indices[i] for i in kept],
        before=comparison.before[kept],
        after=comparison.after[kept],
        scores_before=[comparison.scores_before[i] for i in kept],
        scores_after=[comparison.scores_after[i] for i in kept],
        norms=[comparison.norms[i] for i in kept],
        captions=[comparison.captions[i] for i in kept] if comparison.captions else (),
    )


def _triplets(
    comparison: Comparison, names: Sequence[Sequence[str]], rate: int | None
) -> tuple[Triplets, dict[str, bytes]]:
    low, high = comparison.value_range
    change, factors = amplified(comparison.before.cpu(), comparison.after.cpu(), low, high)
    samples = [handed(x, low, high, "round").cpu() for x in (comparison.before, change, comparison.after)]
    seen, files, rule = samples, {}, comparison.rule
    if samples[0].ndim == 3:
        seen = [pictures(waves) for waves in samples]
        sounds = [played(waves, rate) for waves in samples]
        rule = f"{rule}; {_which(len(sounds[0]), len(names))} {rate_words(rate)}"
        for row in range(len(sounds[0])):
            files.update({f"{name}.wav": stage[row] for name, stage in zip(names[row], sounds, strict=True)})
    items = [
        Triplet(
            index=int(index),
            before=_picture(f"{names[row][0]}.png", seen[0][row], files),
            change=_picture(f"{names[row][1]}.png", seen[1][row], files),
            after=_picture(f"{names[row][2]}.png", seen[2][row], files),
            factor=float(factors[row]),
            norm=float(comparison.norms[row]),
            score_before=float(comparison.scores_before[row]),
            score_after=float(comparison.scores_after[row]),
            caption=comparison.captions[row] if comparison.captions else "",
        )
        for row, index in enumerate(comparison.indices)
    ]
    triplets = Triplets(
        title=comparison.title,
        rule=rule,
        side=comparison.side,
        unit=comparison.unit,
        threshold=comparison.threshold,
        width=seen[0].shape[3],
        height=seen[0].shape[2],
        items=items,
    )
    return triplets, files


def _named(evaluator: str) -> str:
    return re.sub("[^a-z0-9]+", "-", evaluator.lower())


def _is_withheld(setting: Setting, side: str) -> bool:
    return side == "real" and not setting.plan.real_samples


def _pairs(setting: Setting, evaluator: str, exhibit: Exhibit) -> tuple[Gallery, dict[str, bytes]]:
    """Return a gallery of generated samples at the left and train reals at the right, the left alone where withheld."""
    indices, rule = [int(i) for i in exhibit.indices], exhibit.rule
    sides = [setting.evidence.fake_shown(indices)]
    if setting.plan.real_samples:
        sides.append(as_shown(setting.reference.splits["train"], [int(i) for i in exhibit.beside]))
    else:
        rule += "; train reals are withheld, as the plan says"
    seen = [pictures(side) if side.ndim == 3 else side for side in sides]
    gap = seen[0].new_full((*seen[0].shape[:3], max(1, seen[0].shape[3] // 16)), _GAP)
    both = seen[0] if len(seen) == 1 else torch.cat([seen[0], gap, seen[1]], dim=3)
    stem = f"{_named(evaluator)}-pair-{exhibit.side}"
    return _gallery(exhibit.side, exhibit.title, rule, both, indices, exhibit.captions, stem=stem)


def _which(written: int, shown: int) -> str:
    return "each is" if written == shown else f"the first {written} are"


def _picture(name: str, image: Tensor, files: dict[str, bytes]) -> Picture:
    """Put an image among the files and return what the document says of it."""
    files[name] = png(image)
    return Picture(file=name, sha256=hashlib.sha256(files[name]).hexdigest())


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
    stem: str | None = None,
) -> tuple[Gallery, dict[str, bytes]]:
    items, files, images, stem = [], {}, samples, stem or side
    if samples.ndim == 3:
        images = pictures(samples)
        sounds = played(samples, rate)
        files = {f"samples/{stem}-{index:06d}.wav": sound for index, sound in zip(indices, sounds, strict=False)}
        rule = f"{rule}; {_which(len(sounds), len(indices))} {rate_words(rate)}"
    for position, index in enumerate(indices):
        picture = _picture(f"samples/{stem}-{index:06d}.png", images[position], files)
        caption = captions[position] if captions else ""
        items.append(GalleryItem(file=picture.file, sha256=picture.sha256, index=index, caption=caption))
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
